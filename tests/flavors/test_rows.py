"""Samples as they come, rows on their way between processes, and how answers are compared."""

import datetime
import decimal
import string
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.errors import BadInput
from payoff.flavors.agree import Tolerance, compare, table
from payoff.flavors.edges import NEW_WORD, edges
from payoff.flavors.fit import fit
from payoff.flavors.rowfile import Rows, read_rows, write_rows
from payoff.flavors.sample import ROWS_MAX, rows_of
from payoff.records.columns import Column
from payoff.records.signature import Field, Type


@pytest.mark.parametrize(
    ("array", "field"),
    [
        pytest.param(pa.array([1, 2], pa.int8()), Field("x", Type.INT64), id="narrow whole numbers"),
        pytest.param(pa.array([1, 2], pa.uint64()), Field("x", Type.UINT64), id="the widest"),
        pytest.param(pa.array([1, 2], pa.float32()), Field("x", Type.FLOAT64), id="narrow numbers"),
        pytest.param(pa.array([1.0, float("nan")]), Field("x", Type.FLOAT64, (), True), id="NaN is null"),
        pytest.param(pa.array([1, None]), Field("x", Type.INT64, (), True), id="a null"),
        pytest.param(pa.array([decimal.Decimal("1.5")]), Field("x", Type.FLOAT64), id="decimals"),
        pytest.param(pa.array(["a", None]), Field("x", Type.TEXT, (), True), id="text"),
        pytest.param(pa.array(["a", "b"]).dictionary_encode(), Field("x", Type.TEXT), id="categories"),
        pytest.param(pa.array(["a"], pa.string_view()), Field("x", Type.TEXT), id="views of text"),
        pytest.param(pa.array([True, None]), Field("x", Type.BOOL, (), True), id="booleans"),
        pytest.param(pa.array([datetime.date(2008, 5, 5)]), Field("x", Type.DATE), id="dates"),
        pytest.param(pa.array([datetime.datetime(2008, 5, 5, 1)]), Field("x", Type.TIMESTAMP), id="times"),
        pytest.param(pa.array([[[1.0, 2.0]], [[3.0, 4.0]]]), Field("x", Type.FLOAT64, (1, 2)), id="tensors"),
        pytest.param(pa.array([[1, 2]], pa.list_(pa.float32(), 2)), Field("x", Type.FLOAT32, (2,)), id="vectors"),
    ],
)
def test_columns_of_every_kind_become_ours(array: Any, field: Field) -> None:
    rows = rows_of(pa.table({"x": array}))
    assert rows.fields == (field,)
    assert rows.columns["x"].values.dtype == field.type.dtype
    assert rows.columns["x"].values.shape == (len(array), *field.shape)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        pytest.param(pa.nulls(2), "column 'x' of the sample has no value in any row", id="only nulls"),
        pytest.param(pa.array([[1], [1, 2]]), "lists of unequal length", id="ragged lists"),
        pytest.param(pa.array([[1, None], [1, 2]]), "lists of int64 or nulls in them", id="a null in a list"),
        pytest.param(pa.array([{"a": 1}]), "column 'x' of the sample is struct", id="records"),
    ],
)
def test_columns_of_no_kind_of_ours_are_refused(array: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        rows_of(pa.table({"x": array}))


def test_two_columns_of_one_name_are_refused() -> None:
    with pytest.raises(BadInput, match="more than one column called 'x'"):
        rows_of(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"]))


def test_a_sample_is_cut_to_what_a_start_can_check() -> None:
    assert len(rows_of(pa.table({"x": range(5_000)}))) == ROWS_MAX
    image = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(400 * 50_000)), 50_000)
    assert 100 < len(rows_of(pa.table({"x": image}))) < 200


texts = st.lists(st.text(max_size=9) | st.none(), min_size=1, max_size=20)


