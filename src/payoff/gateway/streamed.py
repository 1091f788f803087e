"""A streamed request in its place on a connection: its answer as HTTP, and the connection's news to the stream.

The answer is chunked for HTTP/1.1; for HTTP/1.0 it goes on until the connection ends.
"""

from collections.abc import Callable
from typing import Any

import orjson

from payoff.codecs.codec import Codec
from payoff.errors import BadInput, Unavailable
from payoff.gateway.http import Connection
from payoff.gateway.reply import Reply
from payoff.gateway.request import Head
from payoff.gateway.stream import SOURCES, WRITERS, Stream
from payoff.serving import Desk, Live


class Streamed:
    """One stream and its connection. Its head is never remembered: a body that is read as it comes needs the parser."""

    def __init__(self, connection: Connection, head: Head, chunked: bool) -> None:
        self.head, self.path = head, head.path
        self._connection = connection
        self._chunked = chunked
        self._gone = False
        self._stream: Stream

    def open(self, desk: Desk, find: Callable[[], Live], asked: Codec, answered: Codec) -> "Streamed":
        """With rows in one format and answers in another, for the endpoint that `find` finds."""
        self._stream = Stream(desk, find, SOURCES[asked.name](), WRITERS[answered.name](answered), self)
        return self

    # -- the connection's news

    @property
    def gone(self) -> bool:
        """Nobody listens any more."""
        return self._gone

    @gone.setter
    def gone(self, gone: bool) -> None:
        self._gone = gone
        if gone:
            self._stream.lose()

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn."""
        return self._stream.waits

    def start(self) -> None:
        """The answers before this one are written."""
        self._stream.start()

    def feed(self, chunk: bytes) -> None:
        """A part of the body."""
        self._stream.feed(chunk)

    def end(self) -> None:
        """The body is whole."""
        self._stream.end()

    def pause(self) -> None:
        """The client reads slowly."""
        self._stream.pause()

    def resume(self) -> None:
        """It has caught up."""
        self._stream.resume()

    def late(self, limit_s: float) -> None:
        """Nothing came for too long."""
        self._stream.stop(BadInput(f"nothing came for {limit_s:g} s; send the rows without an answer again"))

    def leave(self) -> None:
        """The worker is leaving."""
        self._stream.stop(Unavailable("this worker stops; send the rows without an answer again"))

    # -- the stream's answer

    @property
    def body_bytes_max(self) -> int:
        """How much of a request is held that is read whole."""
        return self._connection.limits.body_bytes_max

    def begin(self, content_type: bytes) -> None:
        """The head, before the first rows."""
        framing = b"transfer-encoding: chunked" if self._chunked else b"connection: close"
        self._write(b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%b\r\n\r\n" % (content_type, framing))

    def send(self, data: bytes) -> None:
        """Some rows."""
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def finish(self, last: bool) -> None:
        """All rows are answered; `last` if the rest of the request is not wanted."""
        if self._chunked:
            self._write(b"0\r\n\r\n")
        self._connection.ended(self.head.keep_alive and self._chunked and not last)

    def answer(self, content_type: bytes, body: bytes) -> None:
        """An ordinary reply: nothing was begun, and all is there."""
        self._connection.finish(Reply(body, content_type), self.head)

    def refuse(self, error: Exception, last: bool) -> None:
        """An ordinary refusal: nothing was begun."""
        self._connection.finish(self._explained(error), None if last else self.head)

    def about(self, error: Exception) -> dict[str, Any]:
        """An error as the lines of an answer have it."""
        said: dict[str, Any] = orjson.loads(self._explained(error).body)
        return said

    def cut(self) -> None:
        """The answer ends in the middle, and everybody can see that."""
        self._connection.transport.abort()

    def pause_reading(self) -> None:
        """Enough has come for now."""
        self._connection.pause("stream")

    def resume_reading(self) -> None:
        """There is room again."""
        self._connection.unpause("stream")

    def _explained(self, error: Exception) -> Reply:
        return self._connection.door.explain(error, self)

    def _write(self, data: bytes) -> None:
        if not self._connection.transport.is_closing():
            self._connection.transport.write(data)
