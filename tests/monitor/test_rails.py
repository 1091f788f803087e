"""Guardrails hold up a promotion until it is known that nothing gets worse by more than its margin."""

from math import log

import numpy as np
import pytest

from payoff.monitor.rails import Rails, blocks
from payoff.stats import Sums

MARGINS = {"latency": 0.2, "errors": 0.01, "violations": 0.01, "cost": 0.5}


def calls(n: int, latency: float = 1_000.0, errors: float = 0.0, violations: float = 0.0, cost: float = 0.001) -> Rails:
    """So many calls: their latency and cost spread by half, faults as often as said."""
    rng = np.random.default_rng(n)
    return Rails(
        Sums.of(log(latency) + 0.5 * rng.standard_normal(n)),
        Sums.of((np.arange(n) < errors * n).astype(np.float64)),
        Sums.of((np.arange(n) < violations * n).astype(np.float64)),
        Sums.of(cost * (0.5 + rng.random(n))),
    )


def test_after_enough_calls_that_are_as_good_nothing_blocks() -> None:
    assert blocks(calls(3_000), calls(2_900), MARGINS, 0.05) == []


def test_after_few_calls_nothing_is_known_not_even_that_nothing_fails() -> None:
    told = blocks(calls(100), calls(3_000), MARGINS, 0.05)
    assert "it is not known yet that it fails more often by at most 1% of its calls" in told
    assert blocks(Rails(), calls(3_000), MARGINS, 0.05) == [
        "it is not known yet that it is at most 20% slower",
        "it is not known yet that it fails more often by at most 1% of its calls",
        "it is not known yet that it breaks rules more often by at most 1% of its calls",
        "it is not known yet that a decision of it costs at most 50% more",
    ]


@pytest.mark.parametrize(
    ("worse", "said"),
    [
        (calls(3_000, latency=2_000), "it is slower by more than 20%"),
        (calls(3_000, errors=0.1), "it fails more often, by more than 1% of its calls"),
        (calls(3_000, violations=0.1), "it breaks rules more often, by more than 1% of its calls"),
        (calls(3_000, cost=0.01), "a decision of it costs over 50% more"),
    ],
)
def test_what_is_worse_is_named(worse: Rails, said: str) -> None:
    assert blocks(worse, calls(2_900), MARGINS, 0.05) == [said]


def test_without_guardrails_nothing_blocks() -> None:
    assert blocks(Rails(), Rails(), {}, 0.05) == []


def test_a_challenger_that_fails_a_margin_more_is_hardly_ever_let_through_by_looking_often() -> None:
    """Its errors are worse by exactly the margin: looked at 40 times, at 5 %."""
    let_through = 0
    for seed in range(200):
        rng, mine, theirs = np.random.default_rng(seed), Rails(), Rails()
        for _ in range(40):
            mine = Rails(errors=mine.errors + Sums.of((rng.random(100) < 0.06).astype(np.float64)))
            theirs = Rails(errors=theirs.errors + Sums.of((rng.random(100) < 0.05).astype(np.float64)))
            if not blocks(mine, theirs, {"errors": 0.01}, 0.05):
                let_through += 1
                break
    assert let_through / 200 <= 0.05
