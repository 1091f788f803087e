"""Inference requests like those before them: all of their bytes are known but the numbers.

A client sends the same request over and over with other numbers in it. What a request means that was read once, with
one input of numbers and nothing unusual, is kept under the bytes around its numbers. A later one with these bytes needs
no look at its envelope; and the numbers of all such requests of a batch are parsed together.

That rows of two callers cannot run into each other follows from counting: between its brackets each text has as many
commas as its shape needs, there is no other bracket, and the parser takes nothing but numbers; so no text holds more or
fewer of them than it says.

Many numbers go from text to memory without becoming Python objects on the way (simdjson), in less than half the time.
"""

import threading
from collections.abc import Sequence
from struct import error, pack
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import orjson
import simdjson
from numpy.typing import NDArray

from payoff.codecs.oip import Oip, Request
from payoff.codecs.oip_input import CODES
from payoff.codecs.tensors import DATATYPES
from payoff.records.columns import Column
from payoff.records.signature import Field

_SHAPES_MAX, _BYTES_MAX = 256, 4_096  # of the bytes around the numbers
_COMMA = ord(",")
_NUMBER = b"0123456789+-.eE, \t\r\n"
_TEXT_BYTES_KEPT = 1 << 19
_LONG_BYTES = 4_096  # a text in which numpy finds the commas sooner
FEW = 256  # numbers of a batch; simdjson is quicker with more
_READ_AS: dict[str, tuple[Literal["d", "i", "u"], type[np.number[Any]]]] = {  # by kind of dtype
    "f": ("d", np.float64), "i": ("i", np.int64), "u": ("u", np.uint64),
}  # fmt: skip
_TENSOR, _RAW_TENSOR = {"name", "shape", "datatype", "data"}, {"name", "shape", "datatype", "parameters"}


class _Parsing(threading.local):
    """A parser keeps the memory of its largest text: new memory for each costs more than to parse it. One for all
    shapes, and for each thread, as it holds one text at a time."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()

    def of(self, text: bytes) -> simdjson.Parser:
        """The one that is kept, but for a text whose memory should not be."""
        return self.parser if len(text) < _TEXT_BYTES_KEPT else simdjson.Parser()


_parsing = _Parsing()


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

    def __init__(self, oip: Oip, fields: Sequence[Field], few: int = FEW) -> None:
        self._oip = oip
        self._few = few
        self._known: dict[bytes, Shape] = {}
        self._last: Shape | None = None  # that came as JSON
        self._field = fields[0] if len(fields) == 1 and fields[0].type.is_number else None
        self._width = self._field.type.dtype.itemsize if self._field else 0
        self._code = CODES[self._field.type] if self._field else ""
        self._limits = _limits(self._field.type.dtype) if self._field else (0, 0)

    def find(self, body: bytes, header_length: int | None) -> Known | None:
        """The request, if one like it came before."""
        if header_length is not None:
            shape = self._known.get(body[:header_length])
            if shape is None or len(body) != header_length + shape.size * self._width:
                return None
            return Known(shape, body[header_length:])
        shape = self._last
        if shape is not None and body.startswith(shape.before) and body.endswith(shape.after):
            start, end = len(shape.before), len(body) - len(shape.after)
        elif self._known:
            start, end = _numbers(body)
            self._last = shape = self._known.get(body[:start] + body[end:])
        if shape is None or _commas(body, start, end) != shape.size - 1:
            return None
        return Known(shape, body[start:end])

    def keep(self, body: bytes, header_length: int | None, request: Request) -> None:
        """Remember what is around the numbers of a request that was found right, if it is one of those that can be."""
        if self._field is None or not request.rows or request.id is not None or request.wishes:
            return
        tensor = next(iter(request.said.values())).tensor
        if request.parameters.keys() - {"binary_data_output"} or tensor.get("datatype") != DATATYPES[self._field.type]:
            return
        count = request.rows * int(np.prod(self._field.shape))
        if header_length is not None:
            if tensor.keys() == _RAW_TENSOR:
                self._add(body[:header_length], Shape(_bare(request), body[:header_length], b"", count))
            return
        start, end = _numbers(body)
        once = body.count(b'"data"') == 1 and b"\\" not in body  # so the brackets are those of the tensor's data
        if tensor.keys() == _TENSOR and once and _commas(body, start, end) == count - 1:
            self._add(body[:start] + body[end:], Shape(_bare(request), body[:start], body[end:], count))

    def columns(self, known: Sequence[Known]) -> dict[str, Column]:
        """The rows of all these requests, one after the other; BadInput if any of them is amiss."""
        field = self._field
        assert field is not None  # noqa: S101 - there is none that is known otherwise
        values = self._values(field.type.dtype, known)
        if values is None:
            return self._oip.columns([self._again(one) for one in known])
        return {field.name: Column(values.reshape(-1, *field.shape))}

    def _values(self, dtype: np.dtype[Any], known: Sequence[Known]) -> NDArray[Any] | None:
        """All numbers, in the order of the requests; None if in doubt."""
        size, texts = 0, 0
        for shape, _ in known:
            size += shape.size
            texts += shape.after != b""
        numbers = [each for _, each in known]
        if not texts:
            values = np.frombuffer(b"".join(numbers), dtype)
            return None if dtype.kind == "f" and np.isnan(values).any() else values
        return self._parsed(dtype, b",".join(numbers), size) if texts == len(known) else None

    def _parsed(self, dtype: np.dtype[Any], text: bytes, size: int) -> NDArray[Any] | None:
        """So many numbers from a text with commas between them; None if it is none, or they do not fit the type."""
        if b"[" in text or b"]" in text:
            return None
        if size <= self._few:
            return self._parsed_few(dtype, text, size)
        code, wide = _READ_AS[dtype.kind]
        try:
            found = cast(simdjson.Array, _parsing.of(text).parse(b"[%b]" % text))
            values = np.frombuffer(found.as_buffer(of_type=code), wide)
        except (ValueError, TypeError):
            return None
        if len(values) != size or values.dtype == dtype:
            return values if len(values) == size else None
        low, high = self._limits
        fits = low <= np.minimum.reduce(values) and np.maximum.reduce(values) <= high
        return values.astype(dtype) if fits else None

    def _parsed_few(self, dtype: np.dtype[Any], text: bytes, size: int) -> NDArray[Any] | None:
        """The same by way of Python's numbers: for few of them that is over sooner."""
        if text.translate(None, _NUMBER):
            return None
        try:
            return np.frombuffer(pack(f"={size}{self._code}", *orjson.loads(b"[%b]" % text)), dtype)
        except (error, OverflowError, orjson.JSONDecodeError):
            return None

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
            self._last = shape if shape.after else self._last


def _numbers(body: bytes) -> tuple[int, int]:
    """Where the text between the brackets of "data" begins and ends."""
    start = body.find(b"[", body.find(b'"data"')) + 1
    return start, body.find(b"]", start)


def _commas(body: bytes, start: int, end: int) -> int:
    """How many there are between these places."""
    if end - start < _LONG_BYTES:
        return body.count(b",", start, end)
    return int(np.count_nonzero(np.frombuffer(body, np.uint8)[start:end] == _COMMA))


def _limits(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The least and the largest number of a type."""
    info = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return info.min, info.max


def _bare(request: Request) -> Request:
    """What a request says apart from its numbers."""
    return Request(None, {}, request.outputs, request.parameters, request.binary, request.rows)
