"""What a bank would do in a week, in a minute: hold out, ramp, lose money, be stopped, also while the model hangs."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

import payoff
from payoff.demo.server import Server, running
from tests.shared import until
from tests.walks import models

RULE = "rule: inputs.score\noutput: probability\ninputs: {score: float64}\n"
OTHER = "rule: 0.9 * inputs.score + 0.05\noutput: probability\ninputs: {score: float64}\n"
FILE = """
endpoint: loans
arms:
  champion: {model: loans, version: 1}
context: {amount: float64}
route: {by: customer}
decision: outputs.probability > 0.5
outcome: {repaid: bool}
value: case when decision then (case when outcome.repaid then 5 else -20 end) else 0 end
holdout: 10%
explore: 10%
ramp: {steps: [20%, 50%], loss_budget: 100000, step_decisions: 20}
guards:
  - {when: loses money, against: fallback, error: 1%, gain_cap: 20, do: kill}
fallback: {decision: false}
"""
HANGS = """
import time

import numpy as np


class Hangs:
    @classmethod
    def load(cls, path):
        return cls()

    def predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if (columns["x"] == 13).any():
            time.sleep(3600)
        return {"y": 2.0 * columns["x"]}
"""


@pytest.fixture
def loans(home: Path, tmp_path: Path) -> Iterator[Server]:
    """A running payoff with one rule as a model."""
    (tmp_path / "loans.yaml").write_text(RULE)
    (tmp_path / "other.yaml").write_text(OTHER)
    with running(home, workers=2) as server:
        client = payoff.connect(server.api)
        client.deploy(str(tmp_path / "loans.yaml"), name="loans")
        client.apply(FILE)
        yield server


def ask(client: payoff.Client, rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"score": rng.random(rows), "amount": 10.0, "customer": [f"c{n}" for n in rng.integers(0, 500, rows)]}
    )
    return frame.join(client.endpoint("loans").predict(frame).drop(columns=["probability"]))


def tell(client: payoff.Client, rows: pd.DataFrame, good: bool) -> None:
    """High scores repay; or, when the world has turned, they are the ones that do not."""
    repaid = (rows["score"] > 0.3) if good else (rows["score"] < 0.3)
    client.endpoint("loans").outcomes(pd.DataFrame({"prediction_id": rows["prediction_id"], "repaid": repaid}))


def orders(client: payoff.Client) -> list[str]:
    return [f"{order['verb']} by {order['author']}" for order in reversed(client.orders("loans"))]


def await_order(client: payoff.Client, words: str) -> None:
    until(lambda: words in orders(client), words)


@pytest.mark.slow
def test_hold_out_explore_ramp_and_a_stop_when_the_world_turns(loans: Server, tmp_path: Path) -> None:
    client = payoff.connect(loans.api)
    rows = ask(client, 2_000, 1)
    tell(client, rows, good=True)
    held, drawn = (rows["why"].str.startswith(word) for word in ("hold-out", "explore"))
    assert 0.06 < held.mean() < 0.14
    assert 0.05 < drawn.mean() < 0.13
    recorded = client.sql("select choice, share, propensity, count(*) as n from loans.predictions group by all")
    by = {(row.choice, row.share): row.propensity for row in recorded.itertuples()}
    assert set(by) == {("", 0.9), ("explore", 0.9), ("holdout", 0.1)}
    assert by["holdout", 0.1] == 1
    client.deploy(str(tmp_path / "other.yaml"), name="loans", endpoint="loans", as_="challenger")
    assert client.endpoint("loans").describe()["arms"][1]["traffic"] == 0.2
    tell(client, ask(client, 200, 2), good=True)
    await_order(client, "ramp by guard: ramp")
    turned = ask(client, 2_000, 3)
    tell(client, turned, good=False)
    await_order(client, "kill by guard: loses money")
    page = client.endpoint("loans").roi_page()
    assert "the fallback on the same rows" in page  # what the guard compares with comes first
    sides = {one["side"] for one in client.endpoint("loans").matured(5_000)}
    assert {"holdout", "loans v1"} <= sides
    verdict = subprocess.run(
        [sys.executable, "-m", "payoff.cli.main", "verdict", "loans", "--explain", "--url", loans.api],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "loses money" in verdict
    assert client.verify_orders()["whole"]


def runner_of(server: Server) -> int:
    """The process of the model: the youngest that a worker, or its zygote, made."""
    found = [server.pid]
    for pid in found:
        found += models.children(pid)
    return max((pid for pid in found if "guest" in models.command(pid)), key=models.started)


def waiting_rows(server: Server) -> float:
    """How many rows wait for an answer."""
    said = httpx.get(f"{server.inference}/metrics", timeout=120).text
    return sum(float(line.split()[-1]) for line in said.splitlines() if line.startswith("payoff_queue_rows"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hangs", "stopped", "dead"])
def test_a_kill_works_while_the_model_hangs_or_is_dead(home: Path, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "hangs"
    folder.mkdir()
    (folder / "model.py").write_text(HANGS)
    (folder / "requirements.txt").write_text("numpy\n")
    sample = tmp_path / "sample.json"
    sample.write_text(json.dumps([{"x": x / 2} for x in range(20)]))
    with running(home, workers=1) as server:
        client = payoff.connect(server.api)
        client.deploy(folder, "hangs", sample=sample)
        client.apply(
            "endpoint: hangs\narms: {champion: {model: hangs, version: 1}}\ndecision: outputs.y > 0\n"
            "fallback: {decision: false}\n"
        )
        url = f"{server.inference}/predict/hangs"
        waiting: list[Any] = []
        first = threading.Thread(target=lambda: waiting.append(httpx.post(url, json=[{"x": 13}], timeout=120)))
        stopped = None
        if how == "hangs":
            first.start()
            until(lambda: waiting_rows(server) == 1, "the call has come to the worker")
        else:
            stopped = runner_of(server)
            os.kill(stopped, signal.SIGSTOP if how == "stopped" else signal.SIGKILL)
        client.endpoint("hangs").kill("it does not answer")
        for x in range(20):
            row = httpx.post(url, json=[{"x": x}], timeout=120).json()["predictions"][0]
            assert (row["arm"], row["decision"]) == ("fallback", False)
        if how == "hangs":
            first.join()
            assert waiting[0].status_code == 200
            assert waiting[0].json()["predictions"][0]["arm"] == "fallback"
        if how == "stopped" and stopped is not None:
            os.kill(stopped, signal.SIGKILL)
