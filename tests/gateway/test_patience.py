"""What callers say of their patience is held to at a real worker, beside models quick, slow and with a cache."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from payoff.records import Arm, Policy, Revision, Role, Served
from payoff.records.endpoint import Cache
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.gateway.test_worker import SIGNATURE, reported, worker
from tests.shared import PATIENCE_S, until
from tests.walks import models


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    made = {"slow": models.slow(3), "quick": models.times(2), "kept": models.times(5)}
    for name, model in made.items():
        arm = Arm("champion", Role.CHAMPION, name, 1, Served("onnx", Blobs(path / "artifacts").put(model), SIGNATURE))
        policy = Policy(cache=Cache(600.0) if name == "kept" else None)
        live.publish(path, Revision(name, 1, 0, "me", "", (arm,), policy))
    return path


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with worker(home) as found:
        for name in ("slow", "quick", "kept"):  # each is loaded, and measured
            assert ask(found, name, [1.0]).status_code == 200
        yield found


def ask(url: str, name: str, xs: list[float], **headers: Any) -> httpx.Response:
    said = {f"payoff-{key.replace('_', '-')}": str(value) for key, value in headers.items()}
    return httpx.post(f"{url}/predict/{name}", json={"x": xs}, headers=said, timeout=PATIENCE_S)


@contextmanager
def occupied(url: str) -> Iterator[None]:
    """The slow model has rows to compute all the while."""
    enough = Event()

    def ask_on() -> None:
        while not enough.is_set():
            assert ask(url, "slow", list(range(40))).json()["columns"]["y"] == [3.0 * x for x in range(40)]

    with ThreadPoolExecutor(2) as threads:  # one call waits while the other is computed
        callers = [threads.submit(ask_on) for _ in range(2)]
        try:
            yield
        finally:
            enough.set()
        for caller in callers:
            caller.result()


def late(url: str) -> httpx.Response | None:
    """What a caller with little time hears; None if it had its turn in time."""
    answer = ask(url, "slow", [1.0], timeout_ms=1)
    return None if answer.status_code == 200 else answer


def test_a_call_behind_a_slow_one_is_given_up_when_its_time_is_over(url: str) -> None:
    with occupied(url):
        answer = until(lambda: late(url), "a call that has no turn in time")
    assert (answer.status_code, answer.json()["kind"]) == (504, "deadline_exceeded")
    assert "its time was over before its turn; nothing was done" in answer.json()["error"]


def test_quick_and_slow_models_answer_side_by_side(url: str) -> None:
    with occupied(url):
        for x in range(10):
            assert ask(url, "quick", [x], priority=5, timeout_ms=600_000).json()["predictions"][0]["y"] == 2.0 * x


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("timeout_ms", "0", "payoff-timeout-ms is '0'; expected a whole number from 1 to 86,400,000"),
        ("timeout_ms", "soon", "payoff-timeout-ms is 'soon'; expected a whole number"),
        ("priority", "11", "payoff-priority is '11'; expected a whole number from 0 to 10"),
        ("priority", "-1", "payoff-priority is '-1'; expected"),
    ],
)
def test_headers_that_cannot_be_meant_are_refused(url: str, name: str, value: str, words: str) -> None:
    answer = ask(url, "quick", [1.0], **{name: value})
    assert (answer.status_code, answer.json()["kind"]) == (400, "bad_input")
    assert answer.json()["error"].startswith(words)


def test_an_answer_from_the_cache_says_so(url: str) -> None:
    whys = [ask(url, "kept", [x]).json()["predictions"][0]["why"] for x in (7, 8, 7)]
    assert whys == ["champion", "champion", "champion, from the cache"]


def test_the_control_plane_is_told_how_each_model_is_computed(home: Path, url: str) -> None:
    status = reported(home, lambda status: len(status.resident) == 3)
    found = {one.model: one for one in status.resident}
    assert {name: one.threaded for name, one in found.items()} == {"slow": True, "quick": False, "kept": False}
    assert found["slow"].engine.startswith("cpu, ")
    assert found["slow"].one_row_us is not None
    assert found["quick"].one_row_us is not None
    assert found["slow"].one_row_us > 2_000 > found["quick"].one_row_us
    assert found["quick"].rows_max > found["slow"].rows_max >= 1
