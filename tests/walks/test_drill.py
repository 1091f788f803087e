"""A fire drill from end to end: a losing model on a copy is stopped, and the endpoint itself knows nothing of it."""

import json
import os
import subprocess
import sys
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

RULE = "rule: inputs.score\noutput: probability\ninputs: {score: float64}\n"
FILE = """
endpoint: {name}
arms:
  champion: {{model: loans, version: 1}}
decision: outputs.probability > 0.5
outcome: {{repaid: bool}}
value: case when decision then (case when outcome.repaid then 5 else -8 end) else 0 end
fallback: {{decision: false}}
"""
GUARD = "guards:\n  - {{when: loses money, against: fallback, error: 1%, gain_cap: 10, do: kill}}\n"
ROWS, PIECE = 1_000, 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A payoff with the rule as the model `loans`, on an endpoint of that name."""
    folder = tmp_path_factory.mktemp("drill")
    with running(folder / "home", workers=2) as found:
        deploy(payoff.connect(found.api), folder)
        yield found


def deploy(client: payoff.Client, folder: Path) -> None:
    (folder / "loans.yaml").write_text(RULE)
    client.deploy(str(folder / "loans.yaml"), name="loans")


def applied(server: Server, name: str, file: str) -> payoff.Endpoint:
    """An endpoint called so."""
    client = payoff.connect(server.api)
    client.apply(file.format(name=name))
    return client.endpoint(name)


def traffic(endpoint: payoff.Endpoint) -> None:
    """Rows and their outcomes in turn, as on a day."""
    rng = np.random.default_rng(8)
    for _ in range(ROWS // PIECE):
        score = rng.random(PIECE)
        ids = endpoint.predict(pd.DataFrame({"score": score}))["prediction_id"]
        endpoint.outcomes(pd.DataFrame({"prediction_id": ids, "repaid": rng.random(PIECE) < 0.5 + score / 2}))
    settled(endpoint, ROWS)


def settled(endpoint: payoff.Endpoint, rows: int) -> None:
    """Wait until so many decisions count: the last are left to settle for a moment."""
    until(lambda: len(endpoint.matured(rows)) == rows, f"{rows} decisions count")


def say(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PAYOFF_URL": server.api}
    return subprocess.run(
        [sys.executable, "-m", "payoff.cli.main", *words], capture_output=True, text=True, env=environment, check=False
    )


def state(client: payoff.Client) -> dict[str, Any]:
    """What a drill must not change."""
    rows = client.sql_rows("select count(*), max(id) from loans.predictions")["rows"]
    return {
        "rows": rows,
        "revisions": client.endpoint("loans").revisions(),
        "orders": client.orders("loans"),
        "arms": client.endpoint("loans").describe()["arms"],
    }


def is_nowhere(server: Server) -> bool:
    """The copy: not at the door, in no list, and nobody is unwell for want of it."""
    client = payoff.connect(server.api)
    copies = {one["endpoint"] for one in client.orders(limit=1_000) if ".drill" in one["endpoint"]}
    doors = [f"{server.inference}/predict/{one}" for one in copies]
    asked = {httpx.post(door, json=[{"score": 0.9}], timeout=120).status_code for door in doors}
    told = "".join(say(server, *words).stdout for words in (["endpoints"], ["roi"], ["roi", "--json"]))
    pages = "".join(httpx.get(f"{server.api}{path}", timeout=120).text for path in ("/", "/api/docs", "/api/roi/page"))
    until(lambda: all(part["state"] != "failed" for part in client.health()["parts"]), "no part is unwell")
    return asked <= {404} and "loans" in told and ".drill" not in told + pages


@pytest.mark.slow
def test_a_drill_stops_a_losing_copy_and_leaves_no_trace_but_its_finding(home: Path, tmp_path: Path) -> None:
    with running(home, workers=2) as server:
        client = payoff.connect(server.api)
        deploy(client, tmp_path)
        traffic(applied(server, "loans", FILE + GUARD))
        before = state(client)
        done = say(server, "drill", "loans", "--rows", str(ROWS), "--loss", "2", "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        found = json.loads(done.stdout)
        assert found["passed"]
        assert found["failed_requests"] == 0
        assert found["decided_by"] == "guard: loses money"
        assert 0 < found["plug"]["decisions"] < found["rows"] == ROWS // 2
        assert found["plug"]["lost"] < found["lost_in_all"]
        assert found["kill_s"] > 0
        assert state(client) == before
        assert is_nowhere(server)
        (finding,) = [one for one in client.findings("loans") if one["monitor"] == "drill"]
        assert finding["text"] == found["text"]
        again = say(server, "drill", "loans", "--rows", str(ROWS), "--loss", "2")
        assert again.returncode == 0, again.stderr + again.stdout
        assert "a fixed threshold" in again.stdout
        assert "Stopped by guard: loses money" in again.stdout
    with running(home, workers=2) as server:
        assert is_nowhere(server)
        assert state(payoff.connect(server.api)) == before
        assert say(server, "predict", "loans", "--help").returncode == 0
        assert "last drill: never" not in say(server, "roi", "loans").stdout


@pytest.mark.slow
def test_a_drill_without_a_guard_or_without_outcomes_is_refused_with_words(server: Server) -> None:
    applied(server, "loans", FILE)
    unguarded = say(server, "drill", "loans")
    assert unguarded.returncode == 1
    assert "no guard that kills" in unguarded.stderr
    applied(server, "loans", FILE + GUARD).predict(pd.DataFrame({"score": np.linspace(0, 1, 300)}))
    unheard = say(server, "drill", "loans")
    assert unheard.returncode == 1
    assert "a drill needs 200" in unheard.stderr
    unknown = say(server, "drill", "loams")
    assert unknown.returncode == 1
    assert "loans" in unknown.stderr
    assert is_nowhere(server)


@pytest.mark.slow
def test_rows_recorded_with_a_column_that_is_no_longer_sent_are_replayed_without_it(server: Server) -> None:
    loans = applied(server, "routed", FILE + GUARD + "route: {{by: customer}}\n")
    score = np.random.default_rng(8).random(400)
    rows = pd.DataFrame({"score": score, "customer": [f"c{n}" for n in range(400)]})
    ids = loans.predict(rows)["prediction_id"]
    loans.outcomes(pd.DataFrame({"prediction_id": ids, "repaid": score > 0.5}))
    settled(loans, 400)
    applied(server, "routed", FILE + GUARD)
    done = say(server, "drill", "routed", "--rows", "400", "--loss", "4")
    assert "0 failed requests." in done.stdout
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.slow
def test_a_model_that_loses_too_little_to_be_seen_is_told_and_the_drill_fails(server: Server) -> None:
    traffic(applied(server, "little", FILE + GUARD))
    done = say(server, "drill", "little", "--rows", "400", "--loss", "0.001")
    assert done.returncode == 1
    assert "Nothing stopped it" in done.stdout
    assert is_nowhere(server)


@pytest.mark.slow
def test_where_the_outcome_depends_on_the_decision_the_hold_out_of_the_copy_does_not_lose(server: Server) -> None:
    held = "outcome_depends_on_decision: true\nholdout: 30%\n"
    traffic(applied(server, "held", FILE + held + GUARD.replace("fallback", "holdout")))
    found = json.loads(say(server, "drill", "held", "--rows", str(ROWS), "--loss", "6", "--json").stdout)
    assert found["passed"], found
    assert found["decided_by"] == "guard: loses money"
    assert is_nowhere(server)


@pytest.mark.slow
def test_rows_that_count_when_their_window_has_passed_are_drilled_too_outcome_or_not(server: Server) -> None:
    counts = "matures: window\noutcome_window: 2s\nno_outcome: counts\n"
    worth = FILE.replace("outcome.repaid then 5 else -8", "outcome.repaid is null then 5 else -8")
    rng, endpoint = np.random.default_rng(8), applied(server, "windowed", worth + counts + GUARD)
    ids = endpoint.predict(pd.DataFrame({"score": rng.random(ROWS)}))["prediction_id"]
    endpoint.outcomes(pd.DataFrame({"prediction_id": ids[rng.random(ROWS) < 0.2], "repaid": False}))
    settled(endpoint, ROWS)
    found = json.loads(say(server, "drill", "windowed", "--rows", str(ROWS), "--loss", "2", "--json").stdout)
    assert found["passed"], found
    assert found["rows"] == ROWS // 2


@pytest.mark.slow
def test_an_incident_of_the_past_is_replayed_as_it_was(server: Server) -> None:
    client, rng = payoff.connect(server.api), np.random.default_rng(3)
    endpoint = applied(server, "past", "context: {{branch: text}}" + FILE + GUARD)

    def killed_by_losses() -> bool:
        frame = pd.DataFrame({"score": 0.5 + rng.random(25) / 2, "branch": "north"})
        ids = endpoint.predict(frame)["prediction_id"]
        endpoint.outcomes(pd.DataFrame({"prediction_id": ids, "repaid": rng.random(25) < 0.4}))
        return any(one["verb"] == "kill" for one in client.orders("past"))

    until(killed_by_losses, "a kill, for it loses money")
    kills = [one for one in client.orders("past") if one["verb"] == "kill"]
    done = say(server, "drill", "past", "--incident", str(kills[0]["id"]), "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)
    assert found["before"] == 0
    assert found["injected"].startswith("what was recorded, -")
    assert 0 < found["plug"]["lost"] <= found["lost_in_all"]
    assert found["decided_by"] == "guard: loses money"
    told = say(server, "drill", "past", "--incident", "77777")
    assert told.returncode == 1
    assert f"kills so far: {kills[0]['id']}" in told.stderr
