"""What an experiment will need, simulated with the real test: against that test by hand, and against each other."""

from typing import Any

import numpy as np
import pytest

from payoff.errors import BadInput
from payoff.stats import Bets, Power, fold, losses, power
from payoff.stats.power import SHAPES


def stop(found: Power) -> int:
    assert found.median is not None
    return found.median


def test_one_run_is_the_betting_test_on_one_stream() -> None:
    rng = np.random.default_rng(3)
    money = np.concatenate([-0.2 + rng.standard_normal(rows) for rows in (256, 512, 1024)])
    first = fold(Bets(), losses(money, 2.0), 0.01).first
    assert first is not None
    found = power(-0.2, 1.0, cap=2.0, runs=1, horizon=1_792, seed=3)
    assert found.median == found.p90 == first + 1
    assert found.loss_median == pytest.approx(-money[: first + 1].sum())


def test_the_claims_of_the_kill_test() -> None:
    """-0.3 sd at 1 %: a median under 150. After 1,500 good decisions the detector at 1,000 needs under 120, and the
    test since launch alone most of another thousand.
    """
    assert stop(power(-0.3, 1.0, cap=2.0, runs=300)) < 150
    assert stop(power(-0.3, 1.0, cap=2.0, every=1_000, good=1_500, runs=150)) < 120
    assert stop(power(-0.3, 1.0, cap=1.0, good=1_500, runs=50)) > 800


def test_the_detector_beside_the_bets_only_ever_makes_it_sooner() -> None:
    alone, both = power(-0.3, 1.0, cap=1.0), power(-0.3, 1.0, cap=1.0, every=1_000)
    assert stop(both) <= stop(alone)
    assert both.loss_median <= alone.loss_median


def test_more_effect_more_error_and_a_smaller_cap_are_sooner() -> None:
    usual = stop(power(-0.2, 1.0, cap=2.0, runs=150))
    assert stop(power(-0.4, 1.0, cap=2.0, runs=150)) < usual
    assert stop(power(-0.2, 1.0, cap=2.0, error=0.05, runs=150)) < usual
    assert stop(power(-0.2, 1.0, cap=1.0, runs=150)) < usual < stop(power(-0.2, 1.0, runs=150))


def test_the_loss_is_about_decisions_times_effect() -> None:
    found = power(-0.3, 1.0, cap=2.0, runs=1_000)
    assert found.loss_median == pytest.approx(0.3 * stop(found), rel=0.2)
    assert found.p90 is not None
    assert found.p90 > stop(found)
    assert found.loss_p90 > found.loss_median


def test_units_do_not_matter() -> None:
    euros, cents = power(-0.3, 1.0, cap=2.0), power(-30.0, 100.0, cap=200.0)
    assert (euros.median, euros.p90, euros.share) == (cents.median, cents.p90, cents.share)
    assert cents.loss_median == pytest.approx(100 * euros.loss_median)


def test_a_promotion_is_the_mirror_of_a_kill() -> None:
    kill, promote = power(-0.3, 1.0, cap=2.0, runs=800), power(0.3, 1.0, cap=2.0, runs=800, verdict="promote")
    assert stop(promote) == pytest.approx(stop(kill), rel=0.1)
    assert promote.loss_median < 0


@pytest.mark.parametrize("verdict", ["kill", "promote"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_that_breaks_even_seldom_has_a_verdict(shape: str, verdict: Any) -> None:
    """With the learned cap; rare gains and rare losses are mirrors, so both sides see both tails."""
    found = power(0.0, 1.0, shape=shape, verdict=verdict, runs=150, horizon=1_000)
    assert found.share <= 0.01 + 2 * np.sqrt(0.01 * 0.99 / 150)
    assert (found.median, found.p90) == (None, None)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_have_mean_0_and_spread_1(shape: str) -> None:
    drawn = SHAPES[shape](np.random.default_rng(9), 500_000)
    assert drawn.mean() == pytest.approx(0, abs=0.02)
    assert drawn.std() == pytest.approx(1, rel=0.4 if shape == "lognormal 2" else 0.05)


def test_recorded_money_gives_its_shape_and_nothing_else() -> None:
    rng = np.random.default_rng(4)
    recorded = rng.normal(50, 7, 20_000)
    assert stop(power(-0.3, 1.0, cap=2.0, shape=recorded, runs=200)) == pytest.approx(
        stop(power(-0.3, 1.0, cap=2.0)), rel=0.15
    )
    skewed = power(-0.3, 1.0, shape=np.exp(rng.standard_normal(20_000)), runs=200)
    assert stop(skewed) == pytest.approx(stop(power(-0.3, 1.0, shape="lognormal 1", runs=200)), rel=0.3)


def test_the_same_seed_is_the_same_answer() -> None:
    assert power(-0.3, 1.0, runs=50, seed=5) == power(-0.3, 1.0, runs=50, seed=5)
    assert power(-0.3, 1.0, runs=50, seed=5) != power(-0.3, 1.0, runs=50, seed=6)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"effect": float("nan")}, "finite money"),
        ({"spread": 0.0}, "spread above 0"),
        ({"error": 1.0}, "no chance"),
        ({"every": 0.5}, "at least 1"),
        ({"cap": -1.0}, "above 0"),
        ({"verdict": "stop"}, "kill, promote"),
        ({"verdict": "promote", "every": 100.0}, "leave out"),
        ({"runs": 0}, "counts"),
        ({"good": -1}, "counts"),
        ({"horizon": 0}, "counts"),
        ({"shape": "norml"}, "there are: normal"),
        ({"shape": np.ones(100)}, "no shape"),
        ({"shape": np.arange(5.0)}, "at least 30"),
    ],
)
def test_what_cannot_be_simulated_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        power(**({"effect": -0.3, "spread": 1.0} | settings))
