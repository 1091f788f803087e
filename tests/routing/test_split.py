"""Facts about who answers a row."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.records import Arm, Explore, Guard, Policy, Ramp, Revision, Role, Served, Signature
from payoff.routing import FALLBACK, explores, points, split, watchers

SERVED = Served("onnx", "0" * 64, Signature((), ()))
POINTS = points("e", range(20_000))


def arm(role: Role, traffic: float = 0.0, was: Role | None = None, version: int = 1) -> Arm:
    return Arm(role.value, role, "m", version, SERVED, traffic, was)


def revision(*arms: Arm, policy: Policy | None = None) -> Revision:
    return Revision("e", 1, 0, "me", "", arms, policy or Policy())


def test_a_champion_alone_answers_everything() -> None:
    found = split(revision(arm(Role.CHAMPION)))
    assert found.single
    assert found.lanes == (0,)


def test_after_a_kill_the_fallback_answers_and_says_whose_kill() -> None:
    found = split(revision(arm(Role.KILLED, was=Role.CHAMPION)))
    assert found.lanes == (FALLBACK,)
    assert found.whys == ("fallback: m v1 is killed",)
    assert (found.choices, found.shares) == (("killed",), (1.0,))


def test_a_killed_challengers_share_goes_back_to_the_champion() -> None:
    found = split(revision(arm(Role.CHAMPION), arm(Role.KILLED, 0.1, Role.CHALLENGER)))
    assert found.lanes == (0,)


@given(st.floats(0.01, 0.99))
def test_a_challenger_gets_its_share(traffic: float) -> None:
    found = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, traffic)))
    picked = found.pick(POINTS)
    share = np.mean(np.array(found.lanes)[picked] == 1)
    assert share == pytest.approx(traffic, abs=0.02)


def test_a_key_stays_with_the_challenger_when_its_share_grows() -> None:
    at = POINTS[:2_000]
    small = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.1))).pick(at) == 0
    large = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.3))).pick(at) == 0
    assert small.sum() > 100
    assert large[small].all()


def test_endpoints_split_independently() -> None:
    a, b = points("a", range(5_000)) < 0.5, points("b", range(5_000)) < 0.5
    assert np.mean(a == b) == pytest.approx(0.5, abs=0.03)


GRID = (np.arange(10_000) + 0.5) / 10_000
HELD = Policy(fallback={"decision": False}, holdout=0.05, explore=Explore(0.02))


def test_the_hold_out_is_the_top_end_of_the_champions_share() -> None:
    found = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.1), policy=HELD))
    assert found.lanes == (1, 0, FALLBACK)
    assert found.choices == ("", "", "holdout")
    assert found.shares == (0.1, 0.85, 0.05)
    assert found.whys[2] == "hold-out: 5% of the traffic is decided by the fallback, to compare with"


@given(st.lists(st.integers(1, 30), max_size=4), st.integers(0, 99))
def test_every_row_has_one_way_and_each_way_exactly_its_share(percents: list[int], held: int) -> None:
    challengers = [arm(Role.CHALLENGER, percent / 100) for percent in percents if sum(percents) <= 100]
    policy = Policy(fallback={"decision": False}, holdout=held / 100)
    found = split(revision(arm(Role.CHAMPION), *challengers, policy=policy))
    counts = np.bincount(found.pick(GRID), minlength=len(found.lanes))
    assert counts.tolist() == [round(share * len(GRID)) for share in found.shares]
    assert sum(found.shares) == pytest.approx(1.0)
    assert len(found.lanes) == len(found.edges) == len(found.choices) == len(found.whys)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40))
def test_customers_of_challengers_and_of_the_hold_out_keep_their_place(before: int, after: int, held: int) -> None:
    def lanes(traffic: int, holdout: int) -> np.ndarray:
        policy = Policy(fallback={"decision": False}, holdout=holdout / 100)
        found = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, traffic / 100), policy=policy))
        return np.array(found.lanes)[found.pick(GRID)]

    free, kept = lanes(before, 0), lanes(before, held)
    assert set(zip(free.tolist(), kept.tolist(), strict=True)) <= {(0, 0), (1, 1), (0, FALLBACK)}
    assert np.array_equal(kept == FALLBACK, lanes(after, held) == FALLBACK)


def test_challengers_that_leave_less_than_the_hold_out_leave_it_that() -> None:
    found = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.97), policy=HELD))
    assert found.shares == (0.97, 0.0, 0.03)
    assert "3% of the traffic" in found.whys[2]
    whole = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, 1.0), policy=HELD))
    assert set(np.array(whole.lanes)[whole.pick(GRID)]) == {1}


def test_nothing_is_held_out_or_explored_while_no_champion_answers() -> None:
    killed = revision(arm(Role.KILLED, was=Role.CHAMPION), arm(Role.CHALLENGER, 0.2), policy=HELD)
    assert split(killed).choices == ("", "killed")
    assert split(killed).shares == (0.2, 0.8)
    assert explores(killed) is None
    assert explores(revision(arm(Role.CHAMPION), policy=HELD)) == Explore(0.02)


def test_small_shares_are_told_as_they_are() -> None:
    found = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.005)))
    assert found.whys[0] == "challenger: 0.5% of the traffic"


def test_challenger_and_champion_meet_on_every_row_only_when_a_guard_compares_them() -> None:
    arms = (arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.1), arm(Role.SHADOW))
    assert watchers(revision(*arms)) == ((2, False),)
    guarded = Policy(guards=(Guard("challenger beats champion", "promote"),))
    assert watchers(revision(*arms, policy=guarded)) == ((0, True), (1, True), (2, False))


def test_nobody_is_asked_for_a_comparison_where_the_outcome_depends_on_the_decision() -> None:
    arms = (arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.1), arm(Role.SHADOW), arm(Role.KILLED))
    compare = [Policy(guards=(Guard(when, "warn"),)) for when in ("challenger beats champion", "makes no difference")]
    for policy in (*compare, Policy(ramp=Ramp(loss_budget=500))):
        assert watchers(revision(*arms, policy=policy))[:2] == ((0, True), (1, True))
        apart = replace(policy, outcome_depends_on_decision=True)
        assert watchers(revision(*arms, policy=apart)) == ((2, False), (3, False))
