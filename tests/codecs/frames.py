"""Columns of every type, at random, for round trips; and what it means for two of them to be the same."""

from datetime import date, datetime
from math import prod
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from payoff.codecs import Answer
from payoff.records import Column, Columns, Field, Type

# The first call of a codec imports Arrow, which takes longer than hypothesis allows one example.
patient = settings(deadline=None, max_examples=150)

Frame = tuple[tuple[Field, ...], dict[str, Column], int]

# Names that JSON bodies use for their envelopes, and one that pandas uses, have tests of their own.
_TAKEN = {"rows", "columns", "endpoint", "revision"}
names = st.text(min_size=1, max_size=8).filter(lambda name: name not in _TAKEN)


def elements(kind: Type, finite: bool = True) -> st.SearchStrategy[Any]:
    """Values of one type, its extremes among them; NaN is a null here and therefore not one of them."""
    if kind.is_integer:
        span = np.iinfo(kind.dtype)
        return st.integers(int(span.min), int(span.max))
    if kind.is_float:
        return st.floats(width=32 if kind is Type.FLOAT32 else 64, allow_nan=False, allow_infinity=not finite)
    return {
        Type.BOOL: st.booleans(),
        Type.TEXT: st.text(max_size=6),
        Type.DATE: st.dates(date(1, 1, 1), date(9999, 12, 31)),
        Type.TIMESTAMP: st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)),
    }[kind]


@st.composite
def fields(draw: st.DrawFn, shapes: tuple[tuple[int, ...], ...] = ((), (), (), (2,), (2, 3))) -> tuple[Field, ...]:
    return tuple(
        Field(name, draw(st.sampled_from(list(Type))), draw(st.sampled_from(shapes)), draw(st.booleans()))
        for name in draw(st.lists(names, min_size=1, max_size=4, unique=True))
    )


@st.composite
def frames(draw: st.DrawFn, finite: bool = True) -> Frame:
    """Some fields and columns of 0 to 4 rows for them."""
    chosen = draw(fields())
    rows = draw(st.integers(0, 4))
    return chosen, {field.name: draw(columns(field, rows, finite)) for field in chosen}, rows


@st.composite
def columns(draw: st.DrawFn, field: Field, rows: int, finite: bool = True) -> Column:
    size = rows * prod(field.shape)
    flat = np.empty(size, object)
    flat[:] = draw(st.lists(elements(field.type, finite), min_size=size, max_size=size))
    values = flat.astype(field.type.dtype).reshape(rows, *field.shape)
    if not field.nullable:
        return Column(values)
    return Column(values, np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), bool))


def answer(frame: Frame) -> Answer:
    chosen, held, _ = frame
    return Answer("term-deposit", 3, held, chosen)


def check_same(got: Columns, expected: Columns, chosen: tuple[Field, ...]) -> None:
    """The same values in the same rows, of the right dtype and shape, in the order of the fields."""
    assert list(got) == [field.name for field in chosen]
    for field in chosen:
        ours, theirs = got[field.name], expected[field.name]
        assert ours.values.dtype == field.type.dtype
        assert ours.values.shape == theirs.values.shape
        valid = np.ones(len(theirs), bool) if theirs.valid is None else theirs.valid
        np.testing.assert_array_equal(np.ones(len(ours), bool) if ours.valid is None else ours.valid, valid)
        np.testing.assert_array_equal(ours.values[valid], theirs.values[valid])


def no_rows(chosen: tuple[Field, ...]) -> dict[str, Column]:
    return {field.name: Column(np.empty((0, *field.shape), field.type.dtype)) for field in chosen}
