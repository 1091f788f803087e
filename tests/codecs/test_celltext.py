"""Answers of a batch are cut where its calls end, whatever their sizes."""

import json
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs import celltext
from payoff.codecs.tensors import pack
from payoff.records import Column, Field, Type

COUNTS = st.lists(st.integers(0, 4), min_size=1, max_size=6)
FIELDS = [
    Field("n", Type.FLOAT32),
    Field("v", Type.INT64, (2,)),
    Field("m", Type.FLOAT64, (2, 3)),
    Field("t", Type.TEXT, nullable=True),
    Field("b", Type.BOOL, nullable=True),
]


def column(field: Field, rows: int, nulls: bool) -> Column:
    drawn = np.random.default_rng(rows).integers(0, 100, (rows, *field.shape))
    values = drawn.astype(str).astype(object) if field.type is Type.TEXT else drawn.astype(field.type.dtype)
    return Column(values, np.arange(rows) % 3 > 0 if nulls and field.nullable else None)


@pytest.mark.parametrize("field", FIELDS, ids=str)
@given(counts=COUNTS, nulls=st.booleans())
def test_each_call_gets_the_elements_of_its_rows(field: Field, counts: list[int], nulls: bool) -> None:
    whole = column(field, sum(counts), nulls)
    parts = celltext.flat(field, whole, counts)
    ends = [*accumulate(counts)]
    for part, count, end in zip(parts, counts, ends, strict=True):
        own = whole.take(slice(end - count, end))
        assert json.loads(b"[%b]" % part) == json.loads(b"[%b]" % celltext.flat(field, own, [count])[0])
        rows = [json.loads(text) for text in celltext.texts(field, own)]
        assert np.array(rows, object).ravel().tolist() == json.loads(b"[%b]" % part)


@given(COUNTS)
def test_each_call_gets_its_own_ids(counts: list[int]) -> None:
    ids = [f"{number:036d}" for number in range(sum(counts))]
    texts, raws = celltext.flat_ids(ids, counts), celltext.raw_ids(ids, counts)
    for text, raw, count, end in zip(texts, raws, counts, accumulate(counts), strict=True):
        own = ids[end - count : end]
        assert json.loads(b"[%b]" % text) == own
        assert raw == pack(np.array(own, object))


@given(COUNTS)
def test_each_call_gets_its_own_bytes(counts: list[int]) -> None:
    whole = column(FIELDS[1], sum(counts), nulls=False)
    for raw, count, end in zip(celltext.raw(whole, counts), counts, accumulate(counts), strict=True):
        assert raw == whole.values[end - count : end].tobytes()
