"""Facts about who answers a row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.records import Arm, Guard, Policy, Revision, Role, Served, Signature
from payoff.routing import FALLBACK, points, split, watchers

SERVED = Served("onnx", "0" * 64, Signature((), ()))


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


def test_a_killed_challengers_share_goes_back_to_the_champion() -> None:
    found = split(revision(arm(Role.CHAMPION), arm(Role.KILLED, 0.1, Role.CHALLENGER)))
    assert found.lanes == (0,)


@given(st.floats(0.01, 0.99))
def test_a_challenger_gets_its_share(traffic: float) -> None:
    found = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, traffic)))
    picked = found.pick(points("e", range(20_000)))
    share = np.mean(np.array(found.lanes)[picked] == 1)
    assert share == pytest.approx(traffic, abs=0.02)


def test_a_key_stays_with_the_challenger_when_its_share_grows() -> None:
    at = points("e", range(2_000))
    small = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.1))).pick(at) == 0
    large = split(revision(arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.3))).pick(at) == 0
    assert small.sum() > 100
    assert large[small].all()


def test_endpoints_split_independently() -> None:
    a, b = points("a", range(5_000)) < 0.5, points("b", range(5_000)) < 0.5
    assert np.mean(a == b) == pytest.approx(0.5, abs=0.03)


def test_challenger_and_champion_meet_on_every_row_only_when_a_guard_compares_them() -> None:
    arms = (arm(Role.CHAMPION), arm(Role.CHALLENGER, 0.1), arm(Role.SHADOW))
    assert watchers(revision(*arms)) == ((2, False),)
    guarded = Policy(guards=(Guard("challenger beats champion", "promote"),))
    assert watchers(revision(*arms, policy=guarded)) == ((0, True), (1, True), (2, False))
