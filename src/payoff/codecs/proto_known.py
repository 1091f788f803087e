"""Inference requests over gRPC like those before them: not parsed again, but cut.

A client's requests differ in the bytes of their tensors and in their id. Once one was found right, `Shape` knows where
these lie (`Loose` finds them, where there are texts, which differ in length); all other bytes must be equal, so a
request that is cut means what protobuf would have read.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from payoff.codecs import wire
from payoff.codecs.proto_infer import width
from payoff.codecs.tensors import BYTES, DATATYPES, unpack
from payoff.records.signature import Field, Type

_ID, _RAW_IN = 3, 7
_NAME_TAG, _VERSION_TAG, _ID_TAG, _RAW_TAG = (number << 3 | wire.BYTES for number in (1, 2, _ID, _RAW_IN))


class Shape:
    """What requests have in common that differ only in their id and the bytes of their tensors.

    All fields of an endpoint are there as raw bytes of their own datatype, and `at` says where. `rows` and the names of
    the `outputs` are as the request said.
    """

    def __init__(self, first: bytes, holes: list[tuple[int, int]]) -> None:
        ends = [0, *(stop for _, stop in holes)]
        fixed = [(end, start) for end, (start, _) in zip(ends, holes, strict=False)] + [(ends[-1], len(first))]
        sizes = [size for (a, b), (c, d) in zip(fixed, [*holes, (0, 0)], strict=True) for size in (b - a, d - c)]
        self._unpack = struct.Struct("".join(f"{size}s" for size in sizes)).unpack
        self._fixed = tuple(first[start:stop] for start, stop in fixed)
        self.size = len(first)
        self.rows = 0
        self.id_at: int | None = None
        self.at: list[int] = []  # for each field, the place of its bytes in the parts
        self.outputs: tuple[str, ...] | None = None

    def parts(self, data: bytes) -> tuple[bytes, ...] | None:
        """The bytes of a message of this size, cut; None if it is not one of this shape."""
        found = self._unpack(data)
        return found if found[::2] == self._fixed else None

    @staticmethod
    def of(data: bytes, request: Any, inputs: Sequence[Field], rows: int) -> "Shape | None":
        """The shape of a request of so many rows that was judged and found right; None if it is not so simple."""
        names = _usual(request, inputs, _is_plain)
        if names is None:
            return None
        found = [one for one in wire.fields(data) if one[0] in (_ID, _RAW_IN) and one[1] == wire.BYTES]
        holes = [(start, stop) for _, _, start, stop in found]
        numbers = [number for number, *_ in found]
        if numbers.count(_ID) > 1:
            return None
        shape = Shape(data, holes)
        raws = [2 * place + 1 for place, number in enumerate(numbers) if number == _RAW_IN]
        shape.at = [raws[names[field.name]] for field in inputs]
        shape.id_at = 2 * numbers.index(_ID) + 1 if _ID in numbers else None
        shape.rows = rows
        shape.outputs = tuple(output.name for output in request.outputs) or None
        return shape


class Loose:
    """The same for requests with texts, which differ in their length too: what comes before the id, what comes between
    it and the raw contents, and these, are found one after the other."""

    def __init__(self, begin: bytes, middle: bytes, sizes: list[int | None]) -> None:
        self.key = begin, middle
        self._sizes = sizes  # of the raw contents, in their order; None where it differs
        self.rows = 0
        self.id_at: int | None = len(sizes)
        self.at: list[int] = []
        self.outputs: tuple[str, ...] | None = None

    def parts(self, data: bytes, id: bytes, at: int) -> tuple[bytes, ...] | None:
        """The raw contents, which begin `at`, and the id; None if they are not what this shape has."""
        found = []
        try:
            for size in self._sizes:
                if data[at] != _RAW_TAG:
                    return None
                length, start = wire.number(data, at + 1)
                at = start + length
                if size is not None and size != length:
                    return None
                found.append(data[start:at])
        except IndexError:
            return None
        return (*found, id) if at == len(data) else None

    @staticmethod
    def of(data: bytes, request: Any, inputs: Sequence[Field], rows: int) -> "Loose | None":
        """As `Shape.of`; here a field may be text."""
        names = _usual(request, inputs, _is_plain_or_text)
        found = _begin(data) if names is not None else None
        if names is None or found is None:
            return None
        begin, id, at = found
        every = wire.fields(data)
        ids = [data[start:stop] for number, _, start, stop in every if number == _ID]
        if len(ids) > 1 or any(one != id for one in ids):
            return None
        raws = [one for one in every if one[0] == _RAW_IN]
        end = raws[0][2] - len(wire.head(_RAW_IN, raws[0][3] - raws[0][2])) if raws else len(data)
        order = sorted(inputs, key=lambda field: names[field.name])
        sizes = [None if field.type is Type.TEXT else rows * width(field) for field in order]
        shape = Loose(begin, data[at:end], sizes)
        shape.at = [names[field.name] for field in inputs]
        shape.rows, shape.outputs = rows, tuple(output.name for output in request.outputs) or None
        return shape if shape.parts(data, b"", end) is not None else None


def cut(data: bytes, lengths: Iterable[int]) -> Iterator[tuple[tuple[bytes, bytes], bytes, int]]:
    """What a request would be known by (`Loose.key`) if its middle had one of these lengths; its id, and where that
    middle ends."""
    found = _begin(data)
    if found is not None:
        begin, id, at = found
        for length in lengths:
            yield (begin, data[at : at + length]), id, at + length


def _begin(data: bytes) -> tuple[bytes, bytes, int] | None:
    """What comes before the id, the id, and where it ends; None if they are not the first there is, and short."""
    try:
        at = 0
        for tag in (_NAME_TAG, _VERSION_TAG):
            if data[at] == tag and data[at + 1] < 0x80:
                at += 2 + data[at + 1]
        start = at
        if data[at] == _ID_TAG and data[at + 1] < 0x80:
            at += 2 + data[at + 1]
        return data[:start], data[start + 2 : at], at
    except IndexError:
        return None


def _usual(request: Any, inputs: Sequence[Field], fits: Callable[[Field, Any], bool]) -> dict[str, int] | None:
    """The places of the inputs by their names, if there are just those of the fields, raw, and nothing special."""
    if request.parameters or any(output.parameters for output in request.outputs):
        return None
    names = {tensor.name: place for place, tensor in enumerate(request.inputs)}
    if names.keys() != {field.name for field in inputs} or len(request.raw_input_contents) != len(request.inputs):
        return None
    if len(names) != len(request.inputs) or not all(fits(field, request.inputs[names[field.name]]) for field in inputs):
        return None
    return names


def _is_plain(field: Field, tensor: Any) -> bool:
    """Whether the tensor's bytes are the column's."""
    number = field.type.is_number or field.type is Type.BOOL
    return number and tensor.datatype == DATATYPES[field.type] and not tensor.parameters


def _is_plain_or_text(field: Field, tensor: Any) -> bool:
    text = field.type is Type.TEXT and tensor.datatype == BYTES and not tensor.parameters
    return text or _is_plain(field, tensor)


def texts(raw: bytes, count: int, where: str) -> list[str]:
    """So many texts of raw bytes; BadInput if they are none. `where` names the tensor."""
    if count == 1 and int.from_bytes(raw[:4], "little") == len(raw) - 4:
        with suppress(UnicodeDecodeError):
            return [str(raw[4:], "utf-8")]
    found: list[str] = unpack(memoryview(raw), BYTES, count, where).tolist()
    return found
