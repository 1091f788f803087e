"""A canary climbs when nothing speaks against it, halves in doubt, and stops at its budget."""

from dataclasses import replace

import numpy as np
import pytest

from payoff.experiment.verdict import LOSES, Case, Question, Rows, judge
from payoff.monitor.ramp import Climb, step
from payoff.records.endpoint import Arm, Ramp, Role
from payoff.records.model import Served
from payoff.records.signature import Signature

RAMP = Ramp(loss_budget=500, step_decisions=200)


def arm(traffic: float) -> Arm:
    return Arm("challenger", Role.CHALLENGER, "loans", 2, Served("rule", "0" * 64, Signature((), ())), traffic)


def climb(traffic: float, money: float = 0.0, rows: int = 0, answered: int = 0, matured: int = 200) -> Climb:
    """A challenger whose decisions each made `money` more than the champion's."""
    question = Question(LOSES, "loans", 2, "loans v1", cap=1.0)
    ids = np.array([f"{n:09}" for n in range(rows)], object)
    case = judge(Case(question, error=0.01), Rows(ids, np.full(rows, money), np.full(rows, money)))
    return Climb(arm(traffic), case, answered or rows, matured, 0)


def test_it_climbs_to_the_next_share_when_nothing_speaks_against_it() -> None:
    for here, there in ((0.01, 0.05), (0.05, 0.10), (0.10, 0.25), (0.25, 0.50), (0.07, 0.10)):
        due = step(RAMP, climb(here), 1)
        assert due is not None
        assert (due.verb, due.share) == ("ramp", there)


def test_it_waits_until_it_has_decided_often_and_long_enough() -> None:
    assert step(RAMP, climb(0.01, matured=199), 1) is None
    assert step(replace(RAMP, step_s=60), climb(0.01), 59_000_000) is None
    assert step(replace(RAMP, step_s=60), climb(0.01), 60_000_000) is not None


def test_the_last_step_is_a_promotion_unless_a_guard_decides_that() -> None:
    due = step(RAMP, climb(0.5), 1)
    assert due is not None
    assert due.verb == "promote"
    assert step(RAMP, replace(climb(0.5), guarded=True), 1) is None


def test_it_halves_in_doubt_and_is_stopped_when_it_provably_loses() -> None:
    doubtful, lost = climb(0.1, -0.5, 20), climb(0.1, -0.5, 200)
    assert 10 <= doubtful.case.e_value < 100 <= lost.case.e_value
    down, out = step(RAMP, doubtful, 1), step(RAMP, lost, 1)
    assert down is not None
    assert (down.verb, down.share) == ("ramp", 0.05)
    assert out is not None
    assert out.verb == "kill"


def test_it_is_stopped_when_what_it_answered_cost_the_budget_also_in_flight() -> None:
    assert climb(0.1, -0.01, 100, answered=49_000).cost == pytest.approx(490)
    assert step(RAMP, climb(0.1, -0.01, 100, answered=49_000, matured=0), 1) is None
    out = step(RAMP, climb(0.1, -0.01, 100, answered=51_000, matured=0), 1)
    assert out is not None
    assert out.verb == "kill"
    assert "the budget is 500.00" in out.reason
