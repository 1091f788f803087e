"""Outputs as classes, the highest first, in the texts that Triton's clients take apart."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs.classification import classes, classified, classify
from payoff.errors import BadInput
from payoff.records import Column, Field, Type
from tests.codecs.frames import columns, patient

SCORES = Field("p", Type.FLOAT32, (4,))


def said(field: Field, values: Any, most: int) -> Any:
    return classify(field, Column(np.array(values, field.type.dtype)), most).values.tolist()


def test_the_highest_elements_of_each_row_come_first() -> None:
    rows = [[0.25, 0.5, -1, 0.125], [4, 3, 2, 1]]
    assert said(SCORES, rows, 2) == [["0.500000:1", "0.250000:0"], ["4.000000:0", "3.000000:1"]]
    assert classified(SCORES, 2) == Field("p", Type.TEXT, (2,))


def test_whole_numbers_are_exact_and_equal_ones_stay_in_order() -> None:
    field = Field("n", Type.INT64, (4,))
    assert said(field, [[2**62 + 1, -(2**63), 2**62 + 1, 7]], 9) == [
        [f"{2**62 + 1}:0", f"{2**62 + 1}:2", "7:3", f"{-(2**63)}:1"]
    ]
    assert said(Field("u", Type.UINT64, (2,)), [[2**64 - 1, 0]], 1) == [[f"{2**64 - 1}:0"]]


def test_nan_comes_last() -> None:
    assert said(SCORES, [[np.nan, -5, np.inf, -np.inf]], 4) == [["inf:2", "-5.000000:1", "-inf:3", "nan:0"]]


def test_a_plain_output_is_one_class_and_a_tensor_is_one_list() -> None:
    assert said(Field("p", Type.FLOAT64), [0.5, 0.75], 3) == [["0.500000:0"], ["0.750000:0"]]
    assert said(Field("p", Type.INT8, (2, 2)), [[[1, 2], [9, 3]]], 2) == [["9:2", "3:3"]]
    assert said(SCORES, np.empty((0, 4)), 2) == []


def test_null_rows_stay_null() -> None:
    valid = np.array([True, False])
    found = classify(Field("p", Type.FLOAT64), Column(np.zeros(2), valid), 1)
    assert found.valid is valid


@pytest.mark.parametrize("kind", [Type.TEXT, Type.BOOL, Type.DATE, Type.TIMESTAMP])
def test_what_has_no_height_is_refused(kind: Type) -> None:
    with pytest.raises(BadInput, match="only numbers can be classified"):
        classified(Field("p", kind), 1)


@pytest.mark.parametrize("asked", [0, -1, True, 1.5, "3", None, [1]])
def test_how_many_is_a_number_from_one(asked: object) -> None:
    assert classes(3, "p") == 3
    with pytest.raises(BadInput, match="output 'p': classification is"):
        classes(asked, "p")


@patient
@given(st.data(), st.sampled_from([kind for kind in Type if kind.is_number]), st.integers(1, 7))
def test_each_text_names_an_element_and_none_left_out_is_higher(data: st.DataObject, kind: Type, most: int) -> None:
    field = Field("p", kind, (2, 3))
    column = data.draw(columns(field, 2, finite=False))
    found = classify(field, column, most)
    assert found.values.shape == (2, *classified(field, most).shape)
    for texts, row in zip(found.values.tolist(), column.values.reshape(2, 6).tolist(), strict=True):
        places = [int(text.partition(":")[2]) for text in texts]
        heights = [row[place] for place in places]
        assert heights == sorted(row, reverse=True)[:most]
        assert len(set(places)) == len(places)
