"""Promises 2 and 3: no call is dropped by a change, and a kill acts everywhere when it is answered."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import payoff
from payoff.demo.server import Server, running
from tests.shared import until
from tests.walks import models

CONNECTIONS = 8
Heard = tuple[float, float, int, dict[str, object]]

FILE = """
endpoint: killed
arms: {champion: {model: killed, version: 1}}
decision: outputs.y > 0
fallback: {decision: false}
"""


class Caller(threading.Thread):
    """A client on one connection; keeps when each answer was asked for and came, its status and its row."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.heard: list[Heard] = []
        self.leave = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=120) as client:
            while not self.leave.is_set():
                asked = time.monotonic()
                reply = client.post(self.url, json=[{"x": 3}])
                row = reply.json()["predictions"][0] if reply.status_code == 200 else {}
                self.heard.append((asked, time.monotonic(), reply.status_code, row))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("swaps") / "home", workers=2) as found:
        yield found


def calling(server: Server, folder: Path, name: str) -> list[Caller]:
    """Clients of an endpoint called so, which begin at once."""
    payoff.connect(server.api).deploy(str(models.saved(folder, 1)), name=name)
    callers = [Caller(f"{server.inference}/predict/{name}") for _ in range(CONNECTIONS)]
    for caller in callers:
        caller.start()
    return callers


def until_heard(callers: list[Caller], more: int) -> None:
    """Wait until every caller has heard so many answers to what it asks from now on."""
    goals = [len(caller.heard) + 1 + more for caller in callers]  # one may be on its way
    until(
        lambda: all(len(caller.heard) >= goal for caller, goal in zip(callers, goals, strict=True)),
        "every caller is answered",
    )


def finish(callers: list[Caller]) -> list[Heard]:
    for caller in callers:
        caller.leave.set()
    for caller in callers:
        caller.join()
    return [one for caller in callers for one in caller.heard]


@pytest.mark.slow
def test_ten_deployments_under_load_fail_no_call_and_give_no_wrong_answer(server: Server, tmp_path: Path) -> None:
    client, callers = payoff.connect(server.api), calling(server, tmp_path, "times")
    for factor in range(2, 12):
        until_heard(callers, 1)
        client.deploy(str(models.saved(tmp_path, factor)), name="times")
    until_heard(callers, 1)
    heard = finish(callers)
    assert {status for _, _, status, _ in heard} == {200}
    assert all(row["y"] == 3 * int(str(row["version"])) for _, _, _, row in heard)
    assert {row["version"] for _, _, _, row in heard} == set(range(1, 12))


@pytest.mark.slow
def test_once_a_kill_is_given_no_worker_asks_the_model_and_no_call_fails(server: Server, tmp_path: Path) -> None:
    client, callers = payoff.connect(server.api), calling(server, tmp_path, "killed")
    client.apply(FILE)
    until_heard(callers, 5)
    client.endpoint("killed").kill("a drill")
    given = time.monotonic()
    until_heard(callers, 5)
    heard = finish(callers)
    assert {status for _, _, status, _ in heard} == {200}
    by_fallback = [row for _, _, _, row in heard if row["arm"] == "fallback"]
    assert all(row["decision"] is False and "killed" in str(row["why"]) for row in by_fallback)
    assert {row["arm"] for asked, _, _, row in heard if asked > given} == {"fallback"}
