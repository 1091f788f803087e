"""Promise 1: an answered prediction is never lost, whoever is killed, whenever."""

import os
import random
import signal
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

import payoff
from payoff.demo.server import Server, running
from payoff.journal.query import Journal
from tests.shared import until
from tests.walks import models

ROUNDS = 5


class Caller(threading.Thread):
    """A client that asks without pause and remembers every id it got an answer for."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.ids: list[str] = []
        self.wrong = 0
        self.leave = threading.Event()

    def run(self) -> None:
        client = httpx.Client(timeout=60)
        number = 0
        while not self.leave.is_set():
            number += 1
            try:
                reply = client.post(self.url, json=[{"x": number}])
            except httpx.HTTPError:
                time.sleep(0.01)
                continue
            if reply.status_code == 200:
                row = reply.json()["predictions"][0]
                self.ids.append(row["prediction_id"])
                self.wrong += row["y"] != 2 * number


def victims(server: Server, who: str) -> list[int]:
    """The processes that die in this round."""
    own = models.children(server.pid)
    if who == "everything":
        return [server.pid, *own]
    return [pid for pid in own if who in models.command(pid)][:1]


@pytest.mark.slow
@pytest.mark.parametrize("who", ["payoff.gateway.worker", "payoff.api.control", "everything"])
def test_every_answer_a_client_saw_is_in_the_journal_once_whoever_is_killed(
    who: str, home: Path, tmp_path: Path
) -> None:
    chance = random.Random(who)
    ids: list[str] = []
    with ExitStack() as stack:
        server = stack.enter_context(running(home, workers=2))
        payoff.connect(server.api).deploy(str(models.saved(tmp_path, 2)), name="times")
        for _ in range(ROUNDS):
            callers = [Caller(f"{server.inference}/predict/times") for _ in range(4)]
            for caller in callers:
                caller.start()
            until(
                lambda callers=callers: sum(len(caller.ids) for caller in callers) >= 20,  # type: ignore[misc]
                "what was killed answers again",
            )
            time.sleep(chance.uniform(0.05, 0.4))
            for pid in victims(server, who):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(chance.uniform(0.05, 0.4))
            for caller in callers:
                caller.leave.set()
            for caller in callers:
                caller.join()
            assert sum(caller.wrong for caller in callers) == 0
            ids += [id_ for caller in callers for id_ in caller.ids]
            if who == "everything":
                stack.close()
                server = stack.enter_context(running(home, workers=2))
        after = Caller(f"{server.inference}/predict/times")
        after.start()
        until(lambda: after.ids, "somebody answers after the last kill")
        after.leave.set()
        after.join()
    ids += after.ids
    found = [id_ for (id_,) in Journal(home).connect().sql("select id from predictions").fetchall()]
    assert len(ids) > 20 * ROUNDS
    assert len(found) == len(set(found))
    assert set(ids) <= set(found)
