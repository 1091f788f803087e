"""Raw bytes of every datatype, also of those that NumPy or a column does not have."""

import json
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs import oip, oip_ask
from payoff.codecs.tensors import BYTES, DTYPES, bfloat16, pack, unpack
from payoff.errors import BadInput
from payoff.records import Field, Type
from tests.codecs.frames import patient

WHOLE = [name for name in DTYPES if "INT" in name]


@pytest.mark.parametrize("name", [name for name in DTYPES if name != "BF16"])
def test_elements_come_back_with_their_extremes(name: str) -> None:
    dtype = DTYPES[name].newbyteorder("=")
    span: Any = np.iinfo(dtype) if name in WHOLE else np.finfo(dtype) if dtype.kind == "f" else None
    values = np.array([0, 1] if span is None else [span.min, 0, 1, span.max], dtype)
    raw = pack(values)
    assert len(raw) == values.size * dtype.itemsize
    np.testing.assert_array_equal(unpack(memoryview(raw), name, values.size, "input 'x'"), values)


@patient
@given(st.lists(st.text(max_size=5), max_size=5))
def test_texts_come_back_the_empty_ones_too(texts: list[str]) -> None:
    values = np.array(texts, object)
    assert unpack(memoryview(pack(values)), BYTES, len(texts), "input 'x'").tolist() == texts


@patient
@given(st.lists(st.floats(width=32), max_size=20))
def test_bfloat16_is_what_others_make_of_it(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    with np.errstate(over="ignore"):
        theirs = values.astype(ml_dtypes.bfloat16)
    ours = unpack(memoryview(pack(bfloat16(values))), "BF16", len(numbers), "input 'x'")
    np.testing.assert_array_equal(ours, theirs.astype(np.float32))


@pytest.mark.parametrize(("name", "dtype"), [("FP16", np.float16), ("BF16", ml_dtypes.bfloat16)])
@pytest.mark.parametrize("kind", [kind for kind in Type if kind.is_number])
def test_half_floats_go_to_every_number_field_that_they_fit(name: str, dtype: Any, kind: Type) -> None:
    raw = np.array([0, 1, 2.5 if kind.is_float else 96], dtype).tobytes()
    tensor = {"name": "x", "shape": [3], "datatype": name, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    column = oip.decode(head + raw, [Field("x", kind)], len(head)).columns["x"]
    assert column.values.dtype == kind.dtype
    assert column.values.tolist() == [0, 1, 2.5 if kind.is_float else 96]


def test_half_floats_that_do_not_fit_are_named() -> None:
    raw = np.array([1, 2.5], ml_dtypes.bfloat16).tobytes()
    tensor = {"name": "x", "shape": [2], "datatype": "BF16", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    with pytest.raises(BadInput, match=r"column 'x', row 1 .*got 2.5; expected int64"):
        oip.decode(head + raw, [Field("x", Type.INT64)], len(head))


def test_another_server_is_asked_and_understood_in_bfloat16() -> None:
    values = np.array([1, 2.5, -3], np.float32)
    body, head = oip_ask.encode({"x": values}, {"x": "BF16"}, None, binary=True)
    np.testing.assert_array_equal(oip.decode(body, [Field("x", Type.FLOAT32)], head).columns["x"].values, values)
    said = {"outputs": [{"name": "y", "shape": [3], "datatype": "BF16", "parameters": {"binary_data_size": 6}}]}
    text = json.dumps(said).encode()
    field, column = oip_ask.decode(text + values.astype(ml_dtypes.bfloat16).tobytes(), len(text), 3)["y"]
    assert field.type is Type.FLOAT32
    np.testing.assert_array_equal(column.values, values)
