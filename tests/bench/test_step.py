"""Latencies that are counted, and where throughput stops growing."""

import math
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from payoff.bench.step import KNEE_SHARE, Step, knee, reached
from payoff.bench.tally import merged, percentile_us, place

LATENCIES = st.lists(st.integers(0, 10**9), min_size=1, max_size=200)


def step(connections: int, answered: int, failed: int = 0) -> Step:
    return Step(connections, 1.0, answered, failed, 1, 1, 1, 1, 1)


STEPS = st.lists(st.integers(1, 10**6), min_size=1, max_size=12).map(
    lambda rates: [step(2**place, rate) for place, rate in enumerate(rates)]
)


@given(st.integers(0, 10**12))
def test_a_latency_counts_at_most_a_hundredth_lower_than_it_was(us: int) -> None:
    assert us * 0.99 <= place(us) <= us
    assert place(place(us)) == place(us)


@given(LATENCIES, st.floats(0.01, 1))
def test_a_percentile_is_that_of_the_sorted_latencies(taken: list[int], share: float) -> None:
    found = percentile_us(Counter(map(place, taken)), share)
    exact = sorted(taken)[math.ceil(share * len(taken)) - 1]
    assert found in (place(exact), place(sorted(taken)[min(len(taken) - 1, math.ceil(share * len(taken)))]))


@given(st.lists(LATENCIES, max_size=5))
def test_the_counts_of_processes_add_up(parts: list[list[int]]) -> None:
    assert merged(Counter(map(place, one)) for one in parts) == Counter(place(us) for one in parts for us in one)


def test_nothing_answered_has_no_percentile() -> None:
    assert percentile_us({}, 0.99) is None


@given(STEPS)
def test_the_knee_brings_nearly_the_most_and_nothing_before_it_does(steps: list[Step]) -> None:
    found, most = knee(steps), max(one.rows_per_s for one in steps)
    assert found is not None
    assert found.rows_per_s >= KNEE_SHARE * most
    assert all(one.rows_per_s < KNEE_SHARE * most for one in steps[: steps.index(found)])


@given(STEPS, st.integers(2, 50), st.randoms())
def test_the_knee_depends_neither_on_the_unit_nor_on_the_order(steps: list[Step], times: int, chance: object) -> None:
    faster = [step(one.connections, one.answered * times) for one in steps]
    before, after = knee(steps), knee(faster[::-1])
    assert before is not None
    assert after is not None
    assert before.connections == after.connections


@given(STEPS)
def test_one_more_step_that_brings_nothing_moves_no_knee_and_shows_that_it_was_reached(steps: list[Step]) -> None:
    more = [*steps, step(2 ** len(steps), min(one.answered for one in steps))]
    assert knee(more) == knee(steps)
    assert reached(more)


def test_throughput_that_still_grows_has_not_reached_its_knee() -> None:
    assert not reached([step(1, 100), step(2, 200), step(4, 400)])
    assert reached([step(1, 100), step(2, 200), step(4, 205)])


def test_a_step_that_fails_carries_nothing() -> None:
    assert knee([step(1, 100), step(2, 1_000, failed=100)]) == step(1, 100)
    assert knee([step(1, 0, failed=5)]) is None
