"""Rows as bytes for the write-ahead journal: a frame per batch, columns one after the other, no copy but one.

A segment file is a row of blocks; a block is what one flush wrote, whole or not at all:

    block  = magic "PJ1\\n", length u32, crc32 u32, newest id (upper half) u64, then `length` bytes of frames
    frame  = kind u8, flags u8, stream u16, rows u32, length u32, then `length` bytes

A stream frame describes, in JSON, what the data frames of its number hold; it comes before the first of them in every
segment, so that each segment can be read alone. A data frame of n rows is: every fixed-width column (n values each),
for every text column n u32 lengths in UTF-8 bytes (NULL for a null), n validity bytes for each of the stream's
fixed-width columns if the flag MASKED is set, and then the texts, column by column. All integers are little-endian.

What only some rows have (a propensity, the part an outcome is of) is a column that the stream declares. So the layout
never changes, and segments of all ages can be read.

This file is the hot path: NumPy, orjson and the standard library only.
"""

import math
import struct
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from payoff.records.columns import Column, Columns
from payoff.records.signature import Field, Type

MAGIC = b"PJ1\n"
BLOCK = struct.Struct("<4sIIQ")
FRAME = struct.Struct("<BBHII")
STREAM, DATA = 1, 2  # kinds of frame
_NULLS, _LENGTH = b"\xff\xff\xff\xff", struct.Struct("<I")
MASKED = 1  # flag: validity bytes are there
NULL = 0xFFFFFFFF  # the length of a text that is null
ROWS_MAX = 65_536  # rows per frame; larger batches become several frames
SPLIT = "\x1f"  # between the violations of one row
FIXED = {"predictions": ("id_hi", "id_lo", "at_us", "latency_us", "cpu_ns"),
         "outcomes": ("id_hi", "id_lo", "at_us", "prediction_hi", "prediction_lo")}  # fmt: skip
TEXTS: dict[str, tuple[str, ...]] = {"predictions": ("key", "why", "violations"), "outcomes": ()}

