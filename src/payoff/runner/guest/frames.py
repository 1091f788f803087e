"""Frames between payoff and a model's process: columns cross in the tensors' own layout, behind a small JSON head.

A frame is a prefix (what it is, length of the head, rows, length of the body), a head and a body. The head of columns
is a list of [name, type, shape of a row, whether there is a mask]; it says nothing of the rows, so calls of one
signature share one head, which both sides make and read once. In the body each column is its values, then its mask,
each filled up to 8 bytes. Text is the length of every value in bytes, then the values as UTF-8 (with lone surrogates).

Both sides trust nothing: lengths are checked against limits and against what there is before anything is taken.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union

import numpy as np

if TYPE_CHECKING:
    import socket

# What the host asks, and the two ways to reply.
LOAD, DESCRIBE, ASK, TO_ONNX, STOP, SPAWN = 1, 2, 3, 4, 5, 6
DONE, FAILED = 100, 101

HEAD_BYTES_MAX = 4 << 20
BODY_BYTES_MAX = 2 << 30
_PREFIX = struct.Struct("<BxxxIQQ")
_SMALL = 64 << 10
_HEADS_MAX = 256

Pair = tuple["np.ndarray[Any, Any]", Optional["np.ndarray[Any, Any]"]]
Piece = Union[bytes, memoryview]

TYPES: dict[str, Any] = {
    name: np.dtype(name)
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
    )
}  # fmt: skip
TYPES["date"], TYPES["timestamp"], TYPES["text"] = np.dtype("M8[D]"), np.dtype("M8[us]"), np.dtype(object)
_NAMES = {dtype: name for name, dtype in TYPES.items()}
_OBJECT = TYPES["text"]
_BOOL = TYPES["bool"]
_EVEN = {TYPES[name] for name in ("float64", "int64", "uint64", "date", "timestamp")}
_PAD = [b"\0" * count for count in range(8)]


class Garbled(ValueError):
    """What came is no frame, or not one within the limits."""


class Frame(NamedTuple):
    """One message: `verb` is what is asked or how it went."""

    verb: int
    head: bytes
    rows: int = 0
    body: Any = b""  # bytes-like, owned by whoever reads the frame


class Laid(NamedTuple):
    """One column as a head describes it."""

    name: str
    type: str
    dtype: Any
    shape: tuple[int, ...]
    masked: bool
    each: int  # values in one row


class Layout(NamedTuple):
    """All columns of a head; `even` is their type where all are plain numbers of 8 bytes without a mask."""

    columns: tuple[Laid, ...]
    even: Any = None


# -- columns to frames

_heads: dict[Any, bytes] = {}
_layouts: dict[bytes, Layout] = {}


def pack(verb: int, columns: Mapping[str, Pair]) -> list[Piece]:
    """A frame of columns, as pieces to send one after the other."""
    even = _even(columns)
    if even is not None:
        return _pack_even(verb, columns, even)
    head = head_of(columns)
    parts: list[Piece] = []
    rows = len(next(iter(columns.values()))[0]) if columns else 0
    for name, (values, valid) in columns.items():
        if len(values) != rows:
            raise TypeError(f"column {name!r} has {len(values):,} rows and the first has {rows:,}; all need the same")
        if values.dtype == _OBJECT:
            _lay_text(parts, name, values, valid)
        else:
            _lay(parts, values)
        if valid is not None:
            _lay(parts, valid)
    return _frame(verb, head, rows, parts)


def _even(columns: Mapping[str, Pair]) -> Any:
    """The type of the columns, if it is one for all and they lie in a body as one block."""
    even, rows = None, -1
    for values, valid in columns.values():
        if even is None:
            even, rows = values.dtype, values.size
        if valid is not None or values.dtype is not even or values.ndim != 1 or values.size != rows:
            return None
    return even if even in _EVEN else None


def _pack_even(verb: int, columns: Mapping[str, Pair], even: Any) -> list[Piece]:
    """The same frame as `pack` makes otherwise, in a few steps however many columns there are."""
    key = tuple(columns), even
    head = _heads.get(key)
    if head is None:
        head = _remember(key, columns)
    whole = np.concatenate([values for values, _ in columns.values()])
    return _frame(verb, head, len(whole) // len(columns), [whole.view(np.uint8).data])


def say(verb: int, words: Any, columns: Mapping[str, Pair] | None = None) -> list[Piece]:
    """A frame with JSON as its head; with columns behind it, their own head is put into it as "columns"."""
    if columns is None:
        return _frame(verb, json.dumps(words, default=_plain).encode("utf-8", "surrogatepass"), 0, [])
    inner = pack(verb, columns)
    words = dict(words, columns=json.loads(head_of(columns)))
    flat = b"".join(inner)
    _, length, rows, _ = _PREFIX.unpack_from(flat)
    return _frame(verb, json.dumps(words, default=_plain).encode(), rows, [flat[_PREFIX.size + length :]])


def head_of(columns: Mapping[str, Pair]) -> bytes:
    """How these columns are described; TypeError for a type that does not cross."""
    key = tuple(
        [(name, one.dtype, one.ndim and one.shape[1:], valid is None) for name, (one, valid) in columns.items()]
    )
    head = _heads.get(key)
    return _remember(key, columns) if head is None else head


def _remember(key: Any, columns: Mapping[str, Pair]) -> bytes:
    if len(_heads) >= _HEADS_MAX:
        _heads.clear()
    head = _heads[key] = json.dumps([_describe(name, *pair) for name, pair in columns.items()]).encode()
    return head


def _describe(name: str, values: Any, valid: Any) -> list[Any]:
    if values.dtype not in _NAMES:
        raise TypeError(f"column {name!r} is of NumPy's type {values.dtype}; it must be one of {', '.join(TYPES)}")
    if values.ndim == 0:
        raise TypeError(f"column {name!r} is one value; it must have one for every row")
    if valid is not None and (valid.dtype != _BOOL or valid.shape != values.shape[:1]):
        raise TypeError(f"the mask of column {name!r} must be one bool for every row")
    return [name, _NAMES[values.dtype], list(values.shape[1:]), valid is not None]


def _lay(parts: list[Piece], values: Any) -> None:
    size = values.nbytes
    if size <= _SMALL:
        parts.append(values.tobytes())
    else:
        parts.append(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    if size % 8:
        parts.append(_PAD[-size % 8])


def _lay_text(parts: list[Piece], name: str, values: Any, valid: Any) -> None:
    if valid is not None and not valid.all():
        values = values.copy()
        values[~valid] = ""
    items = values.ravel().tolist()
    try:
        joined = "".join(items)
    except TypeError:
        other = next(type(item).__name__ for item in items if not isinstance(item, str))
        raise TypeError(f"column {name!r} must be text and holds a value of type {other}") from None
    if joined.isascii():
        lengths, blob = [len(item) for item in items], joined.encode()
    else:
        encoded = [item.encode("utf-8", "surrogatepass") for item in items]
        lengths, blob = [len(item) for item in encoded], b"".join(encoded)
    parts.append(np.array(lengths, np.int64).tobytes())
    parts.append(blob)
    parts.append(_PAD[-len(blob) % 8])


def _frame(verb: int, head: bytes, rows: int, parts: list[Piece]) -> list[Piece]:
    """Small pieces become one, so that a small frame is one write."""
    size = sum(map(len, parts))
    prefix = _PREFIX.pack(verb, len(head), rows, size)
    if size <= _SMALL:
        return [b"".join([prefix, head, *parts])]
    pieces: list[Piece] = [prefix + head]
    for part in parts:
        if len(part) <= _SMALL and isinstance(pieces[-1], bytes) and len(pieces[-1]) <= _SMALL:
            pieces[-1] += bytes(part)
        else:
            pieces.append(part)
    return pieces


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays, sets and paths as JSON knows them."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return sorted(value) if isinstance(value, (set, frozenset)) else str(value)


# -- frames to columns


def unpack(frame: Frame, layout: Layout | None = None) -> dict[str, Pair]:
    """The columns of a frame; the arrays share the frame's memory and may be written to."""
    layout = layout_of(frame.head) if layout is None else layout
    body, rows, offset = frame.body, frame.rows, 0
    end = len(body)
    if layout.even is not None and end == 8 * rows * len(layout.columns):
        block = np.ndarray((len(layout.columns), rows), layout.even, body)
        return {laid.name: (values, None) for laid, values in zip(layout.columns, block)}
    columns: dict[str, Pair] = {}
    for laid in layout.columns:
        if laid.dtype is _OBJECT:
            values, offset = _take_text(body, offset, laid, rows)
        else:
            size = rows * laid.each * laid.dtype.itemsize
            if offset + size > end:
                raise Garbled("a frame ends before its columns do")
            values = np.ndarray((rows, *laid.shape), laid.dtype, body, offset)
            offset += size + -size % 8
            if laid.dtype is _BOOL:
                values = values.view(np.uint8) != 0
        valid = None
        if laid.masked:
            if offset + rows > end:
                raise Garbled("a frame ends before its columns do")
            valid = np.ndarray((rows,), np.uint8, body, offset) != 0
            offset += rows + -rows % 8
        columns[laid.name] = (values, valid)
    if offset != end:
        raise Garbled("a frame has more bytes than its columns")
    return columns