@given(words=texts, names=st.lists(st.text(string.printable, min_size=1), min_size=2, max_size=2, unique=True))
def test_rows_come_back_from_a_file_as_they_went(tmp_path_factory: Any, words: Any, names: list[str]) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.npz"
    valid = np.array([word is not None for word in words])
    days = np.arange(len(words)).astype("datetime64[D]")
    columns = {names[0]: Column(np.array(words, object), valid), names[1]: Column(days)}
    fields = (Field(names[0], Type.TEXT, (), True), Field(names[1], Type.DATE))
    write_rows(path, {"inputs": Rows(fields, columns)}, {"a": 1})
    groups, notes = read_rows(path)
    back = groups["inputs"]
    assert (back.fields, notes) == (fields, {"a": 1})
    assert back.columns[names[0]].values[valid].tolist() == [word for word in words if word is not None]
    assert (back.columns[names[1]].values == days).all()


def test_a_file_of_rows_that_payoff_did_not_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    np.savez(tmp_path / "b.npz", about=np.array([object()]))
    for name in ("a", "b.npz"):
        with pytest.raises(BadInput, match="holds no rows that payoff wrote"):
            read_rows(tmp_path / name)


def columns(**values: Any) -> dict[str, Column]:
    return {
        name: Column(np.array(list(given), object if isinstance(given[0], str) else None))
        for name, given in values.items()
    }


PROBABILITY = (Field("label", Type.BOOL), Field("probability", Type.FLOAT64))


@pytest.mark.parametrize(
    ("probability", "differences", "ties"),
    [
        pytest.param(0.5, 0, 1, id="at a tie a label may fall either way"),
        pytest.param(0.50009, 0, 1, id="and so close to it that rounding decides"),
        pytest.param(0.501, 1, 0, id="but no further away"),
    ],
)
def test_a_label_may_differ_at_a_tie_only(probability: float, differences: int, ties: int) -> None:
    home = columns(label=[True, True], probability=[0.9, probability])
    here = columns(label=[True, False], probability=[0.9, probability])
    found = compare(PROBABILITY, home, here)
    assert (len(found.differences), found.ties) == (differences, ties)


def test_numbers_are_compared_by_the_size_of_their_column() -> None:
    field = (Field("prediction", Type.FLOAT64),)
    home = columns(prediction=[1e6, -1e6, 0.0])
    assert not compare(field, home, columns(prediction=[1e6 + 50, -1e6, 30.0])).differences
    assert len(compare(field, home, columns(prediction=[1e6 + 150, -1e6, 150.0])).differences) == 2
    assert len(compare(field, home, home, Tolerance(0, 0)).differences) == 0


def test_what_is_not_finite_agrees_with_itself_only() -> None:
    field = (Field("x", Type.FLOAT64),)
    home = columns(x=[float("nan"), float("inf"), 1.0])
    assert not compare(field, home, home).differences
    assert [d.row for d in compare(field, home, columns(x=[1.0, float("-inf"), float("nan")])).differences] == [0, 1, 2]


def test_differences_are_told_worst_first_and_not_all() -> None:
    field = (Field("x", Type.FLOAT64),)
    found = compare(field, columns(x=[0.0] * 9), columns(x=[float(row) for row in range(9)]))
    lines = table(found.differences, rows_max=2).splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["row", "output", "expected", "got", "difference"], ["8", "x", "0", "8", "8"], ["7", "x", "0", "7", "7"],
    ]  # fmt: skip
    assert lines[3] == "and 6 more"


def test_rows_are_made_of_what_callers_will_send() -> None:
    sample = rows_of(pa.table({"n": [3, None, 5], "w": ["a", "b", "a"], "b": [True, True, False]}))
    made = dict(edges(sample))
    assert set(made) == {"mixed", "ends of ranges and zeros", "unknown words", "nulls"}
    assert {0, 3, 5} <= set(made["ends of ranges and zeros"].columns["n"].values.tolist())
    assert NEW_WORD in made["unknown words"].columns["w"].values
    nulls = made["nulls"].columns["n"].valid
    assert nulls is not None
    assert not nulls.all()
    assert all(rows.fields == sample.fields for rows in made.values())


def test_a_graph_without_inputs_is_refused() -> None:
    with pytest.raises(BadInput, match="takes no input at all"):
        fit((), None)