Buffer = Any  # what b"".join takes


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What the rows of a frame have in common: where they came from and which columns they carry.

    `kind` is "predictions" or "outcomes". Each column comes with its group: "inputs", "outputs", "decision" for
    predictions, and PROPENSITY where decisions are explored; "outcome" for the truth of outcomes, and any of VALUE,
    HAPPENED, PART, AMOUNT and CURRENCY. Make one per way that rows go and keep it.
    """

    kind: str
    endpoint: str
    revision: int = 0
    arm: str = ""
    model: str = ""
    version: int | None = None
    shadow: bool = False
    choice: str = ""  # how the row came to this arm: "" by its share, "holdout", "explore", "failed", "rule", "killed"
    share: float = 1.0  # with which probability its way was taken, before anything was known of the row
    instead_of: str = ""  # the arm that would have answered, where the fallback did because that failed or may not
    columns: tuple[tuple[str, Field], ...] = ()
    descriptor: bytes = field(init=False, repr=False, default=b"")

    def __post_init__(self) -> None:
        facts = {name: getattr(self, name) for name in _FACTS}
        facts["columns"] = [[group, f.name, f.type, f.shape, f.nullable] for group, f in self.columns]
        object.__setattr__(self, "descriptor", orjson.dumps(facts))

    def __hash__(self) -> int:
        return hash(self.descriptor)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Stream) and self.descriptor == other.descriptor)

    @staticmethod
    def read(descriptor: bytes) -> "Stream":
        """The stream a descriptor describes."""
        facts = orjson.loads(descriptor)
        columns = tuple((g, Field(n, Type(t), tuple(s), bool(nu))) for g, n, t, s, nu in facts.pop("columns"))
        return Stream(columns=columns, **facts)


# columns of the journal itself, each alone in its group, as a stream declares them
PROPENSITY = ("propensity", Field("propensity", Type.FLOAT64))  # the chance of this decision on its way; 1 if absent
VALUE = ("value", Field("value", Type.FLOAT64, nullable=True))  # money sent along, in units of the endpoint's currency
HAPPENED = ("happened", Field("happened", Type.TIMESTAMP, nullable=True))  # null: when it was reported
PART = ("part", Field("part", Type.TEXT, nullable=True))  # of which part of the outcome this tells; null: the whole
AMOUNT = ("amount", Field("amount", Type.FLOAT64, nullable=True))  # money as it was sent, before any exchange
CURRENCY = ("currency", Field("currency", Type.TEXT, nullable=True))  # of the amount
_FACTS = ("kind", "endpoint", "revision", "arm", "model", "version", "shadow", "choice", "share", "instead_of")


class Noted(NamedTuple):
    """Rows answered by one arm, as they go into the journal. All arrays have shape (n,); a number is that of all."""

    n: int
    id_hi: NDArray[np.uint64]
    id_lo: NDArray[np.uint64]
    at_us: NDArray[np.int64] | int
    latency_us: NDArray[np.int64] | int
    cpu_ns: NDArray[np.int64] | int
    key: Column | None
    why: Sequence[str] | str  # one for all rows, or one each
    inputs: Columns
    outputs: Columns
    decision: Column | None = None
    violations: Sequence[Sequence[str]] | None = None  # per row, the rules it broke
    propensity: NDArray[np.float64] | None = None  # in (0, 1]; only where the stream declares PROPENSITY


class Learned(NamedTuple):
    """Outcomes, as they go into the journal: what happened after the predictions of these ids. Arrays: (n,).

    The stream declares those of VALUE, HAPPENED, PART, AMOUNT and CURRENCY that are given, and no others.
    """

    n: int
    id_hi: NDArray[np.uint64]
    id_lo: NDArray[np.uint64]
    at_us: NDArray[np.int64]
    prediction_hi: NDArray[np.uint64]
    prediction_lo: NDArray[np.uint64]
    outcome: Columns
    value: Column | None = None  # money sent along, in units of the endpoint's currency, float64
    happened_us: Column | None = None  # int64 or datetime64[us]; null: when it was reported
    part: Column | None = None  # text; null: the whole
    amount: Column | None = None  # money as it was sent, in units of `currency`, float64
    currency: Column | None = None  # text


@dataclass(frozen=True, slots=True)
class Slot:
    """One column of a stream in its frames: `width` bytes per row, or 0 for text of `count` values per row."""

    group: str
    field: Field
    dtype: np.dtype[Any]
    width: int
    count: int


class Layout(NamedTuple):
    """How the frames of a stream lie: worked out once, used for every frame."""

    fixed: tuple[Slot, ...]
    texts: tuple[Slot, ...]
    fixed_names: tuple[tuple[str, str, np.dtype[Any]], ...]
    text_names: tuple[tuple[str, str], ...]
    row_bytes: tuple[int, int]  # bytes per row before the texts: without validity bytes, and with


def layout(stream: Stream) -> Layout:
    """The slots of a stream's own columns, in the order of its frames."""
    return _layout(stream.kind, stream.columns)


@lru_cache(maxsize=256)  # the revisions of an endpoint mostly have the same columns
def _layout(kind: str, columns: tuple[tuple[str, Field], ...]) -> Layout:
    slots = [_slot(group, column) for group, column in columns]
    fixed, texts = tuple(s for s in slots if s.dtype.kind != "O"), tuple(s for s in slots if s.dtype.kind == "O")
    own = sum(s.width for s in fixed) + 4 * sum(s.count for s in texts)
    plain = 8 * len(FIXED[kind]) + 4 * len(TEXTS[kind]) + own
    return Layout(
        fixed,
        texts,
        tuple((s.group, s.field.name, s.dtype) for s in fixed),
        tuple((s.group, s.field.name) for s in texts),
        (plain, plain + len(fixed)),
    )


def _slot(group: str, column: Field) -> Slot:
    count = math.prod(column.shape)
    dtype = np.dtype(np.int64) if column.type.dtype.kind == "M" else column.type.dtype
    return Slot(group, column, dtype, 0 if dtype.kind == "O" else dtype.itemsize * count, count)