def layout_of(head: bytes) -> Layout:
    """What a head describes."""
    layout = _layouts.get(head)
    if layout is None:
        layout = read_layout(read_json(head))
        if len(_layouts) >= _HEADS_MAX:
            _layouts.clear()
        if len(head) <= _SMALL:
            _layouts[head] = layout
    return layout


def read_json(head: bytes) -> Any:
    """A head as JSON."""
    try:
        return json.loads(head)
    except (ValueError, RecursionError) as error:
        raise Garbled(f"the head of a frame is not JSON: {error}") from error


def read_layout(described: Any) -> Layout:
    """The columns that a head's JSON describes."""
    try:
        columns = tuple([_read(*column) for column in described])
    except (TypeError, ValueError, KeyError) as error:
        raise Garbled("the head of a frame does not describe columns") from error
    if len({laid.name for laid in columns}) < len(columns):
        raise Garbled("a frame has two columns of one name")
    types = {laid.dtype for laid in columns if not laid.shape and not laid.masked}
    plain = types <= _EVEN and len(types) == 1 and all(not laid.shape and not laid.masked for laid in columns)
    return Layout(columns, columns[0].dtype if plain else None)


def _read(name: str, type_name: str, shape: list[int], masked: bool) -> Laid:
    if not isinstance(name, str) or len(shape) > 16:
        raise ValueError(name)
    each = 1
    for size in shape:
        if type(size) is not int or not 0 <= size <= BODY_BYTES_MAX:
            raise ValueError(size)
        each *= size
    return Laid(name, type_name, TYPES[type_name], tuple(shape), bool(masked), each)


