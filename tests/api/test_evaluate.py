"""What a candidate would have earned on recorded traffic, held against what is known of made-up customers."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.conftest import SAMPLE, deploy, model
from tests.shared import PATIENCE_S, until

FILE = """
endpoint: {name}
arms:
  champion: {{model: {name}, version: 1}}
decision: outputs.probability > 0.5
value: case when decision then (case when outcome.subscribed then 60 else 0 end) - 20 else 0 end
fallback: {{decision: false}}
{more}
"""
DEPENDS = "outcome_depends_on_decision: true\n"
ROWS = 2_000
AGES = np.random.default_rng(3).uniform(20, 80, ROWS).round(3)
BUYS = np.random.default_rng(4).random(ROWS) < (AGES - 20) / 60


def recorded(http: httpx.Client, name: str, more: str = "") -> str:
    """An endpoint that says yes from 50 on, asked for every age; those told yes buy the likelier the older they are."""
    done = deploy(http, name=name)
    assert done.status_code == 201, done.text
    assert http.put(f"/endpoints/{name}", content=FILE.format(name=name, more=more)).status_code == 200
    reply = httpx.post(
        done.json()["url"], json=[{"age": age, "balance": 1.0} for age in AGES.tolist()], timeout=PATIENCE_S
    )
    told = [
        {"prediction_id": row["prediction_id"], "subscribed": bool(buys and (row["decision"] or not more))}
        for row, buys in zip(reply.json()["predictions"], BUYS, strict=True)
    ]
    assert http.post(f"/endpoints/{name}/outcomes", json=told).status_code in (200, 202)
    until(lambda: len(matured(http, name)) == ROWS, f"{ROWS} matured rows of {name}")
    return name


def matured(http: httpx.Client, name: str) -> list[dict[str, Any]]:
    """Oldest first."""
    found: list[dict[str, Any]] = http.get(f"/endpoints/{name}/matured", params={"rows": ROWS}).json()["rows"]
    return found


def worth(yes: Any) -> float:
    """Per decision, of customers who are told yes like this."""
    return float(np.where(yes, 60.0 * BUYS - 20.0, 0.0).mean())


@pytest.fixture(scope="module")
def plain(http: httpx.Client) -> str:
    return recorded(http, "evaluate-plain")


@pytest.fixture(scope="module")
def explored(http: httpx.Client) -> str:
    return recorded(http, "evaluate-explored", DEPENDS + "explore: 40%")


def evaluate(http: httpx.Client, name: str, **query: Any) -> httpx.Response:
    return http.get(f"/endpoints/{name}/evaluate", params={"model": name, "version": "1", **query}, timeout=PATIENCE_S)


def test_another_decision_is_valued_row_by_row_and_exactly(http: httpx.Client, plain: str) -> None:
    found = evaluate(http, plain, decision="inputs.age > 60").json()
    assert found["method"] == "paired"
    assert found["value"] == pytest.approx(worth(AGES > 60))
    assert found["earned"] == pytest.approx(worth(AGES > 50))
    assert found["more"] == pytest.approx(worth(AGES > 60) - worth(AGES > 50))
    assert found["differing"] == int(((AGES > 50) & (AGES <= 60)).sum())
    assert found["more_low"] < found["more"] < found["more_high"]
    assert "an estimate, not money" in found["text"]
    assert any("of the hold-out and of chance" in text for text in found["assumptions"])


def test_a_version_that_never_answered_here_is_asked_the_recorded_rows(http: httpx.Client, plain: str) -> None:
    files = {"artifact": ("turned.onnx", model(-1.0)), "sample": ("sample.json", json.dumps(SAMPLE).encode())}
    done = http.post("/deploy", files=files, data={"author": "anna", "name": "evaluate-turned"})
    assert done.status_code == 201, done.text
    before = http.get(f"/endpoints/{plain}").json()["arms"]
    found = evaluate(http, plain, model="evaluate-turned", version="latest").json()
    assert found["value"] == pytest.approx(worth(AGES < 50))
    assert found["candidate"] == "evaluate-turned v1"
    assert http.get(f"/endpoints/{plain}").json()["arms"] == before


@pytest.mark.parametrize("method", ["dr", "ips", "snips"])
def test_where_the_outcome_depends_on_the_decision_explored_rows_tell(
    http: httpx.Client, explored: str, method: str
) -> None:
    found = evaluate(http, explored, decision="inputs.age > 35", method=method).json()
    assert found["method"] == method
    assert found["refusal"] is None
    assert found["effective_rows"] < found["rows"] == ROWS
    half = (
        found["high"] - found["low"]
    ) / 2  # chance draws anew in every run: 1.96 standard errors are 6.5 hardly ever
    assert abs(found["value"] - worth(AGES > 35)) < 6.5 / 1.96 * half
    assert found["more"] == pytest.approx(found["value"] - found["earned"])


def test_weights_are_how_much_more_often_the_candidate_decides_so(http: httpx.Client, explored: str) -> None:
    rows = http.get(f"/endpoints/{explored}/predictions", params={"limit": 1_000}).json()["predictions"]
    ages = np.array([row["inputs"]["age"] for row in rows])
    yes, bought = (
        np.array(each) for each in zip(*((r["decision"], r["outcome"]["subscribed"]) for r in rows), strict=True)
    )
    earned = np.where(yes, 60.0 * bought - 20.0, 0.0)
    weights = (yes == (ages > 35)) / np.where(yes == (ages > 50), 0.8, 0.2)  # four in ten are drawn, half of them yes
    expected = {"ips": (weights * earned).mean(), "snips": weights @ earned / weights.sum()}
    for method, value in expected.items():
        found = evaluate(http, explored, decision="inputs.age > 35", method=method, rows=1_000).json()
        assert found["value"] == pytest.approx(value)


def test_doubly_robust_is_what_is_used_if_nobody_says(http: httpx.Client, explored: str) -> None:
    assert evaluate(http, explored, decision="inputs.age > 35").json()["method"] == "dr"


def test_without_exploring_there_is_no_estimate_and_the_reason_is_said(http: httpx.Client) -> None:
    name = recorded(http, "evaluate-blind", DEPENDS)
    found = evaluate(http, name, decision="inputs.age > 35").json()
    assert found["value"] is None
    assert "no decision with a known value was drawn by chance" in found["refusal"]
    assert "explore: 2%" in found["text"]


def test_too_few_drawn_rows_are_refused_with_their_number(http: httpx.Client, explored: str) -> None:
    found = evaluate(http, explored, decision="inputs.age > 35", rows=60).json()
    assert found["value"] is None
    assert "100 are the least" in found["refusal"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"method": "guess"}, 400, "there are: paired"),
        ({"method": "paired"}, 400, "depends on the decision"),
        ({"decision": "outputs.score > 1"}, 400, "outputs.probability"),
        ({"version": "9"}, 404, "9"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(
    http: httpx.Client, explored: str, query: dict[str, str], status: int, words: str
) -> None:
    reply = evaluate(http, explored, **query)
    assert reply.status_code == status
    assert words in reply.text


def test_an_endpoint_without_a_value_has_none_to_estimate(http: httpx.Client) -> None:
    assert deploy(http, name="evaluate-worthless").status_code == 201
    reply = evaluate(http, "evaluate-worthless")
    assert reply.status_code == 400
    assert "has no value" in reply.text