def encode_stream(number: int, stream: Stream) -> bytes:
    """The frame that introduces a stream."""
    return FRAME.pack(STREAM, 0, number, 0, len(stream.descriptor)) + stream.descriptor


def encode(number: int, plan: Layout, batch: Noted | Learned) -> list[Buffer]:
    """The buffers of one data frame, at most ROWS_MAX rows; ValueError if a column does not fit its field."""
    if isinstance(batch, Noted) and not plan.text_names:
        plain = _plain(number, plan, batch)
        if plain is not None:
            return plain
    groups = _groups(batch)
    try:
        fixed, masked = _fixed(plan, batch, groups)
        lengths, tail = _texts(_text_items(plan, batch, groups))
    except KeyError as error:
        raise ValueError(f"the stream declares a column {error} and the batch does not bring it") from error
    try:
        body = b"".join((*fixed, lengths, *_masks(plan, batch.n, groups))) if masked else b"".join((*fixed, lengths))
    except TypeError:  # some column lies scattered in memory
        fixed = [each if isinstance(each, bytes) else np.ascontiguousarray(each) for each in fixed]
        body = b"".join((*fixed, lengths, *(_masks(plan, batch.n, groups) if masked else ())))
    if len(body) != batch.n * plan.row_bytes[masked]:
        raise ValueError(_misfit(plan, batch.n, groups))
    return [FRAME.pack(DATA, masked, number, batch.n, len(body) + len(tail)), body, tail]


def _plain(number: int, plan: Layout, batch: Noted) -> list[Buffer] | None:
    """The frame of a batch as most are, in a fraction of the time: numbers without nulls, no key, no rule broken, and
    one why for all. None if it is not one of these, or does not fit."""
    if batch.key is not None or batch.violations is not None or type(batch.why) is not str:
        return None
    n, why = batch.n, batch.why.encode("utf-8", "backslashreplace")
    fixed = [
        batch.id_hi, batch.id_lo, _eight(batch.at_us, n), _eight(batch.latency_us, n), _eight(batch.cpu_ns, n)
    ]  # fmt: skip
    for group, name, dtype in plan.fixed_names:
        if group == "inputs":
            column = batch.inputs.get(name)
        elif group == "outputs":
            column = batch.outputs.get(name)
        else:
            column = batch.decision if group == "decision" else None
        if column is None or column.valid is not None:
            return None
        values = column.values
        fixed.append(values if values.dtype is dtype else _raw(values, dtype))
    try:
        body = b"".join((*fixed, _NULLS * n, _LENGTH.pack(len(why)) * n, _NULLS * n))
    except TypeError:
        return None
    if len(body) != n * plan.row_bytes[0]:
        return None
    return [FRAME.pack(DATA, 0, number, n, len(body) + n * len(why)), body, why * n]


def _eight(values: NDArray[np.int64] | int, n: int) -> Buffer:
    """A whole number for each row, as bytes."""
    return values.to_bytes(8, "little", signed=True) * n if isinstance(values, int) else values


def block(frames: Sequence[Buffer], newest: int) -> bytes:
    """One block: what a flush writes."""
    body = b"".join(frames)
    return BLOCK.pack(MAGIC, len(body), checksum(body, newest), newest) + body


def checksum(body: Buffer, newest: int) -> int:
    """The crc32 of a block: of its body and its newest id."""
    return zlib.crc32(body, (newest ^ newest >> 32) & 0xFFFFFFFF)


def slices(batch: Noted | Learned) -> Sequence[Noted | Learned]:
    """The batch in pieces of at most ROWS_MAX rows."""
    if batch.n <= ROWS_MAX:
        return (batch,)
    return [_slice(batch, slice(start, start + ROWS_MAX)) for start in range(0, batch.n, ROWS_MAX)]


def _slice(batch: Noted | Learned, part: slice) -> Noted | Learned:
    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: column.take(part) for name, column in value.items()}
        if isinstance(value, Column):
            return value.take(part)
        return value if value is None or isinstance(value, (str, int)) else value[part]

    n = min(part.stop, batch.n) - part.start
    return batch._replace(**{name: cut(value) for name, value in batch._asdict().items()} | {"n": n})


