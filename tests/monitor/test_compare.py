"""Comparisons of decisions: against a named baseline, with intervals that hold at every look."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from payoff.monitor.compare import Baseline, Effect, before, beside, how, mean, paired, randomised
from payoff.monitor.docket import Shares
from payoff.monitor.matured import HOLDOUT, Matured

Floats = NDArray[np.float64]
LOOKS = (150, 250, 400, 700, 1_000, 1_500, 2_000)


def rows(worth: Floats, side: object = "m v1", **more: object) -> Matured:
    n = len(worth)
    sides = np.broadcast_to(np.array(side, dtype=object), (n,)).astype(object)
    none = np.zeros(n, np.bool_)
    found = Matured(
        ids=np.array([f"{each:09d}" for each in range(n)], dtype=object),
        time_us=np.arange(n),
        revision=np.ones(n, np.int64),
        arm=np.where(sides == HOLDOUT, "", sides),
        worth=worth,
        fallback=np.full(n, np.nan),
        cost=np.zeros(n),
        side=sides,
        shadow=none,
        explored=none,
        failed=none,
        violated=none,
        latency_us=np.ones(n, np.int64),
    )
    return replace(found, **more)  # type: ignore[arg-type]


def held_out(rng: np.random.Generator, n: int, share: float, effect: float) -> tuple[Matured, Floats]:
    """Rows of which a share is held out; money follows a covariate, and the model adds an effect."""
    held, x = rng.random(n) < share, rng.standard_normal(n)
    worth = 2 * x + rng.standard_normal(n) + np.where(held, 0.0, effect)
    return rows(worth, np.where(held, HOLDOUT, "m v1").astype(object)), x


def shares(holdout: float) -> dict[int, Shares]:
    return {1: Shares({"m v1": 1 - holdout, HOLDOUT: holdout})}


def test_a_hold_out_is_named_with_its_share_and_both_sides_are_counted() -> None:
    found, _ = held_out(np.random.default_rng(1), 2_000, 0.1, 1.0)
    effect = randomised(found, "m v1", HOLDOUT, shares(0.1))
    assert effect is not None
    assert (effect.kind, effect.baseline, effect.causal) == (Baseline.HOLDOUT, "the 10% hold-out", True)
    assert effect.mine + effect.others == 2_000
    assert effect.mean.value == pytest.approx(1.0, abs=0.4)


def test_the_difference_is_covered_at_every_look() -> None:
    """At 5% one in twenty streams may miss at some look; of 60, six would be more than chance."""
    rng, missed = np.random.default_rng(2), 0
    for _ in range(60):
        found, _ = held_out(rng, LOOKS[-1], 0.2, 0.5)
        spans = [randomised(found.take(slice(0, n)), "m v1", HOLDOUT, shares(0.2)) for n in LOOKS]
        told = [span.mean.interval for span in spans if span is not None and span.mean.interval is not None]
        assert told
        missed += any(not one.low <= 0.5 <= one.high for one in told)
    assert missed < 6


def test_what_was_known_before_takes_noise_out_and_leaves_the_difference() -> None:
    found, x = held_out(np.random.default_rng(3), 3_000, 0.3, 0.5)
    plain, adjusted = (randomised(found, "m v1", HOLDOUT, shares(0.3), covariate=each) for each in (None, x))
    assert plain is not None
    assert adjusted is not None
    assert plain.mean.interval is not None
    assert adjusted.mean.interval is not None
    width = adjusted.mean.interval.high - adjusted.mean.interval.low
    assert width < 0.7 * (plain.mean.interval.high - plain.mean.interval.low)
    assert adjusted.mean.value == pytest.approx(0.5, abs=0.2)
    assert adjusted.noise_left == pytest.approx(0.2, abs=0.05)


def test_shares_that_change_do_not_make_a_difference_where_there_is_none() -> None:
    """Later rows earn more for everybody, and the hold-out has more of them."""
    rng, n = np.random.default_rng(4), 4_000
    late = np.arange(n) >= n // 2
    held = rng.random(n) < np.where(late, 0.5, 0.05)
    worth = rng.standard_normal(n) + 5.0 * late
    found = rows(worth, np.where(held, HOLDOUT, "m v1").astype(object), revision=1 + late.astype(np.int64))
    both = {1: Shares({"m v1": 0.95, HOLDOUT: 0.05}), 2: Shares({"m v1": 0.5, HOLDOUT: 0.5})}
    effect = randomised(found, "m v1", HOLDOUT, both)
    assert worth[~held].mean() - worth[held].mean() < -1
    assert effect is not None
    assert abs(effect.mean.value) < 0.3


def test_rows_from_times_in_which_one_side_had_no_share_do_not_count() -> None:
    early = {1: Shares({"m v1": 1.0}), 2: Shares({"m v1": 0.5, HOLDOUT: 0.5})}
    side = np.array(["m v1"] * 50 + ["m v1", HOLDOUT] * 25, dtype=object)
    found = rows(np.ones(100), side, revision=np.repeat([1, 2], 50))
    effect = randomised(found, "m v1", HOLDOUT, early)
    assert effect is not None
    assert (effect.mine, effect.others) == (25, 25)


def test_what_was_decided_at_random_is_in_no_difference() -> None:
    found, _ = held_out(np.random.default_rng(5), 400, 0.5, 0.0)
    effect = randomised(replace(found, explored=np.arange(400) % 2 == 0), "m v1", HOLDOUT, shares(0.5))
    assert effect is not None
    assert effect.mine + effect.others == 200


def test_without_rows_on_both_sides_there_is_no_difference() -> None:
    assert randomised(rows(np.ones(50)), "m v1", HOLDOUT, shares(0.5)) is None
    assert before(rows(np.ones(50)), "m v1") is None
    assert beside(rows(np.ones(50)), "m v2", "m v1") is None


def test_pairs_are_compared_on_rows_that_both_values_are_known_of() -> None:
    found = rows(np.array([1.0, 2.0, np.nan, 4.0]), fallback=np.array([0.5, np.nan, 1.0, 1.0]))
    effect = paired(found, "m v1")
    assert (effect.mine, effect.mean.value, effect.baseline) == (2, 1.75, "the fallback on the same rows")


def test_a_version_that_watches_is_compared_on_the_rows_that_both_were_asked_about() -> None:
    ids = np.array(["1", "1", "2", "3"], dtype=object)
    arm = np.array(["m v1", "m v2", "m v2", "m v1"], dtype=object)
    found = rows(np.array([1.0, 4.0, 9.0, 9.0]), arm, ids=ids)
    effect = beside(found, "m v2", "m v1")
    assert isinstance(effect, Effect)
    assert (effect.mine, effect.mean.value, effect.baseline) == (1, 3.0, "m v1 on the same rows")


def test_before_and_after_is_not_causal() -> None:
    worth = np.concatenate([np.full(300, 1.0), np.full(300, 3.0)]) + np.random.default_rng(6).standard_normal(600)
    effect = before(rows(worth, np.repeat(["", "m v1"], 300).astype(object)), "m v1")
    assert effect is not None
    assert (effect.causal, effect.mine, effect.others) == (False, 300, 300)
    assert effect.mean.value == pytest.approx(2.0, abs=0.3)


def test_a_stated_cap_makes_the_interval_tighter_and_a_wrong_one_is_left_out() -> None:
    x = np.where(np.random.default_rng(7).random(600) < 0.5, 1.0, -1.0)
    learned, capped, wrong = mean(x).interval, mean(x, cap=1.0).interval, mean(x, cap=0.5).interval
    assert learned is not None
    assert capped is not None
    assert capped.high - capped.low < learned.high - learned.low
    assert wrong == learned


def test_too_few_rows_have_a_mean_and_no_interval_and_it_is_said_why() -> None:
    found = mean(np.array([1.0, 3.0]))
    assert (found.n, found.value, found.interval) == (2, 2.0, None)
    assert mean(np.empty(0)).n == 0
    assert "2 decisions have matured with none before them missing" in how(2)
