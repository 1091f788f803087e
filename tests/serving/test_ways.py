"""Held-out and explored rows: who answers them, what callers hear, and what the journal knows of how it came about."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from payoff.records import Explore, Guard, Otherwise, Policy, Role, Rule
from payoff.serving import Answered
from tests.serving.house import FALLBACK, House, all_of, until, y

pytestmark = pytest.mark.anyio

HELD = replace(FALLBACK, holdout=0.05)
EXPLORED = replace(FALLBACK, explore=Explore(0.2))
ADULTS = (Rule("decision = false or inputs.x >= 0", Otherwise.FALLBACK),)
HOLDOUT_WHY = "hold-out: 5% of the traffic is decided by the fallback, to compare with"
EXPLORED_WHY = "explore: decided at random among true, false"


async def answer(house: House, policy: Policy, *xs: float, champion: Any = None) -> Answered:
    live = await house.hot((Role.CHAMPION, champion or house.here(2)), policy=policy)
    return await house.call(live, *xs)


def rows(house: House, what: str = "predictions") -> list[dict[str, Any]]:
    return sorted(house.journal(what), key=lambda row: str(row["id"]))


def decisions(answered: Answered) -> list[bool | None]:
    assert answered.decision is not None
    valid, values = answered.decision.valid, answered.decision.values.tolist()
    return [value if valid is None or valid[row] else None for row, value in enumerate(values)]


async def test_a_held_out_row_is_answered_by_the_fallback_and_told_why(house: House) -> None:
    answered = await answer(house, HELD, *[3.0] * 4_000)
    said = Counter(zip(answered.arms, answered.whys, decisions(answered), strict=True))
    held = said["fallback", HOLDOUT_WHY, False]
    assert said == {("champion-0", "champion", True): 4_000 - held, ("fallback", HOLDOUT_WHY, False): held}
    assert held == pytest.approx(200, abs=42)  # three standard deviations
    ways = Counter(
        (row["arm"], row["choice"], row["share"], row["instead_of"], row["propensity"]) for row in rows(house)
    )
    assert ways == {("champion-0", "", 0.95, "", 1.0): 4_000 - held, ("fallback", "holdout", 0.05, "", 1.0): held}


async def test_a_customer_of_the_hold_out_stays_there_and_challengers_keep_theirs(house: House) -> None:
    champion, challenger = house.here(2), house.here(3)
    customers = [float(x) for x in range(1_000)]
    by_x = replace(HELD, route_by="x")
    arms = []
    for policy, traffic in ((by_x, 0.1), (by_x, 0.3), (replace(by_x, holdout=0.0), 0.3)):
        live = await house.hot((Role.CHAMPION, champion), (Role.CHALLENGER, challenger, traffic), policy=policy)
        arms.append((await house.call(live, *customers)).arms)
    few, many, none_held = arms
    assert {one for one, two in zip(few, many, strict=True) if two == "fallback"} == {"fallback"}
    assert few.count("fallback") == many.count("fallback") > 20
    moved = {(one, two) for one, two in zip(many, none_held, strict=True) if one != two}
    assert moved == {("fallback", "champion-0")}
    assert {(row["share"], row["choice"]) for row in rows(house) if row["arm"] == "challenger-1"} == {
        (0.1, ""),
        (0.3, ""),
    }


async def test_an_explored_row_keeps_its_arm_and_outputs_and_says_that_chance_decided(house: House) -> None:
    answered = await answer(house, EXPLORED, *[3.0] * 4_000)
    assert set(answered.arms) == {"champion-0"}
    assert set(y(answered)) == {6.0}
    said = Counter(zip(answered.whys, decisions(answered), strict=True))
    assert set(said) == {("champion", True), (EXPLORED_WHY, True), (EXPLORED_WHY, False)}
    for drawn in (True, False):
        assert said[EXPLORED_WHY, drawn] == pytest.approx(400, abs=57)
    found = Counter((row["choice"], row["decision"], round(row["propensity"], 9), row["share"]) for row in rows(house))
    assert found == {
        ("", True, 0.9, 1.0): said["champion", True],
        ("explore", True, 0.9, 1.0): said[EXPLORED_WHY, True],
        ("explore", False, 0.1, 1.0): said[EXPLORED_WHY, False],
    }
    assert [row["decision"] for row in rows(house)] == decisions(answered)


async def test_rules_are_held_on_the_explored_decision_and_the_propensity_knows_it(house: House) -> None:
    """Whoever is below 0 is never answered true, so false is certain for them, by either way."""
    answered = await answer(house, replace(EXPLORED, rules=ADULTS), *[-3.0, 3.0] * 2_000)
    found = Counter(
        (row["inputs"]["x"], row["choice"], row["instead_of"], row["decision"], round(row["propensity"], 9))
        for row in rows(house)
    )
    assert set(found) == {
        (-3.0, "", "", False, 1.0),
        (-3.0, "explore", "", False, 1.0),
        (-3.0, "rule", "champion-0", False, 1.0),
        (3.0, "", "", True, 0.9),
        (3.0, "explore", "", True, 0.9),
        (3.0, "explore", "", False, 0.1),
    }
    assert found[-3.0, "rule", "champion-0", False, 1.0] == answered.whys.count("fallback: a rule was broken") > 100
    weights = [1 / row["propensity"] for row in rows(house) if row["inputs"]["x"] == 3.0 and not row["decision"]]
    assert sum(weights) == pytest.approx(2_000, abs=3 * 2_000 * 0.0671)  # as if all had been decided so


async def test_a_blocked_row_has_no_decision_whatever_was_drawn(house: House) -> None:
    blocked = (Rule("inputs.x > 5", Otherwise.BLOCK), Rule("decision", Otherwise.FLAG))
    answered = await answer(house, replace(EXPLORED, rules=blocked), *[3.0, 7.0] * 200)
    assert set(decisions(answered)[::2]) == {None}
    assert set(answered.whys[::2]) == {"blocked by a rule"}
    assert {row["propensity"] for row in rows(house) if row["decision"] is None} == {1.0}
    assert set(decisions(answered)[1::2]) == {True, False}


async def test_a_decision_that_is_not_among_the_drawn_is_the_models_alone(house: House) -> None:
    policy = Policy(
        decision="CASE WHEN outputs.y > 4 THEN 'call' ELSE NULL END",
        fallback={"decision": "wait"},
        explore=Explore(0.3, ("mail", "wait", "text")),
    )
    answered = await answer(house, policy, *[1.0, 3.0] * 500)
    found = {(row["inputs"]["x"], row["choice"], row["decision"], round(row["propensity"], 9)) for row in rows(house)}
    drawn = {(x, "explore", decision, 0.1) for x in (1.0, 3.0) for decision in ("mail", "wait", "text")}
    assert found == {(1.0, "", None, 0.7), (3.0, "", "call", 0.7)} | drawn
    assert "explore: decided at random among mail, wait, text" in answered.whys


async def test_a_fallback_knows_instead_of_whom_it_answered(house: House) -> None:
    failing, other = house.away(factor=3, poison=13.0), house.here(2)
    policy = replace(FALLBACK, holdout=0.05, explore=Explore(0.2), route_by="x")
    live = await house.hot((Role.CHAMPION, failing), (Role.CHALLENGER, other, 0.4), policy=policy)
    answered = await house.call(live, *[13.0] * 8, *map(float, range(100, 200)))
    found = {(row["arm"], row["choice"], row["instead_of"], row["share"]) for row in rows(house)}
    assert ("fallback", "failed", "champion-0", 0.55) in found
    assert found - {("fallback", "failed", "champion-0", 0.55), ("fallback", "holdout", "", 0.05)} == {
        ("challenger-1", choice, "", 0.4) for choice in ("", "explore")
    }
    assert len(answered.ids) == len(rows(house)) == 108


async def test_after_a_kill_nothing_is_held_out_or_explored(house: House) -> None:
    policy = replace(FALLBACK, holdout=0.2, explore=Explore(0.5))
    revision = house.revision((Role.KILLED, house.here(2)), (Role.CHALLENGER, house.here(3), 0.5), policy=policy)
    killed, challenger = revision.arms
    revision = replace(revision, arms=(replace(killed, was=Role.CHAMPION), challenger))
    live = await house.hot_revision(revision)
    await house.call(live, *[3.0] * 400)
    found = {(row["arm"], row["choice"], row["instead_of"], row["share"], row["propensity"]) for row in rows(house)}
    assert found == {("challenger-1", "", "", 0.5, 1.0), ("fallback", "killed", "killed-0", 0.5, 1.0)}


@pytest.mark.parametrize("here", [True, False], ids=["in the worker", "elsewhere"])
async def test_a_row_that_a_model_fails_on_gets_no_second_chance_to_be_held_out(house: House, here: bool) -> None:
    """Calls of a failed batch are tried again; had they new points, 625 of 1,000 would be in the hold-out."""
    failing = house.away(poison=13.0, here=here, crashes_max=10**9, call_s=0.0)
    live = await house.hot((Role.CHAMPION, failing), policy=replace(FALLBACK, holdout=0.5))
    for _ in range(500):
        await all_of([house.call(live, 13.0) for _ in range(2)])
    choices = Counter(row["choice"] for row in rows(house))
    assert set(choices) == {"failed", "holdout"}
    assert choices["holdout"] == pytest.approx(500, abs=48)


async def test_shadows_are_never_explored_and_see_what_was_held_out(house: House) -> None:
    policy = replace(FALLBACK, holdout=0.5, explore=Explore(0.5))
    live = await house.hot((Role.CHAMPION, house.here(2)), (Role.SHADOW, house.here(3)), policy=policy)
    await house.call(live, *[3.0] * 100)
    await until(lambda: house.desk.idle)
    shadows = rows(house, "shadows")
    assert {(row["choice"], row["share"], row["propensity"], row["decision"]) for row in shadows} == {
        ("", 1.0, 1.0, True)
    }
    assert len(shadows) == 100


async def test_where_the_outcome_depends_on_the_decision_nobody_is_asked_only_to_compare(house: House) -> None:
    guards = (Guard("challenger beats champion", "promote"),)
    for depends, expected in ((False, 50), (True, 0)):
        policy = replace(FALLBACK, guards=guards, outcome_depends_on_decision=depends)
        live = await house.hot((Role.CHAMPION, house.here(2)), (Role.CHALLENGER, house.here(3), 0.5), policy=policy)
        before = house.desk.counters.shadowed
        await house.call(live, *[3.0] * 50)
        await until(lambda: house.desk.idle)
        assert house.desk.counters.shadowed - before == expected


async def test_lone_calls_go_the_same_ways_as_batches(house: House) -> None:
    policy = replace(HELD, holdout=0.3, explore=Explore(0.4))
    for champion in (house.here(2), house.away(factor=2, call_s=0.0, batches_max=4)):
        live = await house.hot((Role.CHAMPION, champion), policy=policy)
        for _ in range(20):
            await asyncio.gather(*(house.call(live, 3.0) for _ in range(20)))
    found = Counter(row["choice"] for row in rows(house))
    assert found["holdout"] == pytest.approx(240, abs=39)
    assert found["explore"] == pytest.approx(0.28 * 800, abs=39)
    with_arm = [row for row in rows(house) if (row["arm"] == "fallback") == (row["choice"] == "holdout")]
    assert len(with_arm) == len({row["id"] for row in with_arm}) == 800
