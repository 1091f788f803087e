"""Before and beside an experiment, on the command line: what it prints and how it ends."""

import json
import os
import subprocess
import sys
from collections.abc import Callable

import httpx
import numpy as np
import pandas as pd
import pytest

import payoff
from payoff.demo.server import Server
from tests.shared import PATIENCE_S, until

FILE = """
endpoint: foresight
arms: {{champion: {{model: foresight, version: 1}}}}
decision: outputs.probability > 0.5
outcome: {{repaid: bool}}
value: case when decision then (case when outcome.repaid then 5 else -8 end) else 0 end
fallback: {{decision: false}}
guards:
  - {{when: loses money, against: fallback, error: 1%, gain_cap: {cap}, do: kill}}
"""
ROWS = 400
Say = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def say(server: Server) -> Say:
    """Runs `payoff` against an endpoint with recorded decisions."""
    client, rng = payoff.connect(server.api), np.random.default_rng(2)
    rule = payoff.rule("inputs.score", inputs={"score": "float64"}, output="probability")
    endpoint = client.deploy(rule, name="foresight")
    client.apply(FILE.format(cap=40))
    rows = pd.DataFrame({"score": rng.random(ROWS)})
    ids = endpoint.predict(rows)["prediction_id"]
    endpoint.outcomes(pd.DataFrame({"prediction_id": ids, "repaid": rng.random(ROWS) < 0.5 + rows["score"] / 2}))
    until(lambda: len(endpoint.matured(ROWS)) == ROWS, f"{ROWS} matured rows")
    environment = {**os.environ, "PAYOFF_URL": server.api}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "payoff.cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    return run


def test_a_guard_that_keeps_its_error_passes_the_self_test(say: Say) -> None:
    done = say("selftest", "foresight", "--runs", "40")
    assert done.returncode == 0, done.stderr
    assert "its error is kept" in done.stdout
    assert "tried on foresight v1 against fallback" in done.stdout


def test_a_cap_that_was_just_changed_is_tried_on_older_decisions_and_fails_with_status_1(
    say: Say, server: Server
) -> None:
    client = payoff.connect(server.api)
    client.apply(FILE.format(cap=0.5))
    try:
        done = say("selftest", "foresight", "--runs", "40", "--json")
    finally:
        client.apply(FILE.format(cap=40))
    assert done.returncode == 1, done.stdout
    assert json.loads(done.stdout)["passed"] is False


def test_a_candidate_is_valued_and_the_words_say_that_it_is_an_estimate(say: Say) -> None:
    done = say("evaluate", "foresight", "foresight:1", "--decision", "outputs.probability > 0.3")
    assert done.returncode == 0, done.stderr
    assert "foresight v1, deciding outputs.probability > 0.3, would have earned" in done.stdout
    assert "an estimate, not money" in done.stdout


def test_a_candidate_that_nothing_is_known_of_ends_with_status_1(say: Say) -> None:
    done = say("evaluate", "foresight", "foresight:1", "--method", "ips")
    assert done.returncode == 1
    assert "no decision with a known value was drawn by chance" in done.stdout


def test_power_takes_the_record_of_an_endpoint(say: Say, server: Server) -> None:
    done = say("power", "foresight", "--effect", "-2", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (
        found
        == httpx.get(f"{server.api}/api/endpoints/foresight/power", params={"effect": -2}, timeout=PATIENCE_S).json()
    )
    assert found["gain_cap"] == 40
