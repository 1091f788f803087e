"""A request whose rows are answered while it is still being sent: in order, in bounded memory, journaled as any other.

`Stream` is fed by the connection with the body's bytes, brings the rows to the desk in pieces, and writes the answers
through an `Outlet`, which is the connection again. One piece is on its way at a time. Where the model is slow, or the
client reads slowly, the connection is told to stop reading; where a row is amiss, an error stands in its place. Many
clients read nothing until they have sent all: of those as much is held as a request may have that is read whole.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, cast

import orjson

from payoff.codecs.codec import Codec
from payoff.codecs.pieces import Ask, Batches, Fault, Lines, Source
from payoff.errors import Busy, Conflict, PayoffError, Unavailable
from payoff.gateway import table
from payoff.serving import Answered, Desk, Live
from payoff.serving.form import IN_HAND

PIECE_ROWS = 1_024
HELD_BYTES_MAX = 1 << 20  # of a body, before its sender has to wait
EARLY_BYTES_MAX = 256 << 10  # of an answer to a request that is whole: it goes as an ordinary reply
AGAIN_S = 0.05  # after the desk was full


class Outlet(Protocol):
    """What a stream needs of its connection. `last` ends the connection: the rest of the request is not wanted."""

    @property
    def body_bytes_max(self) -> int: ...
    def begin(self, content_type: bytes) -> None: ...
    def send(self, data: bytes) -> None: ...
    def finish(self, last: bool) -> None: ...
    def answer(self, content_type: bytes, body: bytes) -> None: ...
    def refuse(self, error: Exception, last: bool) -> None: ...
    def about(self, error: Exception) -> dict[str, Any]: ...
    def cut(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Writer(Protocol):
    """One streamed answer as bytes. `fault` is None where the format has no place for an error."""

    content_type: bytes

    def rows(self, answered: Answered) -> bytes: ...
    def fault(self, about: dict[str, Any]) -> bytes | None: ...
    def close(self) -> bytes: ...


class LineWriter:
    """JSON lines: one per row, and one per error."""

    def __init__(self, codec: Codec) -> None:
        self.content_type = codec.content_type.encode()
        self._encode = codec.encode

    def rows(self, answered: Answered) -> bytes:
        return self._encode(table.flat(answered, "records"))

    def fault(self, about: dict[str, Any]) -> bytes:
        return orjson.dumps(about, option=orjson.OPT_APPEND_NEWLINE)

    def close(self) -> bytes:
        return b""


class BatchWriter:
    """An Arrow stream: the schema with the first answers, then a batch for each piece."""

    def __init__(self, codec: Codec) -> None:
        self.content_type = codec.content_type.encode()
        self._parts: list[bytes] = []
        self._writer: Any = None
        self.closed = False  # pyarrow asks: this object is its file

    def write(self, data: Any) -> int:
        """pyarrow's bytes."""
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def rows(self, answered: Answered) -> bytes:
        import pyarrow as pa

        from payoff.codecs.arrow import answer_table

        made = answer_table(table.flat(answered, "records"))
        if self._writer is None:
            self._schema, self._writer = made.schema, pa.ipc.new_stream(cast(Any, self), made.schema)
        if not made.schema.equals(self._schema):
            raise Conflict("another revision with other columns went live in mid-stream; send the rest again")
        self._writer.write_table(made)
        return self._taken()

    def fault(self, about: dict[str, Any]) -> None:
        return None

    def close(self) -> bytes:
        if self._writer is not None:
            self._writer.close()
        return self._taken()

    def _taken(self) -> bytes:
        taken, self._parts = b"".join(self._parts), []
        return taken


SOURCES: dict[str, Callable[[], Source]] = {"ndjson": Lines, "arrow": Batches}
WRITERS: dict[str, Callable[[Codec], Writer]] = {"ndjson": LineWriter, "arrow": BatchWriter}


def streams(asked: Codec, answered: Codec, chunked: bool) -> bool:
    """Whether a request is answered while it is sent: lines by lines always, else if nobody knows how much comes."""
    if asked.name == answered.name == "ndjson":
        return True
    return chunked and asked.name in SOURCES and answered.name in WRITERS


