"""A body that is read while it is being sent, cut where rows end: JSON lines by lines, an Arrow stream by batches.

What has come is held until it is taken; the caller stops feeding while `ready` is true and enough is `held`.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from payoff.codecs.checks import check_count
from payoff.errors import BadInput, PayoffError, TooLarge
from payoff.records.columns import Column, length, take
from payoff.records.signature import Field

ITEM_BYTES_MAX = 64 << 20  # one line, or one batch
ROWS_MAX = 1_000_000  # of one batch


@dataclass(frozen=True, slots=True)
class Ask:
    """Rows that can be asked, and where in the body each stood: its line, or its batch; both count from 1."""

    rows: dict[str, Column]
    places: Sequence[int]

    def part(self, start: int, stop: int) -> "Ask":
        """Some of the rows."""
        rows = slice(start, stop)
        return Ask(take(self.rows, rows), self.places[rows])


@dataclass(frozen=True, slots=True)
class Fault:
    """A place in the body where no row could be read, and why."""

    place: int
    error: Exception


class Source(Protocol):
    """One body on its way. `next` gives what can be asked now, in order; nothing if no row is whole yet."""

    @property
    def place(self) -> str: ...  # what a row's place is called
    @property
    def held(self) -> int: ...  # bytes that came and were not taken
    @property
    def ready(self) -> bool: ...
    def feed(self, chunk: bytes) -> None: ...
    def end(self) -> None: ...
    def next(self, fields: tuple[Field, ...], rows_max: int) -> list[Ask | Fault]: ...


Line = tuple[int, bytes]


class Lines:
    """JSON lines, one record each; empty ones are passed over. A line that cannot be read spoils no other."""

    place = "line"

    def __init__(self) -> None:
        self.held = 0
        self._whole: deque[Line] = deque()
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._number = 0

    @property
    def ready(self) -> bool:
        return bool(self._whole)

    def feed(self, chunk: bytes) -> None:
        """More of the body; TooLarge for a line that does not end."""
        self.held += len(chunk)
        first, *rest = chunk.split(b"\n")
        self._begun.append(first)
        self._begun_bytes += len(first)
        if self._begun_bytes > ITEM_BYTES_MAX:
            raise TooLarge(f"line {self._number + 1} is longer than {ITEM_BYTES_MAX:,} bytes; a line is one row")
        if rest:
            *lines, last = rest
            self._add(b"".join(self._begun))
            for line in lines:
                self._add(line)
            self._begun, self._begun_bytes = [last], len(last)

    def end(self) -> None:
        """Nothing more comes: the last line needs no line end."""
        self.held += 1  # as if it had one
        self._add(b"".join(self._begun))
        self._begun, self._begun_bytes = [], 0

    def next(self, fields: tuple[Field, ...], rows_max: int) -> list[Ask | Fault]:
        """Up to `rows_max` lines."""
        lines = [self._whole.popleft() for _ in range(min(rows_max, len(self._whole)))]
        self.held -= sum(len(line) + 1 for _, line in lines)
        return _read(fields, lines) if lines else []

    def _add(self, line: bytes) -> None:
        self._number += 1
        if line and not line.isspace():
            self._whole.append((self._number, line))
        else:
            self.held -= len(line) + 1


def _read(fields: tuple[Field, ...], lines: Sequence[Line]) -> list[Ask | Fault]:
    """All in one go; only if something is wrong, half by half, down to the lines that are wrong."""
    from payoff.codecs.ndjson import of_lines

    try:
        return [Ask(of_lines(lines, fields), [number for number, _ in lines])]
    except PayoffError as error:
        if len(lines) == 1:
            return [Fault(lines[0][0], _alone(error))]
    middle = len(lines) // 2
    return _read(fields, lines[:middle]) + _read(fields, lines[middle:])


def _alone(error: PayoffError) -> PayoffError:
    """The words about the only row there is, without its number: its line is told."""
    words = str(error).replace(", row 0 (the first is 0)", "").replace("row 0 (the first is 0): ", "")
    return type(error)(words)


_MARK, _HEAD = b"\xff\xff\xff\xff", 8
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
_HEADER_TYPE, _BODY_LENGTH = 1, 3


class Batches:
    """An Arrow stream. Each batch is read with the schema and the dictionaries before it, as a small stream of its own.

    A batch that cannot be read ends the stream: what comes after it may depend on it.
    """

    place = "batch"

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._before = b""  # schema and dictionaries
        self._whole: deque[bytes] = deque()
        self._number = 0
        self._over = False

    @property
    def held(self) -> int:
        return len(self._bytes) + sum(map(len, self._whole))

    @property
    def ready(self) -> bool:
        return bool(self._whole)

    def feed(self, chunk: bytes) -> None:
        """More of the body; BadInput for what is no Arrow stream, TooLarge for a batch that is larger than a call."""
        self._bytes += chunk
        while (message := self._message()) is not None:
            kind, whole = message
            if kind in (_SCHEMA, _DICTIONARY):
                self._before += whole
                _check_size(len(self._before))
            elif kind == _BATCH:
                self._whole.append(self._before + whole)
            else:
                raise BadInput("body is not an Arrow stream of record batches; send it as pyarrow's new_stream does")

    def end(self) -> None:
        """Nothing more comes; a message must not end in the middle."""
        if self._bytes:
            raise BadInput(f"the Arrow stream ends inside of a message, {len(self._bytes)} bytes after the last one")
        if not (self._number or self._whole):
            self._whole.append(self._before)  # no rows, which are answered with none

    def next(self, fields: tuple[Field, ...], rows_max: int) -> list[Ask | Fault]:
        """The rows of the next batch, in parts of up to `rows_max`."""
        from payoff.codecs import arrow

        if not self._whole:
            return []
        self._number += 1
        rows = arrow.decode(self._whole.popleft(), fields, rows_max=ROWS_MAX)
        count = length(rows)
        check_count(count, ROWS_MAX)
        whole = Ask(rows, [self._number] * count)
        return [whole.part(start, start + rows_max) for start in range(0, max(1, count), rows_max)]

    def _message(self) -> tuple[int, bytes] | None:
        """The next message, if all of it is here: a mark, the size of its metadata, these, and its body."""
        from payoff.codecs import flat

        if self._over and self._bytes:
            raise BadInput("more comes after the end of the Arrow stream; send one stream in a request")
        if len(self._bytes) < _HEAD:
            return None
        size = int.from_bytes(self._bytes[4:_HEAD], "little", signed=True)
        if self._bytes[:4] != _MARK or size < 0:
            raise BadInput("body is not an Arrow stream; send it as pyarrow's new_stream does")
        _check_size(size)
        if size == 0:
            self._over = True
            del self._bytes[:_HEAD]
            return self._message()
        if len(self._bytes) < _HEAD + size:
            return None
        about = flat.Table.root(memoryview(bytes(self._bytes[_HEAD : _HEAD + size])))
        end = _HEAD + size + max(0, about.long(_BODY_LENGTH))
        _check_size(end)
        if len(self._bytes) < end:
            return None
        whole = bytes(self._bytes[:end])
        del self._bytes[:end]
        return about.byte(_HEADER_TYPE), whole


def _check_size(size: int) -> None:
    if size > ITEM_BYTES_MAX:
        raise TooLarge(f"a batch of the Arrow stream has {size:,} bytes; the limit is {ITEM_BYTES_MAX:,}: send less")
