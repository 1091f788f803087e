"""Frames back to Arrow: frames of one shape are taken apart together, so a million single rows are no million steps.

Types are canonical here, whatever the model took: integers int64 (uint64 decimal(20,0)), floats float64, text, bool,
date, timestamp in UTC microseconds, tensors as (nested) lists.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from payoff.journal import frame, ids
from payoff.journal.frame import DATA, FIXED, FRAME, MASKED, NULL, SPLIT, STREAM, TEXTS, Layout, Slot, Stream, layout
from payoff.records.signature import Field, Type

_GATHER_MAX = 4_000_000  # bytes gathered at once: the index that does it is eight times as large

Kind = tuple[str, str]  # (kind, endpoint)
Array: TypeAlias = "pa.Array[Any]"


class _Group(NamedTuple):
    """Frames of one stream, one number of rows and one set of flags: all their columns lie at the same places."""

    stream: int
    rows: int
    masked: bool


class Decoder:
    """The frames of one segment, block after block; it remembers the streams it was introduced to."""

    def __init__(self) -> None:
        self._streams: dict[int, tuple[Stream, Layout]] = {}

    def tables(self, raw: bytes, bodies: Sequence[tuple[int, int]]) -> list[tuple[Kind, pa.Table]]:
        """The rows in some blocks of `raw`, one table per shape of frame."""
        groups = self._walk(raw, bodies)
        flat = np.frombuffer(raw, np.uint8)
        found = []
        for group, frames in groups.items():
            stream, plan = self._streams[group.stream]
            size = group.rows * plan.row_bytes[group.masked]
            for some in _portions(frames, size):
                found.append(((stream.kind, stream.endpoint), _Frames(flat, some, group, size).table(stream, plan)))
        return found

    def _walk(self, raw: bytes, bodies: Sequence[tuple[int, int]]) -> dict[_Group, list[tuple[int, int]]]:
        groups: dict[_Group, list[tuple[int, int]]] = {}
        for begin, end in bodies:
            at = begin
            while at < end:
                kind, flags, number, rows, length = FRAME.unpack_from(raw, at)
                at += FRAME.size
                if kind == STREAM:
                    stream = Stream.read(raw[at : at + length])
                    self._streams[number] = (stream, layout(stream))
                elif kind == DATA and rows:
                    groups.setdefault(_Group(number, rows, bool(flags & MASKED)), []).append((at, length))
                at += length
        return groups


def schema(stream: Stream) -> pa.Schema:
    """The columns of a stream's rows, in canonical types."""
    return _Frames(np.zeros(0, np.uint8), [], _Group(0, 0, False), 0).table(stream, layout(stream)).schema


def canonical(field: Field) -> pa.DataType:
    """The type a field has in tables and queries."""
    kind = _ARROW.get(field.type) or (pa.int64() if field.type.is_integer else pa.float64())
    for _ in field.shape:
        kind = pa.list_(kind)
    return kind


_ARROW: dict[Type, pa.DataType] = {
    Type.TEXT: pa.string(),
    Type.BOOL: pa.bool_(),
    Type.UINT64: pa.decimal128(20, 0),
    Type.DATE: pa.date32(),
    Type.TIMESTAMP: pa.timestamp("us", "UTC"),
}
_PROPENSITY = (frame.PROPENSITY[0], frame.PROPENSITY[1].name)
_TOLD: dict[str, Any] = {
    name: canonical(field) for name, field in (frame.VALUE, frame.HAPPENED, frame.PART, frame.AMOUNT, frame.CURRENCY)
}


def _portions(frames: list[tuple[int, int]], size: int) -> list[list[tuple[int, int]]]:
    portions: list[list[tuple[int, int]]] = [[]]
    held = 0
    for at, length in frames:
        if portions[-1] and held + max(length, size) > _GATHER_MAX:
            portions.append([])
            held = 0
        portions[-1].append((at, length))
        held += length
    return portions


