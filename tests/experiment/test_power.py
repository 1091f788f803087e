"""Before an experiment: how long a verdict takes, by the test that will run."""

import numpy as np
import pytest

from payoff.errors import BadInput
from payoff.experiment.power import Setting, cut, outlook, outlooks
from payoff.experiment.verdict import LOSES, Case, Question, Rows, judge
from payoff.stats.power import power

FEW = 60


def test_without_sides_it_is_the_guards_own_test_as_simulated() -> None:
    found = outlook(Setting("kill", 20.0), -6.0, FEW)
    bare = power(-6.0, 20.0, error=0.01, every=1_000_000, runs=FEW)
    assert (found.decisions, found.decisions_9_of_10) == (bare.median, bare.p90)
    assert found.lost == bare.loss_median
    assert found.in_spreads == pytest.approx(-0.3)


def test_sides_drawn_at_random_take_as_long_as_the_real_judgement_of_drawn_rows() -> None:
    rng, took = np.random.default_rng(5), []
    money = 10.0 + rng.standard_normal(5_000)
    foreseen = outlook(Setting("kill", 1.0, money=money, share=0.5, other=0.5), -1.0, FEW)
    assert foreseen.decisions is not None
    question = Question(LOSES, "m", 1, "holdout", randomised=True)
    for _ in range(FEW):
        n = 4 * foreseen.decisions
        mine = rng.random(n) < 0.5
        money = 10.0 + rng.standard_normal(n) - mine
        case = judge(
            Case(question, 0.01, 1_000_000),
            Rows(np.arange(n), money, money, np.where(mine, 2.0, -2.0), np.full(n, 2.0)),
        )
        took.append(case.tested if case.reached else np.inf)
    assert float(np.median(took)) == pytest.approx(foreseen.decisions, rel=0.15)


def test_a_small_side_takes_more_decisions_than_an_equal_one() -> None:
    even, small = (outlook(Setting("promote", 1.0, share=p, other=1 - p), 0.5, FEW) for p in (0.5, 0.1))
    assert even.decisions is not None
    assert small.decisions is not None
    assert small.decisions > 2 * even.decisions


def test_what_is_lost_is_lost_on_the_versions_own_rows_only() -> None:
    found = outlook(Setting("kill", 1.0, share=0.2, other=0.8), -1.0, FEW)
    assert found.decisions is not None
    assert found.lost == pytest.approx(0.2 * found.decisions)


def test_days_follow_from_the_pace_and_the_share() -> None:
    found = outlook(Setting("kill", 1.0, share=0.25, per_day=400.0), -0.5, FEW)
    whole = outlook(Setting("kill", 1.0, per_day=400.0), -0.5, FEW)
    assert found.decisions is not None
    assert whole.decisions is not None
    assert found.decisions == 4 * whole.decisions
    assert found.days == found.decisions / 400


def test_a_cap_below_three_spreads_is_said_to_make_a_loser_of_a_version_that_breaks_even() -> None:
    told = cut(Setting("kill", 1.0, cap=1.0))
    assert told is not None
    assert "100% of such versions would be stopped" in told
    assert cut(Setting("kill", 1.0, cap=3.0)) is None
    assert cut(Setting("kill", 1.0)) is None


def test_a_low_cap_that_no_recorded_gain_reaches_is_not_warned_of() -> None:
    rare = np.where(np.arange(300) % 30 == 0, -29.0, 1.0)
    assert cut(Setting("kill", float(rare.std()), cap=2.0, money=rare)) is None


def test_without_an_effect_there_is_a_choice_of_them_on_the_side_of_the_verdict() -> None:
    assert [one.effect for one in outlooks(Setting("kill", 10.0), runs=5)] == [-1.0, -2.0, -3.0, -5.0, -10.0]
    assert all(one.effect > 0 for one in outlooks(Setting("promote", 10.0), runs=5))


def test_recorded_amounts_give_their_shape() -> None:
    rare = np.where(np.arange(3_000) % 30 == 0, -29.0, 1.0)
    skewed, normal = (outlook(Setting("kill", 1.0, money=one), -0.3, FEW) for one in (rare, None))
    assert skewed.decisions != normal.decisions


@pytest.mark.parametrize(("share", "other"), [(0.0, None), (1.5, None), (1.0, 0.0), (0.6, 0.6)])
def test_shares_that_are_none_are_refused_with_words(share: float, other: float | None) -> None:
    with pytest.raises(BadInput, match=r"traffic|share"):
        Setting("kill", 1.0, share=share, other=other)
