"""A model in a process of its own, as its owner sees it: answers, errors, its end, and everything it tries."""

import gc
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from payoff.errors import ModelFailed, NotFound
from payoff.records.columns import Column
from payoff.records.model import Bounds
from payoff.records.signature import Field, Type
from payoff.runner.guest import frames
from payoff.runner.runner import Ended, Runner
from tests.runner.conftest import KINDS, PYTHON, SMALL, Start, ask_to, told


def lives(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def open_files() -> int:
    """How many this process has, but those that nobody holds any more."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def gave_back(before: int) -> bool:
    """Whether no more files are open than before, soon: the watch over memory opens some now and then."""
    until = time.monotonic() + 60
    while open_files() > before and time.monotonic() < until:
        time.sleep(0.01)
    return open_files() <= before


def ends(pid: int) -> bool:
    """Whether a process ends soon."""
    until = time.monotonic() + 60
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not lives(pid)


def test_a_runner_answers_what_its_model_answers(start: Start) -> None:
    runner = start("echo")
    columns = {
        "number": Column(np.array([1.5, 2.5]), np.array([True, False])),
        "text": Column(np.array(["ä", ""], object)),
        "picture": Column(np.arange(12, dtype=np.float32).reshape(2, 2, 3)),
    }
    answer = runner.ask(columns)
    assert list(answer) == list(columns)
    assert answer["number"].valid is not None
    assert answer["number"].valid.tolist() == [True, False]
    assert answer["text"].values.tolist() == ["ä", ""]
    assert answer["picture"].values.tolist() == columns["picture"].values.tolist()


def test_a_runner_tells_what_its_model_is(start: Start) -> None:
    assert start("echo").describe()["estimator"] == "Echo"


def test_what_a_runner_uses_can_be_seen(start: Start) -> None:
    runner = start("echo")
    before = runner.cpu_ns
    runner.ask({"x": Column(np.zeros(100_000))})
    assert runner.cpu_ns > before > 0
    assert runner.rss_bytes > 1 << 20
    runner.close()
    assert runner.cpu_ns > before
    assert runner.rss_bytes == 0


def test_a_closed_runner_leaves_no_process_and_no_file(start: Start) -> None:
    start("echo").close()
    before = open_files()
    runner = start("echo")
    runner.close()
    assert not Path(f"/proc/{runner.pid}").exists()
    assert gave_back(before)
    with pytest.raises(Ended, match="it was closed"):
        runner.ask({"x": Column(np.zeros(1))})


def test_a_kind_that_nobody_knows_is_answered_with_those_there_are(start: Start) -> None:
    with pytest.raises(NotFound, match=r"no kind of model called 'eco'; there are: .*echo.*wild"):
        start("eco")


def test_an_interpreter_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=r"could not be started: /no/python: No such file"):
        Runner.start(Path("/no/python"), "echo", tmp_path, {}, SMALL, tmp_path, kinds_path=KINDS)


def test_a_kind_without_a_way_to_onnx_says_so(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="could not be converted: this kind of model has no way to ONNX"):
        start("echo").to_onnx(tmp_path / "m.onnx", [Field("x", Type.FLOAT64)], {"x": Column(np.zeros(1))})


@pytest.mark.parametrize(
    ("load", "says"),
    [
        pytest.param("raise it", "the model could not be loaded: KeyError: 'it'", id="raises"),
        pytest.param("refuse no such file", "the model could not be loaded: no such file", id="refuses"),
        pytest.param("exit 3", 'ended: it left with exit status 3; it said last: "goodbye"', id="exits"),
        pytest.param("segfault", "ended: it was ended by SIGSEGV", id="crashes"),
        pytest.param("want 100000000000", r"it wanted more memory than it may use \(0.5 GiB\)", id="memory"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_told_in_words(start: Start, load: str, says: str) -> None:
    with pytest.raises(ModelFailed, match=says):
        start(load=load)


def test_a_model_that_takes_too_long_to_load_is_ended(start: Start) -> None:
    with pytest.raises(ModelFailed, match=r"it was not done after 1 s"):
        start(bounds=replace(SMALL, load_s_max=1.0), load="hang")


@pytest.mark.parametrize(
    ("deed", "says"),
    [
        pytest.param("raise it", "^the model failed: KeyError: 'it'$", id="raises"),
        pytest.param("refuse half \udcff", r"^the model failed: half \?$", id="half a character"),
        pytest.param(r"answer {'a': np.array(['\ud800'], object)}", "half a character", id="half a text"),
        pytest.param(r"answer {'\ud800': np.zeros(1)}", "half a character", id="half a name"),
        pytest.param("refuse no such colour", "^the model failed: no such colour$", id="refuses"),
        pytest.param("sys.exit 1", "the model failed: SystemExit", id="asks to exit"),
        pytest.param("want 100000000000", "it wanted more memory than it may use", id="wants 100 GB"),
        pytest.param("answer None", "the model answered None; it must answer columns by name", id="nothing"),
        pytest.param("answer {}", "the model answered nothing; every row needs an answer", id="no column"),
        pytest.param("answer {'a': np.zeros(2)}", "asked 1 rows and answered 2 rows in 'a'", id="too many rows"),
        pytest.param("answer {'a': np.float64(1)}", "asked 1 rows and answered one value in 'a'", id="one value"),
        pytest.param("answer {'a': [object()]}", "answered a value of type object in 'a'", id="an object"),
        pytest.param("answer {'a': np.zeros(1, complex)}", "answered NumPy's type complex128 in 'a'", id="complex"),
    ],
)
def test_what_goes_wrong_in_a_call_costs_that_call_only(start: Start, deed: str, says: str) -> None:
    runner = start()
    with pytest.raises(ModelFailed, match=says):
        runner.ask(ask_to(deed))
    assert told(runner.ask(ask_to("nothing"))) == ["done"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param("{'a': [1.5]}", [1.5], id="a list"),
        pytest.param("{'a': np.array(['x'])}", ["x"], id="NumPy's own text"),
        pytest.param("{'a': np.ones(1, np.float16)}", [1.0], id="half precision"),
        pytest.param("{'a': np.ones(1, '>i4')}", [1], id="the other byte order"),
        pytest.param("{'a': np.array([True], object)}", [True], id="objects that are bools"),
        pytest.param("{'a': np.arange(6)[::6]}", [0], id="not in one piece"),
    ],
)
def test_what_can_be_understood_of_an_answer_is(start: Start, answer: str, expected: list[object]) -> None:
    assert start().ask(ask_to(f"answer {answer}"))["a"].values.tolist() == expected


def test_what_is_missing_in_an_answer_is_null(start: Start) -> None:
    deed = "answer {'text': np.array(['x', None], object), 'when': np.array(['2026-01-01', 'NaT'], 'M8[ns]')}"
    answer = start().ask(ask_to(deed, deed))
    for column in answer.values():
        assert column.valid is not None
        assert column.valid.tolist() == [True, False]


@pytest.mark.parametrize(
    ("deed", "says"),
    [
        pytest.param("exit 0", 'the model\'s process ended: it left; it said last: "goodbye"', id="leaves"),
        pytest.param("exit 7", "it left with exit status 7", id="fails"),
        pytest.param("segfault", "it was ended by SIGSEGV", id="crashes"),
    ],
)
def test_a_process_that_ends_is_told_with_its_last_words(start: Start, deed: str, says: str) -> None:
    runner = start()
    with pytest.raises(Ended, match=says):
        runner.ask(ask_to(deed))
    with pytest.raises(Ended, match="has ended"):
        runner.ask(ask_to("nothing"))


def test_a_model_that_hangs_is_ended(start: Start) -> None:
    runner = start(bounds=replace(SMALL, call_s_max=0.5))
    with pytest.raises(Ended, match=r"it was not done after 0\.5 s, the most it may take"):
        runner.ask(ask_to("hang"))
    assert not lives(runner.pid)


def test_what_a_model_prints_stays_out_of_the_answers(start: Start) -> None:
    runner = start()
    assert told(runner.ask(ask_to("print 20000"))) == ["done"]
    with pytest.raises(Ended, match='it said last: "goodbye"'):
        runner.ask(ask_to("exit 1"))


ONE = b'[["a","int64",[],false]]'
TEXT = b'[["a","text",[],false]]'


def framed(head: bytes, body: bytes = b"", rows: int = 1, verb: int = frames.DONE) -> bytes:
    """A frame as a process would send it that means well."""
    return frames._PREFIX.pack(verb, len(head), rows, len(body)) + head + body


def eight(number: int) -> bytes:
    """A whole number as it lies in a body."""
    return number.to_bytes(8, "little", signed=True)


SAYINGS = {
    "nonsense": b"x" * 100,
    "a frame that is too large": frames._PREFIX.pack(100, 10, 1, 1 << 62),
    "a head that is too large": frames._PREFIX.pack(100, (1 << 32) - 1, 1, 0),
    "rows without end": framed(b"[]", rows=1 << 62),
    "no JSON": framed(b"[["),
    "JSON that is deep": framed(b"[" * 100_000),
    "an unknown type": framed(b'[["a","complex",[],false]]'),
    "a shape below zero": framed(b'[["a","int64",[-1],false]]', eight(1)),
    "a body that is too short": framed(ONE),
    "a body that is too long": framed(ONE, eight(1) * 2),
    "a text longer than the frame": framed(TEXT, eight(1 << 60)),
    "a text of negative length": framed(TEXT, eight(-1)),
    "text that is no UTF-8": framed(TEXT, eight(1) + bytes([255]) + bytes(7)),
    "one column twice": framed(b'[["a","int64",[],false],["a","int64",[],false]]', eight(1) * 2),
    "an error without words": framed(b"{}", rows=0, verb=frames.FAILED),
    "two answers": framed(ONE, eight(1)) * 2,
}


@pytest.mark.parametrize("saying", SAYINGS.values(), ids=SAYINGS)
def test_a_process_that_speaks_nonsense_is_ended(start: Start, saying: bytes) -> None:
    runner = start()
    with pytest.raises(Ended, match="what it answered cannot be read"):
        runner.ask(ask_to(f"say {saying.hex()}"))
    assert not lives(runner.pid)


def test_a_large_answer_that_never_comes_costs_nothing_but_its_time(start: Start) -> None:
    runner = start(bounds=replace(SMALL, call_s_max=1.0))
    promise = frames._PREFIX.pack(100, 24, 1, 400 << 20)
    before = Path("/proc/self/statm").read_text().split()[1]
    with pytest.raises(Ended, match="not done after 1 s"):
        runner.ask(ask_to(f"say {promise.hex()}"))
    after = Path("/proc/self/statm").read_text().split()[1]
    assert int(after) - int(before) < (50 << 20) // os.sysconf("SC_PAGE_SIZE")


def test_the_other_number_of_rows_is_no_answer_even_from_a_process_that_lies(start: Start) -> None:
    saying = framed(ONE, eight(1) * 2, rows=2).hex()
    with pytest.raises(ModelFailed, match="was asked 1 rows and answered 2"):
        start().ask(ask_to(f"say {saying}"))


@pytest.mark.parametrize("deed", ["fork", "spawn"])
def test_what_a_model_starts_ends_with_it(start: Start, deed: str) -> None:
    runner = start()
    child = int(told(runner.ask(ask_to(deed)))[0])
    assert lives(child)
    runner.close()
    assert ends(child)


@pytest.mark.parametrize("deed", ["fork", "spawn"])
def test_what_a_model_starts_ends_also_when_it_crashes(start: Start, deed: str) -> None:
    runner = start()
    child = int(told(runner.ask(ask_to(deed)))[0])
    with pytest.raises(Ended):
        runner.ask(ask_to("segfault"))
    assert ends(child)


def test_a_model_cannot_start_what_would_outlive_it(start: Start) -> None:
    with pytest.raises(ModelFailed, match=r"PermissionError|SubprocessError"):
        start().ask(ask_to("daemon"))


def test_a_model_ends_with_payoff(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from payoff.runner.guest import frames
from payoff.runner.runner import Runner
from tests.runner.conftest import KINDS, PYTHON, SMALL, ask_to, told
runner = Runner.start(PYTHON, "wild", Path("/m"), {{}}, SMALL, Path({str(tmp_path)!r}), kinds_path=KINDS)
print(runner.pid, flush=True)
runner.ask(ask_to("hang"))
"""
    with subprocess.Popen([PYTHON, "-c", script], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        assert lives(pid)
        worker.send_signal(signal.SIGKILL)
    assert ends(pid)


def test_memory_past_the_limit_fails_the_call_and_not_the_machine(start: Start) -> None:
    runner = start(bounds=Bounds(memory_bytes_max=300 << 20))
    with pytest.raises(ModelFailed, match=r"more memory than it may use \(0\.293 GiB\)"):
        runner.ask(ask_to(*[f"want {16 << 20}"] * 100))
    assert runner.rss_bytes < 400 << 20


@pytest.mark.parametrize("deed", ["hoard 1000000000", "brood 300000000"], ids=["shared", "children's"])
def test_memory_that_the_limit_of_the_kernel_does_not_count_ends_the_process(start: Start, deed: str) -> None:
    runner = start()
    with pytest.raises(Ended, match=r"with its children it held \S+ GiB of memory, and may hold 0.5 GiB"):
        runner.ask(ask_to(deed))
