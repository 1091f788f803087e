"""Rows that a sample does not have and callers will send: other mixtures, the ends of each range, zero, new words."""

from collections.abc import Iterator
from math import prod

import numpy as np

from payoff.flavors.rowfile import Rows
from payoff.records.columns import Column, concat, length
from payoff.records.signature import Field, Type

_MIXED_ROWS = 200
_MIXED_VALUES = 4 << 20  # in all: fewer rows of large tensors
NEW_WORD = "payoff: a word the model has never seen"


def edges(sample: Rows) -> Iterator[tuple[str, Rows]]:
    """Sets of rows, each with a word for what is in it."""
    random = np.random.default_rng(20_260)
    n = max(2, min(_MIXED_ROWS, _MIXED_VALUES // max(prod(field.shape) for field in sample.fields)))
    yield "mixed", _rows(sample, {f.name: _mixed(f, sample.columns[f.name], random, n) for f in sample.fields})
    yield "ends of ranges and zeros", _one_at_a_time(sample, _ends)
    if any(field.type is Type.TEXT for field in sample.fields):
        yield "unknown words", _one_at_a_time(sample, _words)
    if any(field.nullable for field in sample.fields):
        yield "nulls", _one_at_a_time(sample, _nulls)


def _rows(sample: Rows, columns: dict[str, Column]) -> Rows:
    return Rows(sample.fields, columns)


def _mixed(field: Field, column: Column, random: np.random.Generator, n: int) -> Column:
    """Values drawn column by column, numbers also from between those seen: rows nobody has trained on."""
    drawn = column.take(random.integers(0, len(column), n))
    if not field.type.is_number:
        return drawn
    seen = column.values if column.valid is None else column.values[column.valid]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 0.0)
    shape = (n, *field.shape)
    between = random.uniform(low, high, shape).astype(field.type.dtype)
    return Column(np.where(random.random(shape) < 0.5, drawn.values, between), drawn.valid)


def _one_at_a_time(sample: Rows, values: "type(lambda: None)") -> Rows:  # type: ignore[valid-type]
    """The first rows again, each time with one column set to one value."""
    parts = []
    base = {name: column.take(slice(0, 3)) for name, column in sample.columns.items()}
    for field in sample.fields:
        for column in values(field, sample.columns[field.name], length(base)):
            parts.append({**base, field.name: column})
    return _rows(sample, concat(parts))


def _ends(field: Field, column: Column, n: int) -> Iterator[Column]:
    seen = column.values if column.valid is None else column.values[column.valid]
    if field.type is Type.BOOL:
        yield from (Column(np.full((n, *field.shape), value)) for value in (False, True))
    elif field.type.is_number and len(seen):
        low, high = seen.min(), seen.max()
        yield from (Column(np.full((n, *field.shape), value, field.type.dtype)) for value in (low, high, 0))
    else:
        yield column.take(slice(0, n))


def _words(field: Field, column: Column, n: int) -> Iterator[Column]:
    if field.type is Type.TEXT:
        yield Column(np.full((n, *field.shape), NEW_WORD, object))


def _nulls(field: Field, column: Column, n: int) -> Iterator[Column]:
    if field.nullable:
        yield Column(column.values[:n], np.zeros(n, bool))