class Stream:
    """One such request. The connection calls `start`, `feed`, `end`, `pause`, `resume`, `stop` and `lose`."""

    def __init__(self, desk: Desk, find: Callable[[], Live], source: Source, writer: Writer, outlet: Outlet) -> None:
        self.gone = False  # the desk asks: nobody wants what is still on its way
        self._desk, self._find = desk, find
        self._source, self._writer, self._outlet = source, writer, outlet
        self._loop = asyncio.get_running_loop()
        self._todo: deque[Ask | Fault] = deque()
        self._early: list[bytes] = []
        self._live: Live | None = None
        self._broken: Exception | None = None
        self._over_early = False
        self._started = self._begun = self._ended = self._flying = self._full = self._paused = self._due = False

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn to say something."""
        return not (self._flying or self._todo or self._ended or self._broken)

    # -- the connection's side

    def start(self) -> None:
        """The answers of all requests before this one are written."""
        self._started = True
        self._wake()

    def feed(self, chunk: bytes) -> None:
        """A part of the body."""
        if self.gone or self._broken:
            return
        try:
            self._source.feed(chunk)
        except PayoffError as error:
            self._broken = error
        held_max = self._outlet.body_bytes_max if self._full else HELD_BYTES_MAX
        if self._source.ready and self._source.held > held_max and not self._paused:
            self._paused = True
            self._outlet.pause_reading()
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self._ended = True
        try:
            self._source.end()
        except PayoffError as error:
            self._broken = self._broken or error
        self._wake()

    def pause(self) -> None:
        """The client reads more slowly than we write."""
        self._full = True
        self._read_on(self._outlet.body_bytes_max)

    def resume(self) -> None:
        """It has caught up."""
        self._full = False
        self._wake()

    def stop(self, why: PayoffError) -> None:
        """What has come is answered, and the rest not taken."""
        if not self._ended:
            self._broken = self._broken or why
            self._wake()

    def lose(self) -> None:
        """The client is gone: nothing more is asked for it."""
        self.gone = True
        self._todo.clear()

    # -- the desk's side

    def hear(self, said: Any) -> None:
        """The answers to the rows that were asked last, or why there are none."""
        self._flying = False
        if self.gone:
            return
        ask = self._todo.popleft()
        assert isinstance(ask, Ask)  # noqa: S101 - only rows are asked
        try:
            if isinstance(said, Exception):
                self._split(ask, said)
            else:
                self._put(self._writer.rows(said))
        except PayoffError as error:
            self._give_up(error)
        self._wake()

    def _split(self, ask: Ask, error: Exception) -> None:
        """Some row is amiss: they go again one by one, for each try may cost a process. Not if it was nobody's row."""
        if len(ask.places) > 1 and not isinstance(error, Unavailable):
            self._todo.extendleft(ask.part(row, row + 1) for row in reversed(range(len(ask.places))))
            return
        for place in ask.places:
            self._fault(Fault(place, error))

    # -- one thing after the other

    def _wake(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._go)

    def _go(self) -> None:
        self._due = False
        if self.gone or self._flying or self._full or not self._started:
            return
        while self._todo or self._refill():
            if isinstance(self._todo[0], Ask):
                self._ask(self._todo[0])
                return
            self._fault(self._todo.popleft())
            if self.gone or self._full:
                return
        if self._broken is not None:
            self._break(self._broken)
        elif self._ended:
            self._finish()

    def _refill(self) -> bool:
        """The next rows, if any have come; the connection may read on once there is room."""
        if self._over_early:
            return False
        try:
            self._live = self._find()
            self._todo.extend(self._source.next(self._live.inputs, PIECE_ROWS))
        except PayoffError as error:
            self._broken = error
        self._read_on(HELD_BYTES_MAX)
        return bool(self._todo)

    def _read_on(self, held_max: int) -> None:
        if self._paused and (not self._source.ready or self._source.held < held_max // 2):
            self._paused = False
            self._outlet.resume_reading()

    def _ask(self, ask: Ask) -> None:
        assert self._live is not None  # noqa: S101 - it was found with the rows
        self._flying = True
        try:
            self._desk.take(self._live, IN_HAND, ask.rows, len(ask.places), self)
        except Busy:
            self._loop.call_later(AGAIN_S, self._again)
        except Exception as error:
            self.hear(error)

    def _again(self) -> None:
        self._flying = False
        self._wake()

    # -- what the client sees

    def _put(self, data: bytes) -> None:
        self._early.append(data)
        if self._begun or not self._ended or sum(map(len, self._early)) > EARLY_BYTES_MAX:
            self._send()

    def _send(self) -> None:
        if not self._begun:
            self._begun = True
            self._outlet.begin(self._writer.content_type)
        data, self._early = b"".join(self._early), []
        if data:
            self._outlet.send(data)

    def _fault(self, fault: Fault | Ask) -> None:
        assert isinstance(fault, Fault)  # noqa: S101 - the other kind is asked
        said = self._writer.fault(self._outlet.about(fault.error) | {self._source.place: fault.place})
        if said is not None:
            self._put(said)
        else:
            self._give_up(fault.error)

    def _give_up(self, error: Exception) -> None:
        """Rows after this one cannot be answered, for it cannot be told which one is missing."""
        self._todo.clear()
        self._broken, self._over_early = error, True

    def _finish(self) -> None:
        self._put(self._writer.close())
        self._over()
        if self._begun:
            self._send()
            self._outlet.finish(last=False)
        else:
            self._outlet.answer(self._writer.content_type, b"".join(self._early))

    def _break(self, error: Exception) -> None:
        """The stream cannot go on: said as well as the format and what was written before allow."""
        self._over()
        said = self._writer.fault(self._outlet.about(error))
        if not (self._begun or self._early):
            self._outlet.refuse(error, last=not self._ended)
        elif said is not None:
            self._early.append(said)
            self._send()
            self._outlet.finish(last=not self._ended)
        else:
            self._send()
            self._outlet.cut()

    def _over(self) -> None:
        """Nothing more happens here."""
        self.gone = True
        if self._paused:
            self._paused = False
            self._outlet.resume_reading()