class _Frames:
    """Frames of one group as one table."""

    def __init__(self, flat: NDArray[np.uint8], frames: Sequence[tuple[int, int]], group: _Group, size: int) -> None:
        self.flat, self.group, self.rows = flat, group, len(frames) * group.rows
        self.begins = np.array([at for at, _ in frames], np.int64)
        if len(frames) == 1:
            self.matrix = flat[self.begins[0] : self.begins[0] + size].reshape(1, size)
        else:
            self.matrix = flat[self.begins[:, None] + np.arange(size)]
        self.at = 0
        self.size = size

    def table(self, stream: Stream, plan: Layout) -> pa.Table:
        fixed = {name: self._fixed(np.dtype(np.int64), 1) for name in FIXED[stream.kind]}
        values = [self._fixed(slot.dtype, slot.count) for slot in plan.fixed]
        system = len(TEXTS[stream.kind])
        texts = self._texts([1] * system + [slot.count for slot in plan.texts])
        masks = [self._mask() if self.group.masked else None for _ in plan.fixed]
        own = {
            (slot.group, slot.field.name): _shaped(_array(each, slot, mask), slot, mask)
            for slot, each, mask in zip(plan.fixed, values, masks, strict=True)
        } | {
            (slot.group, slot.field.name): _shaped(text, slot, None)
            for slot, text in zip(plan.texts, texts[system:], strict=True)
        }
        ordered = {(group, field.name): own[group, field.name] for group, field in stream.columns}
        build = _predictions if stream.kind == "predictions" else _outcomes
        return pa.table(build(stream, self.rows, fixed, texts, ordered))

    def _fixed(self, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        width = dtype.itemsize * count * self.group.rows
        part = np.ascontiguousarray(self.matrix[:, self.at : self.at + width])
        self.at += width
        return part.reshape(-1).view(dtype) if width else np.zeros(0, dtype)

    def _mask(self) -> NDArray[np.bool_]:
        return self._fixed(np.dtype(np.uint8), 1).astype(bool)

    def _texts(self, counts: Sequence[int]) -> list[Array]:
        per_frame = [count * self.group.rows for count in counts]
        part = np.ascontiguousarray(self.matrix[:, self.at : self.at + 4 * sum(per_frame)])
        self.at += part.shape[1]
        lengths = part.view(np.uint32).astype(np.int64) if part.size else np.zeros((len(part), 0), np.int64)
        null = lengths == NULL
        lengths[null] = 0
        begins = (self.begins + self.size)[:, None] + np.cumsum(lengths, axis=1) - lengths
        arrays, at = [], 0
        for width in per_frame:
            own = (slice(None), slice(at, at + width))
            arrays.append(_strings(self.flat, begins[own].ravel(), lengths[own].ravel(), null[own].ravel()))
            at += width
        return arrays


def _strings(
    flat: NDArray[np.uint8], begins: NDArray[np.int64], lengths: NDArray[np.int64], null: NDArray[np.bool_]
) -> Array:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    index = np.repeat(begins - offsets[:-1], lengths) + np.arange(offsets[-1])
    bits = None if not null.any() else pa.py_buffer(np.packbits(~null, bitorder="little").tobytes())
    buffers = pa.py_buffer(offsets.astype(np.int32).data), pa.py_buffer(flat[index].data)
    return pa.StringArray.from_buffers(len(lengths), *buffers, bits)


def _array(values: NDArray[Any], slot: Slot, mask: NDArray[np.bool_] | None) -> Array:
    """Plain values, as many as rows times the tensor's size; nulls only if there is one value per row."""
    kind = slot.field.type
    null = None if mask is None or slot.field.shape else ~mask
    if kind in (Type.DATE, Type.TIMESTAMP):
        absent = values == np.iinfo(np.int64).min  # NaT
        null = absent if null is None else null | absent
        return _plain(values.astype(np.int32) if kind is Type.DATE else values, _ARROW[kind], null)
    if kind is Type.UINT64:
        return _plain(values, pa.uint64(), null).cast(_ARROW[kind])
    if kind is Type.BOOL:
        return _plain(np.packbits(values, bitorder="little"), pa.bool_(), null, len(values))
    if kind.is_integer:
        return _plain(values.astype(np.int64, copy=False), pa.int64(), null)
    return _plain(values.astype(np.float64, copy=False), pa.float64(), null)


def _plain(values: NDArray[Any], kind: pa.DataType, null: NDArray[np.bool_] | None, rows: int | None = None) -> Array:
    """Arrow over the same memory: the usual ways of making an array import pandas if they find it."""
    bits = None if null is None or not null.any() else pa.py_buffer(np.packbits(~null, bitorder="little").data)
    return pa.Array.from_buffers(kind, len(values) if rows is None else rows, [bits, pa.py_buffer(values.data)])


def _shaped(values: Array, slot: Slot, mask: NDArray[np.bool_] | None) -> Array:
    """Plain values as lists, one per row, nested as deep as the tensor."""
    rows = len(values) // max(slot.count, 1)
    for depth in range(len(slot.field.shape) - 1, -1, -1):
        size = slot.field.shape[depth]
        many = rows * int(np.prod(slot.field.shape[:depth], dtype=np.int64))
        offsets = np.arange(many + 1, dtype=np.int32) * size
        null = None if depth or mask is None else _plain(np.packbits(~mask, bitorder="little"), pa.bool_(), None, many)
        values = pa.ListArray.from_arrays(cast(Any, _plain(offsets, pa.int32(), None)), values, mask=cast(Any, null))
    return values


def _predictions(
    stream: Stream, rows: int, fixed: Mapping[str, NDArray[np.int64]], texts: Sequence[Array],
    own: Mapping[tuple[str, str], Array],
) -> dict[str, Array]:  # fmt: skip
    key, why, violations = texts[:3]
    columns = {
        "id": _id_texts(fixed["id_hi"], fixed["id_lo"]),
        "time": _moments(fixed["at_us"]),
        "endpoint": pa.repeat(stream.endpoint, rows),
        "revision": pa.repeat(pa.scalar(stream.revision, pa.int64()), rows),
        "arm": pa.repeat(stream.arm, rows),
        "model": pa.repeat(stream.model, rows),
        "version": pa.nulls(rows, pa.int64()) if stream.version is None else pa.repeat(stream.version, rows),
        "shadow": pa.repeat(stream.shadow, rows),
        "key": key,
        "why": why,
        **_struct(own, "inputs"),
        **_struct(own, "outputs"),
    }
    decision = [array for (group, _), array in own.items() if group == "decision"]
    if decision:
        columns["decision"] = decision[0]
    columns["violations"] = pa.compute.split_pattern(violations, SPLIT)
    columns |= {name: _plain(fixed[name], pa.int64(), None) for name in ("latency_us", "cpu_ns")}
    return columns | {
        "choice": pa.repeat(stream.choice, rows),
        "share": pa.repeat(pa.scalar(float(stream.share), pa.float64()), rows),
        "instead_of": pa.repeat(stream.instead_of, rows),
        "propensity": own.get(_PROPENSITY, pa.repeat(1.0, rows)),
    }


def _outcomes(
    stream: Stream, rows: int, fixed: Mapping[str, NDArray[np.int64]], _: Sequence[Array],
    own: Mapping[tuple[str, str], Array],
) -> dict[str, Array]:  # fmt: skip
    return {
        "id": _id_texts(fixed["id_hi"], fixed["id_lo"]),
        "prediction_id": _id_texts(fixed["prediction_hi"], fixed["prediction_lo"]),
        "time": _moments(fixed["at_us"]),
        "endpoint": pa.repeat(stream.endpoint, rows),
        **_struct(own, "outcome"),
        **{name: own.get((name, name), pa.nulls(rows, kind)) for name, kind in _TOLD.items()},
    }


def _id_texts(high: NDArray[np.int64], low: NDArray[np.int64]) -> Array:
    flat = ids.matrix(high.view(np.uint64), low.view(np.uint64))
    offsets = np.arange(len(high) + 1, dtype=np.int32) * 36
    return pa.StringArray.from_buffers(len(high), pa.py_buffer(offsets.data), pa.py_buffer(flat.ravel().data))


def _moments(at_us: NDArray[np.int64]) -> Array:
    return _plain(at_us, pa.timestamp("us", "UTC"), None)


def _struct(own: Mapping[tuple[str, str], Array], group: str) -> dict[str, Array]:
    """The columns of a group as one struct; names that differ only in case would be one column to SQL."""
    names: dict[str, str] = {}
    arrays = []
    for (each, name), array in own.items():
        if each == group:
            free = name
            while free.casefold() in names:
                free += "_"
            names[free.casefold()] = free
            arrays.append(array)
    return {group: pa.StructArray.from_arrays(arrays, names=list(names.values()))} if arrays else {}
