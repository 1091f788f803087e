"""Requests of the Open Inference Protocol that were good before somebody tampered with them: each is read for what it
says, or refused, and what was asked for can then be written. Anything else would be a fault of ours."""

import copy
import json
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.codecs import oip, oip_reply
from payoff.codecs.classification import classified, classify
from payoff.codecs.places import Place
from payoff.codecs.tensors import DATATYPES, pack
from payoff.codecs.urgency import urgency
from payoff.errors import BadInput, TooLarge
from payoff.records import Column, Field, Type
from tests.codecs.frames import patient

ROWS = 2
FIELDS = tuple(Field(str(kind), kind, (2,) if kind is Type.FLOAT32 else ()) for kind in Type)
OUTPUTS = (Field("y", Type.FLOAT64), Field("p", Type.FLOAT32, (3,)), Field("why", Type.TEXT))
ANSWERS = {
    "y": Column(np.array([0.5, np.nan])),
    "p": Column(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "why": Column(np.array(["champion", ""], object)),
}
IN_MEMORY = {"shared_memory_region": "r", "shared_memory_byte_size": 16}


def values(field: Field) -> Any:
    """Two rows that the field takes, as they travel."""
    if DATATYPES[field.type] == "BYTES":
        return np.array(["2008-05-05"] * ROWS, object)
    return np.ones((ROWS, *field.shape), field.type.dtype)


def good(binary: bool) -> tuple[dict[str, Any], bytes]:
    """A request with every type, and the bytes behind it; one tensor lies in shared memory."""
    inputs, raw = [], []
    for field in FIELDS:
        tensor: dict[str, Any] = {
            "name": field.name, "shape": [ROWS, *field.shape], "datatype": DATATYPES[field.type],
        }  # fmt: skip
        if field.type is Type.INT64:
            tensor["parameters"] = dict(IN_MEMORY)
        elif binary:
            raw.append(pack(values(field)))
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = values(field).reshape(-1).tolist()
        inputs.append(tensor)
    outputs = [
        {"name": "y", "parameters": {"binary_data": True}},
        {"name": "p", "parameters": {"classification": 2}},
        {"name": "why", "parameters": dict(IN_MEMORY)},
    ]
    parameters = {"timeout": 5, "priority": 1, "binary_data_output": True, "mine": "x"}
    return {"id": "7", "inputs": inputs, "outputs": outputs, "parameters": parameters}, b"".join(raw)


def fetch(place: Place) -> bytes:
    """Shared memory, all ones, of which anybody may ask as much as he likes."""
    return np.ones(2, np.int64).tobytes()[: place.byte_size]


def answer(body: bytes, header_length: int | None) -> list[bytes]:
    """What a door does with a request."""
    reader = oip.Oip(FIELDS, rows_max=1_000)
    asked = reader.ask(body, header_length, fetch)
    urgency(asked.parameters)
    fields = {field.name: field for field in oip_reply.pick(asked, OUTPUTS)}
    columns = dict(ANSWERS)
    for name, wish in (asked.wishes or {}).items():
        if wish.classes is not None:
            held = fields[name]
            fields[name], columns[name] = classified(held, wish.classes), classify(held, columns[name], wish.classes)
    assert {len(column) for column in reader.columns([asked, asked]).values()} <= {2 * asked.rows}
    writer = oip_reply.Writer("m", "1", [*fields.values()], asked.binary, {"revision": 1})
    bodies, heads = writer.write(columns, [ROWS], [asked.id])
    return [body[:head] for body, head in zip(bodies, heads, strict=True)] if heads else bodies


def answered_or_refused(body: bytes, header_length: int | None) -> None:
    try:
        texts = answer(body, header_length)
    except (BadInput, TooLarge):
        return
    assert [json.loads(text)["model_name"] for text in texts] == ["m"]


def test_the_good_ones_are_answered() -> None:
    for binary in (True, False):
        said, raw = good(binary)
        head = json.dumps(said).encode()
        assert answer(head + raw, len(head) if binary else None)


words = st.sampled_from(
    ["", "name", "shape", "datatype", "data", "parameters", "y", "p", "binary_data_size", "shared_memory_region",
     "FP16", "BF16", "BYTES", "INT64", "é", "\x00", "%d", "classification", "int64", "float32"]
)  # fmt: skip
numbers = st.sampled_from([0, 1, 2, -1, 3, 16, 255, 2**31, 2**53 + 1, 2**63, 2**64, 2**70, 0.5, 1e39, 1e308, -0.0])
plain = st.none() | st.booleans() | words | numbers
anything = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3))


def places(said: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every part of a JSON value."""
    inner = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


@settings(patient, max_examples=200)
@given(st.data(), st.booleans())
def test_a_part_is_replaced_left_out_or_comes_twice(data: st.DataObject, binary: bool) -> None:
    said, raw = good(binary)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(said)[1:] or [("id",)]))
        holder: Any = said
        for key in path[:-1]:
            holder = holder[key]
        change = data.draw(st.sampled_from(["replace", "leave out", "twice"]))
        if change == "replace" or not isinstance(holder, list | dict):
            holder[path[-1]] = data.draw(anything)
        elif change == "leave out":
            del holder[path[-1]]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[path[-1]]))
    head = json.dumps(said).encode()
    answered_or_refused(head + raw, len(head) if binary else None)


@settings(patient, max_examples=200)
@given(st.data(), st.booleans())
def test_bytes_are_changed_cut_off_or_moved(data: st.DataObject, binary: bool) -> None:
    said, raw = good(binary)
    head = json.dumps(said).encode()
    body = bytearray(head + raw)
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(body)) | st.just(len(body)))
    length = data.draw(st.just(len(head)) | st.integers(-2, len(body) + 2) | st.none())
    answered_or_refused(bytes(body[:end]), length)
