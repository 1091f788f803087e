"""Inference requests like those before them: all of their bytes are known but the numbers.

A client sends the same request over and over with other numbers in it. What a request means that was read once, with
one input of numbers and nothing unusual, is kept under the bytes around its numbers. A later one with these bytes needs
no look at its envelope; and the numbers of all such requests of a batch are parsed together.

That rows of two callers cannot run into each other follows from counting: between its brackets each text holds number
characters and as many commas as its shape has, so it is exactly as many numbers, or none that a parser takes.
"""

from collections.abc import Sequence
from struct import error, pack
from typing import NamedTuple

import numpy as np
import orjson

from payoff.codecs.oip import Oip, Request
from payoff.codecs.oip_input import CODES
from payoff.codecs.tensors import DATATYPES
from payoff.records.columns import Column
from payoff.records.signature import Field

_NUMBER = b"0123456789+-.eE, \t\r\n"
_SHAPES_MAX, _BYTES_MAX = 256, 4_096  # of the bytes around the numbers
_BODY_BYTES_MAX = 32_768  # in a larger one the envelope costs next to nothing
_PLAIN, _TENSOR = {"inputs", "outputs", "parameters"}, {"name", "shape", "datatype", "data"}
_RAW_TENSOR = {"name", "shape", "datatype", "parameters"}


class Shape(NamedTuple):
    """What stands around the numbers, and the request that it makes."""

    request: Request
    before: bytes
    after: bytes
    size: int  # how many numbers there are


class Known(NamedTuple):
    """A request of a known shape, and its numbers: as JSON text, or as raw bytes."""

    shape: Shape
    numbers: bytes


class Shapes:
    """The shapes of the requests for one list of fields; of use where there is one input, of numbers."""

    def __init__(self, oip: Oip, fields: Sequence[Field]) -> None:
        self._oip = oip
        self._known: dict[bytes, Shape] = {}
        self._field = fields[0] if len(fields) == 1 and fields[0].type in CODES else None

    def find(self, body: bytes, header_length: int | None) -> Known | None:
        """The request, if one like it came before."""
        if not self._known or len(body) > _BODY_BYTES_MAX:
            return None
        if header_length is not None:
            shape = self._known.get(body[:header_length])
            width = -1 if shape is None or self._field is None else shape.size * self._field.type.dtype.itemsize
            return Known(shape, body[header_length:]) if shape and len(body) == header_length + width else None
        start, end = _numbers(body)
        shape = self._known.get(body[:start] + body[end:])
        return None if shape is None else _known(shape, body[start:end])

    def keep(self, body: bytes, header_length: int | None, request: Request) -> None:
        """Remember what is around the numbers of a request that was found right, if it is one of those that can be."""
        if self._field is None or len(body) > _BODY_BYTES_MAX or not request.rows:
            return
        if request.id is not None or request.wishes:
            return
        tensor = next(iter(request.said.values())).tensor
        if request.parameters.keys() - {"binary_data_output"} or tensor.get("datatype") != DATATYPES[self._field.type]:
            return
        count = request.rows * int(np.prod(self._field.shape))
        if header_length is not None:
            if tensor.keys() == _RAW_TENSOR and header_length <= _BYTES_MAX:
                self._add(body[:header_length], Shape(_bare(request), body[:header_length], b"", count))
            return
        start, end = _numbers(body)
        shape = Shape(_bare(request), body[:start], body[end:], count)
        once = body.count(b'"data"') == 1 and b"\\" not in body  # so the brackets are those of the tensor's data
        if tensor.keys() == _TENSOR and once and _known(shape, body[start:end]) is not None:
            self._add(body[:start] + body[end:], shape)

    def columns(self, known: Sequence[Known]) -> dict[str, Column]:
        """The rows of all these requests, one after the other; BadInput if any of them is amiss."""
        field = self._field
        assert field is not None  # noqa: S101 - there is none that is known otherwise
        values = _values(field, known)
        if values is None:
            return self._oip.columns([self._again(one) for one in known])
        rows = sum([shape.request.rows for shape, _ in known])
        return {field.name: Column(values.reshape(rows, *field.shape))}

    def _again(self, known: Known) -> Request:
        """The request, read with the care that tells what is wrong with it."""
        shape, numbers = known
        header_length = None if shape.after else len(shape.before)
        return self._oip.ask(shape.before + numbers + shape.after, header_length)

    def _add(self, key: bytes, shape: Shape) -> None:
        if len(key) <= _BYTES_MAX:
            if len(self._known) >= _SHAPES_MAX:
                self._known.clear()
            self._known[key] = shape


def _numbers(body: bytes) -> tuple[int, int]:
    """Where the text between the brackets of "data" begins and ends."""
    start = body.find(b"[", body.find(b'"data"')) + 1
    return start, body.find(b"]", start)


def _known(shape: Shape, numbers: bytes) -> Known | None:
    """The request, if these can be as many numbers as its shape has."""
    if numbers.count(b",") != shape.size - 1 or numbers.translate(None, _NUMBER):
        return None
    return Known(shape, numbers)


def _values(field: Field, known: Sequence[Known]) -> "np.ndarray[tuple[int], np.dtype[np.generic]] | None":
    """All numbers, in the order of the requests; None if in doubt."""
    if not known[0].shape.after:
        return _raw_values(field, known)
    if not all(shape.after for shape, _ in known):
        return None
    try:
        found = orjson.loads(b"[%b]" % b",".join([numbers for _, numbers in known]))
        packed = pack(f"={len(found)}{CODES[field.type]}", *found)
    except (error, OverflowError, orjson.JSONDecodeError):
        return None
    values = np.frombuffer(packed, field.type.dtype)
    return values if len(values) == sum([shape.size for shape, _ in known]) else None


def _raw_values(field: Field, known: Sequence[Known]) -> "np.ndarray[tuple[int], np.dtype[np.generic]] | None":
    if any(shape.after for shape, _ in known):
        return None
    values = np.frombuffer(b"".join([raw for _, raw in known]), field.type.dtype)
    return None if field.type.is_float and np.isnan(values).any() else values


def _bare(request: Request) -> Request:
    """What a request says apart from its numbers."""
    return Request(None, {}, request.outputs, request.parameters, request.binary, request.rows)
