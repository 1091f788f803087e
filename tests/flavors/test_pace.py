"""How fast a model is, and what follows from it: measured, never set."""

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.flavors.pace import SIZES, Pace, blank, measure, quicker
from payoff.records.columns import Column, Columns, length
from payoff.records.signature import Field, Type

ROWS = {"x": Column(np.arange(5.0), np.array([True, False, True, True, True]))}
PER_ROW, PER_CALL = Pace((1, 8, 32), (0.001, 0.008, 0.032)), Pace((1, 8, 32), (0.001, 0.001, 0.001))


class Clock:
    """Shows the seconds that a model says it has taken: none but its own."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_model_is_called_with_its_sample_rows_in_rising_numbers() -> None:
    asked: list[list[float]] = []

    def run(columns: Columns) -> dict[str, Column]:
        asked.append(columns["x"].values.tolist())
        return {}

    pace = measure(run, ROWS, Clock())
    assert pace.rows == SIZES
    assert all(len(one) >= 1 and one == [float(row % 5) for row in range(len(one))] for one in asked)
    assert [len(one) for one in asked] == sorted(len(one) for one in asked)
    assert len(asked) > len(SIZES)  # each is warmed up


def test_a_model_that_is_very_slow_is_asked_twice_and_no_more() -> None:
    asked: list[int] = []
    clock = Clock()

    def run(columns: Columns) -> dict[str, Column]:
        asked.append(length(columns))
        clock.now += 0.1
        return {}

    pace = measure(run, ROWS, clock)
    assert asked == [1, 1]
    assert pace.large
    assert pace.rows_max == 4  # as far as one call tells


def test_rows_that_are_large_are_not_piled_up() -> None:
    asked: list[int] = []

    def run(columns: Columns) -> dict[str, Column]:
        asked.append(length(columns))
        return {}

    measure(run, {"image": Column(np.zeros((1, 1_000, 500), np.float32))}, Clock())
    assert max(asked) == 32  # 64 MB


def test_what_a_model_raises_is_raised() -> None:
    def run(columns: Columns) -> dict[str, Column]:
        raise ValueError("not these")

    with pytest.raises(ValueError, match="not these"):
        measure(run, ROWS)


paces = st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=len(SIZES)).map(
    lambda found: Pace(SIZES[: len(found)], tuple(sorted(found)))
)


@given(paces, st.integers(1, 4_096))
def test_between_measured_sizes_the_time_lies_between_theirs(pace: Pace, rows: int) -> None:
    for (low, quick), (high, slow) in pairwise(zip(pace.rows, pace.seconds, strict=True)):
        if low <= rows <= high:
            assert quick * 0.999 <= pace.of(rows) <= slow * 1.001
    assert pace.of(1) == pytest.approx(pace.one_row_s)
    assert pace.of(rows + 1) >= pace.of(rows) * 0.999


@given(paces)
def test_no_call_takes_longer_than_it_may_but_one_of_a_single_row(pace: Pace) -> None:
    most = pace.rows_max
    assert 1 <= most <= SIZES[-1]
    assert most & (most - 1) == 0
    assert most == 1 or pace.of(most) <= pace.call_s_max
    assert pace.call_s_max == (max(0.05, 4 * pace.one_row_s) if pace.one_row_s > 0.002 else 0.005)


def test_batches_grow_while_they_pay() -> None:
    assert PER_CALL.rows_max == 2_048
    assert PER_ROW.rows_max == 4  # eight rows would take 8 ms
    dear_beyond_32 = Pace((1, 8, 32, 128), (0.000_1, 0.000_2, 0.000_5, 0.004))
    assert dear_beyond_32.rows_max == 32
    large = Pace((1, 8, 32), (0.100, 0.120, 0.300))
    assert large.rows_max == 32  # four times what a row takes alone


def test_an_engine_is_changed_for_a_clear_gain_only() -> None:
    half = Pace(PER_ROW.rows, tuple(second / 2 for second in PER_ROW.seconds))
    little = Pace(PER_ROW.rows, tuple(second * 0.9 for second in PER_ROW.seconds))
    slow_for_one = Pace(PER_ROW.rows, (0.002, 0.004, 0.008))
    assert quicker(half, PER_ROW)
    assert not quicker(little, PER_ROW)
    assert not quicker(PER_ROW, PER_ROW)
    assert not quicker(slow_for_one, PER_ROW)


def test_a_model_without_sample_rows_is_measured_on_a_row_of_zeros() -> None:
    row = blank((Field("n", Type.INT64), Field("image", Type.FLOAT32, (2, 2)), Field("word", Type.TEXT)))
    assert [column.values.tolist() for column in row.values()] == [[0], [[[0, 0], [0, 0]]], [""]]


def test_time_that_others_had_the_processor_is_not_the_models() -> None:
    def run(columns: Columns) -> dict[str, Column]:
        time.sleep(0.003)
        return {}

    assert measure(run, ROWS).large
    assert not measure(run, ROWS, time.thread_time).large
