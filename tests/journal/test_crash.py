"""kill -9 at any moment: what was flushed is in the journal, once."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from payoff.journal.compact import compact
from tests.journal.conftest import House
from tests.shared import until

WRITER = """
import os, sys
from pathlib import Path
import numpy as np
from payoff.journal.frame import Noted, Stream
from payoff.journal.ids import Ids, text
from payoff.journal.writer import Writer
from payoff.records.columns import Column
from payoff.records.signature import Field, Type
ids = Ids(int(sys.argv[2]))
writer = Writer(Path(sys.argv[1], "journal"), f"worker-{sys.argv[2]}", segment_bytes_max=20_000)
stream = Stream("predictions", "e", columns=(("inputs", Field("x", Type.INT64)), ("inputs", Field("s", Type.TEXT))))
turn = 0
while True:
    n = 1 + turn % 40
    high, low = ids.take(n)
    zeros = np.zeros(n, np.int64)
    words = Column(np.array(["word"] * n, object))
    writer.note(stream, Noted(n, high, low, zeros, zeros, zeros, None, "", {"x": Column(zeros), "s": words}, {}))
    writer.flush()
    os.write(1, (" ".join(text(high, low)) + "\\n").encode())
    turn += 1
"""
TOLD_BYTES_MIN = 60 * 37  # that many ids
COMPACT = """
import os, signal, sys, time, traceback
from pathlib import Path
from payoff.journal.compact import compact
from payoff.journal.tables import DeltaTable

def dying(real):
    def act(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return act

def compacted(home, calls):
    global left
    if left := calls:
        os.fsync, Path.rename, Path.unlink = dying(os.fsync), dying(Path.rename), dying(Path.unlink)
        DeltaTable.create_write_transaction = dying(DeltaTable.create_write_transaction)
        DeltaTable.update_incremental = dying(DeltaTable.update_incremental)
    code = 1
    try:
        compact(Path(home))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)

for line in sys.stdin:
    calls, kill_s, home = line.rstrip().split(" ", 2)
    began_s, kill_s = time.perf_counter(), float(kill_s)
    pid = os.fork() or compacted(home, int(calls))
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.perf_counter() - began_s >= kill_s:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)
    print(os.waitstatus_to_exitcode(ended[1]), time.perf_counter() - began_s, flush=True)
"""
Compact = Callable[..., tuple[int, float]]


@pytest.fixture(scope="module")
def compacted() -> Iterator[Compact]:
    """Compactions in processes of their own, forked by one that has imported what it takes: exit code, and seconds.

    They die on the n-th of `calls` to the disk, or after `kill_s`.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", COMPACT], stdin=pipe, stdout=pipe, text=True) as forks:
        asked, told = forks.stdin, forks.stdout
        assert asked is not None
        assert told is not None

        def compacted(home: Path, calls: int = 0, kill_s: float = math.inf) -> tuple[int, float]:
            asked.write(f"{calls} {kill_s} {home}\n")
            asked.flush()
            code, took_s = told.readline().split()
            return int(code), float(took_s)

        yield compacted


def _start(home: Path, name: int) -> tuple["subprocess.Popen[bytes]", Path]:
    """A writer, and the file in which it notes what it has flushed."""
    told = home / f"told-{name}"
    with told.open("wb") as out:
        return subprocess.Popen([sys.executable, "-c", WRITER, str(home), str(name)], stdout=out), told


def _told(told: Path) -> set[str]:
    """The ids said to be flushed, up to the last whole line: a torn line was not told to anybody."""
    return {each for line in told.read_bytes().split(b"\n")[:-1] for each in line.decode().split()}


def _seen(house: House) -> tuple[int, set[str]]:
    rows = house.rows("select id from predictions")
    return len(rows), {str(row[0]) for row in rows}


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_it_flushed(house: House) -> None:
    chance = random.Random(7)
    told: set[str] = set()
    for turn in range(6):
        started = [_start(house.home, turn * 3 + each) for each in range(3)]
        for writer, file in started:
            until(lambda w=writer, f=file: f.stat().st_size >= TOLD_BYTES_MIN or w.poll() is not None, "it has begun")  # type: ignore[misc]
        time.sleep(chance.random() * 0.1)  # the moment of death is what is tested here
        for writer, _ in started:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        told |= {each for _, file in started for each in _told(file)}
        if turn % 3 == 2:
            compact(house.home)
        n, seen = _seen(house)
        assert n == len(seen)
        assert told <= seen
    assert len(told) > 1000
    compact(house.home)
    n, seen = _seen(house)
    assert n == len(seen)
    assert told <= seen


@pytest.mark.slow
def test_a_killed_compaction_neither_loses_nor_repeats_a_row(house: House, compacted: Compact) -> None:
    chance = random.Random(11)
    made: set[str] = set()
    whole_s = 0.0  # of the last one that was left alone, on this machine
    turn = killed = 0
    while killed < 8:
        assert turn < 200, f"{killed} of {turn} were killed before they were through"
        for each in range(3):
            writer = house.writer(f"w{each}")
            predictions = house.answer(writer, range(200))
            house.learn(writer, predictions[:50], [True] * 50)
            made |= set(predictions)
            writer.close()
        code, took_s = compacted(house.home, kill_s=chance.random() * whole_s if turn % 5 else math.inf)
        assert code in (0, -signal.SIGKILL)
        whole_s, killed, turn = whole_s if code else took_s, killed + bool(code), turn + 1
        n, seen = _seen(house)
        assert (n, seen) == (len(made), made), f"turn {turn}"
        assert house.rows("select count(*) from outcome_log") == [(turn * 150,)]
    compact(house.home)
    assert _seen(house) == (len(made), made)


@pytest.mark.slow
@pytest.mark.parametrize("calls", range(1, 32, 2))
def test_a_compaction_killed_between_any_two_writes_to_the_disk_is_finished(
    house: House, compacted: Compact, calls: int
) -> None:
    """Dies the n-th time it is about to sync, rename or delete: every point that matters is one of them."""
    made: list[str] = []
    for turn in range(2):
        writer = house.writer()
        made += house.answer(writer, range(50))
        house.learn(writer, made[:10], [True] * 10)
        writer.close()
        if turn == 0:
            compact(house.home)
    assert compacted(house.home, calls)[0] in (0, -signal.SIGKILL)
    for _ in range(2):
        n, seen = _seen(house)
        assert (n, sorted(seen)) == (100, made)
        assert house.rows("select count(*), count(distinct id) from outcome_log") == [(20, 20)]
        compact(house.home)
    assert list((house.home / "journal").glob("*.seg")) == []
