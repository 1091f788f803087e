"""A model in its own process that crashes: one row costs its own caller an error, three crashes in a row the model."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import payoff
from payoff.demo.server import Server, running
from tests.shared import until

CALLERS = 6
MODEL = """
import os

import numpy as np


class Brittle:
    @classmethod
    def load(cls, path):
        return cls()

    def predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if (columns["x"] == 13).any():
            os._exit(3)
        return {"y": 2.0 * columns["x"]}
"""
FILE = """
endpoint: brittle
arms: {champion: {model: brittle, version: 1}}
decision: outputs.y > 0
fallback: {decision: false}
"""


class Caller(threading.Thread):
    """A client that asks rows of its own without pause, and keeps what it heard."""

    def __init__(self, url: str, start: float) -> None:
        super().__init__()
        self.url, self.x = url, start
        self.heard: list[tuple[float, httpx.Response]] = []
        self.leave = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=120) as client:
            while not self.leave.is_set():
                self.x += 1
                self.heard.append((self.x, client.post(self.url, json=[{"x": self.x}])))


@pytest.fixture
def brittle(home: Path, tmp_path: Path) -> Iterator[Server]:
    """A running payoff with the model, and no fallback yet."""
    folder = tmp_path / "brittle"
    folder.mkdir()
    (folder / "model.py").write_text(MODEL)
    (folder / "requirements.txt").write_text("numpy\n")
    sample = tmp_path / "sample.json"
    sample.write_text(json.dumps([{"x": x / 2} for x in range(20)]))
    with running(home, workers=1) as server:
        payoff.connect(server.api).deploy(folder, "brittle", sample=sample)
        yield server


def ask(server: Server, x: float) -> httpx.Response:
    return httpx.post(f"{server.inference}/predict/brittle", json=[{"x": x}], timeout=120)


def orders(server: Server) -> list[dict[str, str]]:
    """What `payoff orders` prints."""
    command = [sys.executable, "-m", "payoff.cli.main", "orders", "brittle", "--json", "--url", server.api]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_row_that_ends_the_process_fails_its_own_call_and_no_other(brittle: Server) -> None:
    callers = [Caller(f"{brittle.inference}/predict/brittle", 1_000.0 * (n + 1)) for n in range(CALLERS)]
    for caller in callers:
        caller.start()
    for _ in range(3):
        goals = [len(caller.heard) + 5 for caller in callers]
        until(
            lambda goals=goals: all(len(one.heard) >= goal for one, goal in zip(callers, goals, strict=True)),  # type: ignore[misc]
            "every other caller is answered",
        )
        reply = ask(brittle, 13)
        assert (reply.status_code, reply.json()["kind"]) == (422, "model_failed")
        assert "the model's process ended" in reply.json()["error"]
    for caller in callers:
        caller.leave.set()
    for caller in callers:
        caller.join()
    heard = [one for caller in callers for one in caller.heard]
    assert {reply.status_code for _, reply in heard} == {200}
    assert all(reply.json()["predictions"][0]["y"] == 2 * x for x, reply in heard)


@pytest.mark.slow
def test_after_three_crashes_in_a_row_the_fallback_answers_and_the_kill_stands_in_the_orders(brittle: Server) -> None:
    client = payoff.connect(brittle.api)
    client.apply(FILE)
    assert ask(brittle, 4).json()["predictions"][0]["y"] == 8
    for _ in range(3):
        row = ask(brittle, 13).json()["predictions"][0]
        assert (row["arm"], row["decision"]) == ("fallback", False)
        assert "the model's process ended" in row["why"]
    row = ask(brittle, 4).json()["predictions"][0]
    assert row["arm"] == "fallback"
    until(lambda: any(order["verb"] == "kill" for order in orders(brittle)), "a kill order")
    (kill,) = [order for order in orders(brittle) if order["verb"] == "kill"]
    assert kill["author"] == "guard: keeps crashing"
    assert "3 times in a row" in kill["reason"]
    client.endpoint("brittle").revive("mended")
    assert ask(brittle, 4).json()["predictions"][0]["y"] == 8
