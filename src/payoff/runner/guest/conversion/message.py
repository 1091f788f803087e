"""ONNX files written by hand: a model is one protobuf message, and the few parts that trees need are soon written.

So the environment of a model needs no further package to write it. Field numbers are those of `onnx.proto3`.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

FLOAT, INT64, STRING, BOOL, DOUBLE = 1, 7, 8, 9, 11
_OF = {"float32": FLOAT, "float64": DOUBLE, "int64": INT64, "bool": BOOL}


def varint(number: int) -> bytes:
    """A whole number, seven bits to a byte; a negative one as its 64-bit complement."""
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def whole(field: int, number: int) -> bytes:
    """A field that is a whole number."""
    return varint(field << 3) + varint(int(number))


def part(field: int, content: bytes | str) -> bytes:
    """A field that is text, bytes or another message."""
    data = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(value: Any, name: str = "") -> bytes:
    """A TensorProto."""
    value = np.asarray(value)
    dims = b"".join(whole(1, size) for size in value.shape)
    if value.dtype.kind in "OU":
        texts = b"".join(part(6, str(one)) for one in value.reshape(-1).tolist())
        return dims + whole(2, STRING) + texts + part(8, name)
    raw = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes()
    return dims + whole(2, _OF[value.dtype.name]) + part(8, name) + part(9, raw)


def attribute(name: str, value: Any) -> bytes:
    """An AttributeProto: the type of the value says which kind."""
    start = part(1, name)
    if isinstance(value, np.ndarray):
        return start + part(5, tensor(value, name)) + whole(20, 4)
    if isinstance(value, float):
        return start + varint(2 << 3 | 5) + struct.pack("<f", value) + whole(20, 1)
    if isinstance(value, int):
        return start + whole(3, value) + whole(20, 2)
    if all(isinstance(one, str) for one in value):
        return start + b"".join(part(9, one) for one in value) + whole(20, 8)
    if all(isinstance(one, int) for one in value):
        return start + part(8, b"".join(varint(one) for one in value)) + whole(20, 7)
    return start + part(7, np.asarray(value, "<f4").tobytes()) + whole(20, 6)


def node(kind: str, inputs: list[str], outputs: list[str], domain: str, attributes: dict[str, Any]) -> bytes:
    """A NodeProto."""
    names = b"".join(part(1, one) for one in inputs) + b"".join(part(2, one) for one in outputs)
    told = b"".join(part(5, attribute(name, value)) for name, value in attributes.items())
    return names + part(4, kind) + told + (part(7, domain) if domain else b"")


def port(name: str, kind: int | None = None, width: int = 1) -> bytes:
    """A ValueInfoProto: any number of rows of `width`; without a kind its type is left to be found out."""
    if kind is None:
        return part(1, name)
    shape = part(1, part(2, "N")) + part(1, whole(1, width))
    return part(1, name) + part(2, part(1, whole(1, kind) + part(2, shape)))


def model(
    nodes: list[bytes], inputs: list[bytes], outputs: list[bytes], constants: list[bytes], opsets: dict[str, int]
) -> bytes:
    """A ModelProto of IR version 8."""
    fields = ((1, nodes), (5, constants), (11, inputs), (12, outputs))
    graph = part(2, "payoff") + b"".join(part(field, one) for field, some in fields for one in some)
    sets = b"".join(part(8, part(1, domain) + whole(2, version)) for domain, version in opsets.items())
    return whole(1, 8) + part(2, "payoff") + part(7, graph) + sets
