"""Whatever bytes come: a refusal that can be answered, or columns; never another exception, never a dead process."""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payoff.codecs import arrow, csv, ndjson, oip, parquet, rows, samples
from payoff.errors import BadInput, TooLarge
from payoff.records import Field, Type
from tests.codecs.frames import Frame, answer, frames, patient

FIELDS = (
    Field("a", Type.INT8, nullable=True),
    Field("b", Type.TEXT, nullable=True),
    Field("c", Type.FLOAT32, (2,), nullable=True),
    Field("d", Type.TIMESTAMP, nullable=True),
    Field("e", Type.DATE, nullable=True),
    Field("f", Type.BOOL, nullable=True),
)
TABLE = pa.table(
    {
        "a": pa.array([1, None], pa.int8()),
        "b": pa.array(["x", "yy"]).dictionary_encode(),
        "c": pa.array([[1, 2], None], pa.list_(pa.float32(), 2)),
        "d": pa.array([0, 1000], pa.timestamp("ns")),
    }
)


def _parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(TABLE, sink)
    return sink.getvalue().to_pybytes()


RECORD = {"a": 1, "b": "x", "c": [1, None], "d": "2008-05-05T10:00:00Z", "e": "2008-05-05", "f": True}
TENSORS = {
    "id": "1",
    "inputs": [
        {"name": "a", "shape": [1], "datatype": "INT8", "parameters": {"binary_data_size": 1}},
        {"name": "b", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}},
        {"name": "c", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]},
    ],
    "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
}
HEAD = json.dumps(TENSORS).encode()
DECODERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "rows": (lambda body: rows.decode(body, FIELDS, rows_max=100), json.dumps([RECORD, RECORD]).encode()),
    "columns": (lambda body: rows.decode(body, FIELDS), json.dumps({k: [v] for k, v in RECORD.items()}).encode()),
    "ndjson": (lambda body: ndjson.decode(body, FIELDS), json.dumps(RECORD).encode() + b"\n"),
    "csv": (lambda body: csv.decode(body, FIELDS), b'a,b,c,d,e,f\n1,"x","[1,2]",2008-05-05,2008-05-05,1\n,,,,,\n'),
    "arrow": (lambda body: arrow.decode(body, FIELDS), arrow.write(TABLE)),
    "parquet": (lambda body: parquet.decode(body, FIELDS), _parquet()),
    "oip": (lambda body: oip.decode(body, FIELDS).columns, json.dumps({"inputs": TENSORS["inputs"][2:]}).encode()),
    "oip raw": (lambda body: oip.decode(body, FIELDS, len(HEAD)).columns, HEAD + b"\x01\x02\x00\x00\x00xy"),
    "sample csv": (lambda body: samples.table(body, "csv"), b"a,b\n1,2008-05-05\n"),
    "sample json": (lambda body: samples.table(body, "json"), json.dumps([RECORD]).encode()),
}


def survives(decode: Callable[[bytes], object], body: bytes) -> None:
    try:
        decode(body)
    except (BadInput, TooLarge):
        return


@pytest.mark.parametrize("name", DECODERS)
@patient
@given(body=st.binary(max_size=200))
@example(body=b"")
def test_random_bytes(name: str, body: bytes) -> None:
    survives(DECODERS[name][0], body)


@pytest.mark.parametrize("name", DECODERS)
def test_every_beginning_of_a_good_body(name: str) -> None:
    decode, good = DECODERS[name]
    decode(good)
    for end in range(0, len(good), max(1, len(good) // 200)):
        survives(decode, good[:end])


@pytest.mark.parametrize("name", DECODERS)
def test_a_good_body_with_some_bytes_changed(name: str) -> None:
    decode, good = DECODERS[name]
    chance = np.random.default_rng(5)
    for _ in range(400):
        body = bytearray(good)
        for at in chance.integers(0, len(good), chance.integers(1, 4)):
            body[at] = chance.integers(0, 256)
        survives(decode, bytes(body))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@patient
@given(json_values)
def test_any_json_as_rows(said: object) -> None:
    body = json.dumps(said).encode()
    survives(lambda body: rows.decode(body, FIELDS), body)
    survives(lambda body: samples.table(body, "json"), body)


KEYS = ["name", "shape", "datatype", "data", "parameters"]
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c", "d", "x"]) | json_values,
        "shape": st.sampled_from([[1], [1, 1], [1, 2], [2], [0], [-1], [True], [2**70]]) | json_values,
        "datatype": st.sampled_from(["INT8", "FP32", "FP16", "BYTES", "BOOL", "BF16"]) | json_values,
        "data": st.lists(json_values, max_size=3) | json_values,
    },
    optional={
        "parameters": st.dictionaries(st.sampled_from(["binary_data_size", "shared_memory_region"]), json_values)
    },
)


@patient
@given(
    st.fixed_dictionaries(
        {"inputs": st.lists(tensors, max_size=3)},
        optional={"outputs": json_values | st.lists(tensors), "parameters": json_values, "id": json_values},
    ),
    st.none() | st.integers(-5, 400),
)
def test_any_json_as_tensors(said: object, header_length: int | None) -> None:
    survives(lambda body: oip.decode(body, FIELDS, header_length), json.dumps(said).encode())


@patient
@given(frames(finite=False), frames(finite=False))
def test_columns_of_other_fields(ours: Frame, theirs: Frame) -> None:
    """Well-formed data of any type under the names that another signature has."""
    renamed = {f"n{i}": column for i, column in enumerate(theirs[1].values())}
    fields = tuple(Field(f"n{i}", f.type, f.shape, f.nullable) for i, f in enumerate(theirs[0]))
    wanted = tuple(Field(f"n{i}", f.type, f.shape, nullable=True) for i, f in enumerate(ours[0]))
    said = answer((fields, renamed, theirs[2]))
    for codec in (arrow.CODEC, parquet.CODEC, csv.CODEC):
        survives(codec.decoder(wanted), codec.encode(said))
