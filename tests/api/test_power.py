"""What an endpoint's own record says before an experiment."""

from typing import Any

import httpx
import numpy as np
import pytest

from tests.api.conftest import deploy
from tests.shared import PATIENCE_S, until

FILE = """
endpoint: {name}
arms:
  champion: {{model: {name}, version: 1}}
decision: outputs.probability > 0.5
value: case when decision then (case when outcome.subscribed then 60 else 0 end) - 20 else 0 end
fallback: {{decision: false}}
{more}
guards:
  - {{when: loses money, against: {against}, error: 2%, do: warn, gain_cap: {cap}}}
"""
DEPENDS = "outcome_depends_on_decision: true\nholdout: 20%\nexplore: 30%"


def recorded(http: httpx.Client, name: str, rows: int = 400, **said: Any) -> str:
    """An endpoint with a guard and recorded decisions with outcomes: half are yes, and a third of those pay off."""
    said = {"more": "", "against": "fallback", "cap": 200.0} | said
    done = deploy(http, name=name)
    assert done.status_code == 201, done.text
    applied = http.put(f"/endpoints/{name}", content=FILE.format(name=name, **said))
    assert applied.status_code == 200, applied.text
    ages = np.random.default_rng(3).uniform(20, 80, rows)
    asked = [{"age": float(age), "balance": 1.0} for age in ages]
    reply = httpx.post(done.json()["url"], json=asked, timeout=PATIENCE_S)
    told = [
        {"prediction_id": row["prediction_id"], "subscribed": n % 3 == 0}
        for n, row in enumerate(reply.json()["predictions"])
    ]
    assert http.post(f"/endpoints/{name}/outcomes", json=told).status_code in (200, 202)
    matured = f"/endpoints/{name}/matured"  # the last rows are left to settle for a moment
    until(lambda: len(http.get(matured).json()["rows"]) == rows, f"{rows} matured rows of {name}")
    return name


@pytest.fixture(scope="module")
def bank(http: httpx.Client) -> str:
    return recorded(http, "power-bank")


def get(http: httpx.Client, name: str, **query: Any) -> httpx.Response:
    return http.get(f"/endpoints/{name}/power", params=query)


def test_spread_shape_error_and_cap_are_those_of_the_record_and_the_guard(http: httpx.Client, bank: str) -> None:
    found = get(http, bank, effect=-10).json()
    worth = [row["value"] for row in http.get(f"/endpoints/{bank}/matured").json()["rows"]]
    assert found["spread"] == pytest.approx(np.std(worth), rel=1e-3)
    assert (found["error"], found["gain_cap"], found["randomised"]) == (0.02, 200.0, False)
    assert [one["effect"] for one in found["effects"]] == [-10.0]
    assert found["effects"][0]["share_reached"] == 1.0
    assert "spread and shape are those of 400 decisions of power-bank v1" in found["assumptions"][0]


def test_what_is_said_goes_before_what_is_recorded(http: httpx.Client, bank: str) -> None:
    found = get(http, bank, effect=-10, spread=30, error="1%", gain_cap=90).json()
    assert (found["spread"], found["error"], found["gain_cap"]) == (30.0, 0.01, 90.0)


def test_a_cap_below_three_spreads_is_warned_of(http: httpx.Client, bank: str) -> None:
    assert "looks like a loser" in get(http, bank, effect=-10, gain_cap=5).json()["warning"]
    assert get(http, bank, effect=-10).json()["warning"] is None


def test_against_a_hold_out_the_sides_are_drawn(http: httpx.Client) -> None:
    name = recorded(http, "power-holdout", more=DEPENDS, against="holdout")
    found = get(http, name, effect=-20).json()
    assert found["randomised"] is True
    assert found["share"] == pytest.approx(0.8 * 0.7)
    assert found["effects"][0]["decisions"] > 0


def test_no_days_are_promised_from_a_record_of_seconds(http: httpx.Client, bank: str) -> None:
    found = get(http, bank, effect=-10).json()
    assert found["decisions_per_day"] is None
    assert found["effects"][0]["days"] is None


@pytest.mark.parametrize(("query", "words"), [({"error": "much"}, "no error"), ({"share": "-1"}, "no share")])
def test_what_cannot_be_meant_is_refused(http: httpx.Client, bank: str, query: dict[str, str], words: str) -> None:
    reply = get(http, bank, **query)
    assert reply.status_code == 400
    assert words in reply.text


def test_an_endpoint_without_a_record_asks_for_a_spread(http: httpx.Client) -> None:
    name = recorded(http, "power-young", rows=5)
    reply = get(http, name, effect=-10)
    assert reply.status_code == 400
    assert "--spread" in reply.text
    assert get(http, name, effect=-10, spread=20).json()["spread"] == 20.0


def selftest(http: httpx.Client, name: str) -> httpx.Response:
    return http.get(f"/endpoints/{name}/selftest", params={"runs": 40})


def test_a_guard_with_room_for_its_gains_keeps_its_error_on_its_own_record(http: httpx.Client, bank: str) -> None:
    found = selftest(http, bank).json()
    assert found["passed"] is True
    (guard,) = found["guards"]
    assert (guard["guard"], guard["runs"], guard["rows"]) == ("loses money", 40, 400)
    assert "its error is kept" in guard["text"]


def test_a_guard_whose_cap_cuts_gains_fails_its_self_test(http: httpx.Client) -> None:
    name = recorded(http, "selftest-harsh", cap=2.0)
    found = selftest(http, name).json()
    assert found["passed"] is False
    assert "clearly more" in found["guards"][0]["text"]
    until(lambda: http.get(f"/endpoints/{name}/verdicts").json()["on_file"], "the guard to be done with it")


def test_an_endpoint_without_a_guard_has_nothing_to_test(http: httpx.Client, calls: dict[str, Any]) -> None:
    reply = selftest(http, "calls")
    assert reply.status_code == 400
    assert "no guard that gives verdicts" in reply.text