def _take_text(body: Any, offset: int, laid: Laid, rows: int) -> tuple[Any, int]:
    count = rows * laid.each
    left = len(body) - offset - 8 * count
    if left < 0:
        raise Garbled("a frame ends before its columns do")
    lengths = np.ndarray((count,), np.int64, body, offset)
    if count and (int(lengths.min()) < 0 or int(lengths.max()) > left):
        raise Garbled("a text in a frame has no possible length")
    size = int(lengths.sum())
    if size > left:
        raise Garbled("a frame ends before its columns do")
    start = offset + 8 * count
    values = np.empty(count, object)
    values[:] = _texts(bytes(body[start : start + size]), lengths)
    return values.reshape((rows, *laid.shape)), start + size + -size % 8


def _texts(blob: bytes, lengths: Any) -> list[str]:
    ends = lengths.cumsum().tolist()
    starts = [0, *ends[:-1]]
    try:
        if blob.isascii():
            joined = blob.decode()
            return [joined[start:end] for start, end in zip(starts, ends)]
        return [blob[start:end].decode("utf-8", "surrogatepass") for start, end in zip(starts, ends)]
    except UnicodeDecodeError as error:
        raise Garbled("a text in a frame is not UTF-8") from error


# -- bytes to frames


class Incoming:
    """Puts together the frames that arrive on a socket; one at a time, as nobody speaks before he is asked."""

    def __init__(self, head_bytes_max: int = HEAD_BYTES_MAX, body_bytes_max: int = BODY_BYTES_MAX) -> None:
        self._limits = head_bytes_max, body_bytes_max
        self._small = bytearray(_SMALL)
        self._view = memoryview(self._small)
        self._filled = 0
        self._large: Any = None  # (verb, head length, rows, memoryview of head and body)

    def read(self, sock: socket.socket) -> Frame | None:
        """What can be read now: a frame, or None if more must come (a socket that blocks gives a piece at a time).

        EOFError: the other side is gone. Garbled: what it says is no frame. BlockingIOError as the socket raises it.
        """
        view = self._view if self._large is None else self._large[3]
        count = sock.recv_into(view[self._filled :])
        if not count:
            raise EOFError
        self._filled += count
        return self._small_frame() if self._large is None else self._large_frame()

    def _small_frame(self) -> Frame | None:
        if self._filled < _PREFIX.size:
            return None
        verb, head, rows, body = _PREFIX.unpack_from(self._small)
        if head > self._limits[0] or body > self._limits[1] or rows > self._limits[1]:
            raise Garbled(f"a frame of {head + body:,} bytes and {rows:,} rows is more than is taken")
        end = _PREFIX.size + head + body
        if self._filled > end:
            raise Garbled("there is more in a frame than it says")
        if self._filled == end:
            self._filled = 0
            start = _PREFIX.size + head
            return Frame(verb, bytes(self._view[_PREFIX.size : start]), rows, bytearray(self._view[start:end]))
        if end > _SMALL:
            self._enlarge(verb, head, rows, head + body)
        return None

    def _enlarge(self, verb: int, head: int, rows: int, size: int) -> None:
        """From here on straight into the memory that the columns will share; untouched, it costs nothing."""
        skip = -head % 16  # so that the body is aligned
        whole = np.empty(skip + size, np.uint8)
        view = whole.data[skip:]
        self._filled -= _PREFIX.size
        view[: self._filled] = self._view[_PREFIX.size : _PREFIX.size + self._filled]
        self._large = (verb, head, rows, view)

    def _large_frame(self) -> Frame | None:
        verb, head, rows, view = self._large
        if self._filled < len(view):
            return None
        self._large, self._filled = None, 0
        return Frame(verb, bytes(view[:head]), rows, view[head:])


def receive(sock: socket.socket, incoming: Incoming) -> Frame:
    """The next frame of a socket that blocks."""
    while True:
        frame = incoming.read(sock)
        if frame is not None:
            return frame


def send(sock: socket.socket, pieces: Sequence[Piece]) -> None:
    """All pieces into a socket that blocks."""
    for piece in pieces:
        sock.sendall(piece)
