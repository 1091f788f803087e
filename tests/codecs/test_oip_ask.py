"""The asking side of the Open Inference Protocol: what it writes, the answering side reads, and the other way round."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from payoff.codecs import oip, oip_ask, oip_reply
from payoff.codecs.tensors import DATATYPES
from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

KINDS = [kind for kind in Type if kind not in (Type.DATE, Type.TIMESTAMP)]
SHAPES = st.sampled_from([(), (3,), (2, 2)])


@st.composite
def columns(draw: st.DrawFn, nulls: bool = False) -> tuple[Field, Column]:
    kind, shape = draw(st.sampled_from(KINDS)), draw(SHAPES)
    rows = draw(st.integers(1, 5))
    whole = (rows, *shape)
    if kind is Type.TEXT:
        values = draw(arrays.arrays(object, whole, elements=st.text(max_size=5), fill=st.nothing()))
    else:
        finite: dict[str, Any] = {"allow_nan": False, "allow_infinity": False} if kind.is_float else {}
        values = draw(arrays.arrays(kind.dtype, whole, elements=arrays.from_dtype(kind.dtype, **finite)))
    valid = draw(arrays.arrays(bool, rows)) if nulls else None
    nullable = valid is not None and not valid.all()
    return Field("x", kind, shape, nullable), Column(values, valid if nullable else None)


@given(columns(), st.booleans())
def test_what_is_asked_arrives(column: tuple[Field, Column], binary: bool) -> None:
    field, sent = column
    body, head = oip_ask.encode({"x": sent.values}, {"x": DATATYPES[field.type]}, ["y"], binary)
    request = oip.decode(body, [field], head)
    assert request.outputs == ("y",)
    assert request.binary == (frozenset({"y"}) if binary else frozenset())
    np.testing.assert_array_equal(request.columns["x"].values, sent.values)


@given(columns(nulls=True), st.booleans())
def test_what_is_answered_arrives(column: tuple[Field, Column], binary: bool) -> None:
    field, sent = column
    request = oip.Request(None, {}, None, {}, "all" if binary else frozenset())
    body, head = oip_reply.reply(request, "m", "1", {"x": sent}, [field])
    got, values = oip_ask.decode(body, head, len(sent))["x"]
    if field.shape and field.type.is_float and field.nullable:  # a null row of floats is one of NaN
        known = ~np.isnan(values.values).reshape(len(sent), -1).all(axis=1)
    else:
        assert (got.type, got.shape, got.nullable) == (field.type, field.shape, field.nullable)
        known = np.ones(len(sent), bool) if values.valid is None else values.valid
    np.testing.assert_array_equal(known, np.ones(len(sent), bool) if sent.valid is None else sent.valid)
    np.testing.assert_array_equal(values.values[known], sent.values[known])


@given(st.binary(max_size=200), st.none() | st.integers(0, 250))
def test_no_bytes_do_more_than_be_refused(body: bytes, head: int | None) -> None:
    with pytest.raises(BadInput):
        oip_ask.decode(body, head, 3)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["data", "shape", "name"]), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {
            "name": st.just("x") | JSON,
            "datatype": st.sampled_from([*oip_ask.TYPES, "FP8"]) | JSON,
            "shape": st.lists(st.integers(-1, 4), max_size=3) | JSON,
            "data": st.lists(JSON, max_size=6) | JSON,
        },
        optional={"parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 9) | JSON}) | JSON},
    )
)
def test_an_answer_is_read_or_refused_whatever_it_says(tensor: dict[str, Any]) -> None:

    try:
        found = oip_ask.decode(json.dumps({"outputs": [tensor]}).encode(), None, 2)
    except BadInput:
        return
    for field, column in found.values():
        assert column.values.shape == (2, *field.shape)
        assert column.values.dtype == field.type.dtype


def test_nan_in_json_is_a_null() -> None:
    body = b'{"outputs": [{"name": "x", "datatype": "FP64", "shape": [2], "data": [NaN, 1.5]}]}'
    field, column = oip_ask.decode(body, None, 2)["x"]
    assert field.nullable
    assert column.valid is not None
    assert column.valid.tolist() == [False, True]


@pytest.mark.parametrize(
    ("got", "wanted", "values"),
    [
        (Type.FLOAT64, Type.INT64, [1.5]),
        (Type.INT64, Type.INT8, [300]),
        (Type.FLOAT64, Type.FLOAT32, [1e300]),
        (Type.TEXT, Type.FLOAT64, ["1"]),
    ],
)
def test_an_answer_of_another_type_is_taken_only_if_it_fits(got: Type, wanted: Type, values: list[Any]) -> None:
    column = Column(np.array(values, got.dtype))
    with pytest.raises(BadInput):
        oip_ask.settle(Field("x", wanted), Field("x", got), column)
    if got.is_number:
        fits = oip_ask.settle(Field("x", wanted), Field("x", got), Column(np.array([7], got.dtype)))
        assert fits.values.dtype == wanted.dtype