def _groups(batch: Noted | Learned) -> dict[str, Columns]:
    if isinstance(batch, Noted):
        decision = {} if batch.decision is None else {"decision": batch.decision}
        groups: dict[str, Columns] = {"inputs": batch.inputs, "outputs": batch.outputs, "decision": decision}
        if batch.propensity is not None:
            groups["propensity"] = {"propensity": Column(batch.propensity)}
        return groups
    told = {"value": batch.value, "happened": batch.happened_us, "part": batch.part,
            "amount": batch.amount, "currency": batch.currency}  # fmt: skip
    return {"outcome": batch.outcome} | {name: {name: each} for name, each in told.items() if each is not None}


def _fixed(plan: Layout, batch: Noted | Learned, groups: dict[str, Columns]) -> tuple[list[Buffer], bool]:
    """The fixed-width columns as they go into the frame, and whether any of them has nulls."""
    if isinstance(batch, Noted):
        own = (_eight(each, batch.n) for each in (batch.at_us, batch.latency_us, batch.cpu_ns))
        parts: list[Buffer] = [batch.id_hi, batch.id_lo, *own]
    else:
        parts = [batch.id_hi, batch.id_lo, batch.at_us, batch.prediction_hi, batch.prediction_lo]
    masked = False
    for group, name, dtype in plan.fixed_names:
        column = groups[group][name]
        values = column.values
        parts.append(values if values.dtype is dtype else _raw(values, dtype))
        masked = masked or column.valid is not None
    return parts, masked


def _raw(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if values.dtype.kind == "M":
        return np.ascontiguousarray(values).view(np.int64)
    return values.astype(dtype, copy=False)


def _masks(plan: Layout, n: int, groups: dict[str, Columns]) -> list[Buffer]:
    valids = [groups[group][name].valid for group, name, _ in plan.fixed_names]
    return [b"\x01" * n if valid is None else valid.tobytes() for valid in valids]


def _text_items(plan: Layout, batch: Noted | Learned, groups: dict[str, Columns]) -> list[Any]:
    """All texts of the batch, column after column, None for a null."""
    items: list[Any] = []
    if isinstance(batch, Noted):
        items += [None] * batch.n if batch.key is None else _values(batch.key)
        items += [batch.why] * batch.n if isinstance(batch.why, str) else batch.why
        broken = batch.violations
        items += [None] * batch.n if broken is None else [SPLIT.join(each) if each else None for each in broken]
    for group, name in plan.text_names:
        items += _values(groups[group][name])
    return items


def _values(column: Column) -> list[Any]:
    items: list[Any] = column.values.ravel().tolist()
    if column.valid is not None:
        valid = np.repeat(column.valid, len(items) // max(len(column.valid), 1)).tolist()
        items = [item if ok else None for item, ok in zip(items, valid, strict=True)]
    return items


def _texts(items: list[Any]) -> tuple[Buffer, bytes]:
    """The lengths of the texts in UTF-8 bytes, and the bytes."""
    try:
        present = [item for item in items if item is not None]
        joined = "".join(present)
        raw = joined.encode()
        if len(raw) == len(joined):  # ASCII: characters are bytes
            return array("I", [NULL if item is None else len(item) for item in items]), raw
        pieces: list[bytes | None] = [None if item is None else item.encode() for item in items]
    except (TypeError, UnicodeEncodeError):  # a key that is a number, half of a surrogate pair
        pieces = [None if item is None else str(item).encode("utf-8", "backslashreplace") for item in items]
    lengths = array("I", [NULL if piece is None else len(piece) for piece in pieces])
    return lengths, b"".join(piece for piece in pieces if piece is not None)


def _misfit(plan: Layout, n: int, groups: dict[str, Columns]) -> str:
    for slot in (*plan.fixed, *plan.texts):
        values = groups[slot.group][slot.field.name].values
        if values.size != n * slot.count:
            expected = (n, *slot.field.shape)
            return f"{slot.group}.{slot.field.name} has shape {values.shape}; the stream says {expected}"
    return f"a column of the batch does not have {n} rows"
