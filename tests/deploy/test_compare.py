"""How far the answers of two versions are apart."""

from typing import Any

import numpy as np
import pytest

from payoff.deploy.compare import columns, gaps, pairs
from payoff.flavors.rowfile import Rows
from payoff.records import Column, Field, Type


def rows(kind: Type, values: Any, valid: Any = None) -> Rows:
    array = np.array(values, kind.dtype)
    return Rows((Field("y", kind, array.shape[1:]),), {"y": Column(array, None if valid is None else np.array(valid))})


def test_equal_answers_differ_nowhere() -> None:
    one = rows(Type.FLOAT64, [1.0, np.nan, np.inf, 1e12])
    other = rows(Type.FLOAT64, [1.0, np.nan, np.inf, 1e12 + 1])
    (gap,) = gaps(one, other)
    assert (gap.rows_differing, gap.row, gap.largest) == (0, None, 1.0)


def test_the_worst_row_is_shown_with_both_answers() -> None:
    (gap,) = gaps(rows(Type.FLOAT64, [1.0, 2.0, 3.0]), rows(Type.FLOAT64, [1.0, 2.5, 5.0]))
    assert (gap.rows_differing, gap.largest, gap.row, gap.before, gap.after) == (2, 2.0, 2, 3.0, 5.0)
    assert gap.mean == pytest.approx(2.5 / 3)


def test_lists_differ_by_their_largest_difference() -> None:
    (gap,) = gaps(rows(Type.FLOAT32, [[0.1, 0.9], [0.5, 0.5]]), rows(Type.FLOAT32, [[0.1, 0.9], [0.25, 0.75]]))
    assert (gap.rows_differing, gap.largest, gap.after) == (1, 0.25, [0.25, 0.75])


def test_texts_differ_or_do_not() -> None:
    (gap,) = gaps(rows(Type.TEXT, ["a", "b", "c"]), rows(Type.TEXT, ["a", "x", "c"]))
    assert (gap.rows_differing, gap.largest, gap.mean, gap.before, gap.after) == (1, None, None, "b", "x")


def test_a_null_differs_from_a_value_and_not_from_a_null() -> None:
    one = rows(Type.FLOAT64, [1.0, 0.0, 0.0], [True, False, False])
    other = rows(Type.FLOAT64, [1.0, 7.0, 9.0], [True, True, False])
    (gap,) = gaps(one, other)
    assert (gap.rows_differing, gap.row, gap.before, gap.after, gap.largest) == (1, 1, None, 7.0, 0.0)


def test_what_is_not_given_by_both_in_the_same_form_is_not_compared() -> None:
    assert gaps(rows(Type.FLOAT64, [1.0]), rows(Type.FLOAT64, [[1.0, 2.0]])) == []


def test_columns_come_go_and_change() -> None:
    before = [Field("a", Type.INT64), Field("b", Type.TEXT)]
    after = [Field("a", Type.FLOAT64), Field("c", Type.TEXT, nullable=True)]
    assert columns(before, after) == {
        "added": [{"name": "c", "is": "text or null"}],
        "gone": [{"name": "b", "was": "text"}],
        "changed": [{"name": "a", "before": "int64", "after": "float64"}],
    }


def test_pairs_that_differ() -> None:
    assert pairs({"a": 1, "b": 2}, {"a": 1, "c": 3}) == [
        {"name": "b", "before": 2, "after": None},
        {"name": "c", "before": None, "after": 3},
    ]
