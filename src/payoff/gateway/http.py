"""One HTTP/1.1 connection of the inference door: bytes to calls, replies to bytes, in order, within limits.

The parser is llhttp (by way of httptools). What it refuses gets a 400 and the connection ends. Calls on one connection
are answered one after the other, so pipelining is safe; a client that never reads makes us stop reading it.

A client sends the same head over and over, byte for byte. One that the parser has read, from its first byte to the
empty line, is remembered with what it means; a request that begins with the same bytes, and whose body has come whole,
needs no parser. All the rest goes to the parser.
"""

import asyncio
import re
from collections import deque
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools

from payoff.codecs import compression
from payoff.gateway.listening import Listening
from payoff.gateway.reply import Reply, packed, refusal, render
from payoff.gateway.request import LARGE_BYTES, Door, Head, Request, Streaming

_ABSOLUTE = re.compile(rb"^https?://[^/?]*", re.IGNORECASE)
LINGER_S = 2.0  # a request that was answered before it was whole is read so long
PIECES_MAX = 1_000  # of a body, before they are put together: a piece may be one byte, and costs fifty
_ONCE = {b"host", b"transfer-encoding"}
_VERSIONS = ("1.1", "1.0")
_STRANGERS = {
    b"\x16\x03": "this door speaks HTTP without TLS: use http://, not https://, or start payoff with --tls-cert",
    b"PRI * HTTP/2": "this door speaks HTTP/1.1, not HTTP/2; gRPC has a door of its own, `payoff up` says where",
}


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.limits = door.limits
        self.loop = asyncio.get_running_loop()
        self.waiting: deque[Request | Streaming | Reply] = deque()
        self.asking: Request | Streaming | None = None
        self.streamed: Streaming | None = None  # the request whose body is being read, if it is answered meanwhile
        self.pauses: set[str] = set()  # why nothing is read
        self.full = False  # the client reads more slowly than we write
        self.busy = False
        self.ending = False
        self.pumping = False
        self.said_all = False  # the client sends nothing more
        self.between = True  # requests: the parser holds no part of one
        self.deadline = self.loop.time() + self.limits.idle_s_max
        self.answered = False  # since the time was last looked at
        self.receiving = False
        self.unsent, self.deaf_from = 0, 0.0  # bytes that the client has not taken, and since when it takes none
        self.unread = 0  # bytes of a request that the parser has, and has not yet said a word of
        self.owed = 0  # bytes of a body that the parser does not see, after an offer to upgrade

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.parser = httptools.HttpRequestParser(self)
        full = len(self.door.open) >= self.limits.connections_max
        self.door.open.add(self)
        if full:
            self.door.refused += 1
            self.refuse(503, f"a worker takes {self.limits.connections_max:,} connections and has them; try again")

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.open.discard(self)
        self.ending = True
        self.waiting.clear()
        if self.asking is not None:
            self.asking.gone = True

    def eof_received(self) -> bool:
        """A client that has said all it wants may still listen: it gets the answers that it waits for. With TLS it does
        not, for there a connection ends for both sides at once."""
        listens = self.busy and self.streamed is None and self.transport.can_write_eof()
        if listens and not self.said_all:
            self.transport = Listening(self.transport, self.loop, lambda: isinstance(self.asking, Request))
        self.said_all = True
        return listens

    def pause_writing(self) -> None:
        self.full = True
        if isinstance(self.asking, Request | None):
            self.pause("writing")
        else:
            self.asking.pause()

    def resume_writing(self) -> None:
        self.full = False
        self.unpause("writing")
        if not isinstance(self.asking, Request | None):
            self.asking.resume()

    def pause(self, why: str) -> None:
        """Read nothing until this reason, and every other, is gone."""
        if not self.pauses:
            self.transport.pause_reading()
        self.pauses.add(why)

    def unpause(self, why: str) -> None:
        """This reason is gone."""
        if why in self.pauses:
            self.pauses.discard(why)
            if not (self.pauses or self.transport.is_closing()):
                self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.between and not self.ending:
            data = self._take_known(data)
            if not data:
                return
        if self.owed:
            data = self._take_owed(data)
        if self.ending or not data:
            return
        self.received = data if self.between else b""
        self.unread += len(data)
        try:
            self.parser.feed_data(data)
            if self.unread > self.limits.head_bytes_max:
                raise _Refused(431, f"{self._large_head()}, or a line between two chunks")
        except _Refused as refused:
            self.refuse(*refused.args)
        except httptools.HttpParserUpgrade as upgrade:
            # Offered another protocol, we stay with HTTP/1.1, as the offer allows. The parser leaves the body to us.
            self.parser = httptools.HttpRequestParser(self)
            self.data_received(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            self.refuse(*(error.__context__.args if isinstance(error.__context__, _Refused) else (400, "bad request")))
        except httptools.HttpParserError as error:
            strange = next((words for begin, words in _STRANGERS.items() if self.received.startswith(begin)), None)
            self.refuse(400, strange or f"this is not a valid HTTP/1.1 request: {error}")

    def _take_known(self, data: bytes) -> bytes:
        """Whole requests whose heads are remembered; gives what follows them."""
        door = self.door
        while True:
            start = data.find(b"\r\n\r\n") + 4
            head = door.heads.get(data[:start])
            if head is None or self.ending:
                return data
            end = start + head.length
            if end > len(data):
                return data
            request = Request(self, head, data[start:end])
            if self.busy:
                self._enqueue(request)
            else:
                self.busy, self.asking = True, request
                door.answer(request)
            if end == len(data):
                return b""
            data = data[end:]

    # -- the parser's side

    def on_message_begin(self) -> None:
        self.between = False
        self.url = b""
        self.headed = False
        self.headers: dict[bytes, bytes] = {}
        self.chunks: list[bytes | bytearray] = []
        self.head_size = self.head_lines = self.body_size = 0
        if not self.receiving:
            self.receiving = True
            self.deadline = self.loop.time() + self.limits.receive_s_max

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._grow_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._grow_head(len(name) + len(value))
        self.head_lines += 1
        if self.head_lines > self.limits.headers_max:
            raise _Refused(431, f"more than {self.limits.headers_max} header lines")
        if self.headed:
            return  # after the body: it comes too late to mean anything
        if name in _ONCE and name in self.headers:
            raise _Refused(400, f"two {name.decode().title()} headers; send one")
        self.headers[name] = value

    def on_headers_complete(self) -> None:
        self.headed = True
        if self.parser.get_http_version() not in _VERSIONS:
            raise _Refused(505, f"HTTP/{self.parser.get_http_version()} is not spoken here; HTTP/1.1 is")
        if self.headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            raise _Refused(400, "a Transfer-Encoding other than chunked; say how a body is packed in Content-Encoding")
        if self._is_streamed():
            self._expect_body()
            return
        expected = self.headers.get(b"content-length")
        if expected and expected.isdigit() and int(expected) > self.limits.body_bytes_max:
            raise _Refused(413, self._too_large(f"the body has {int(expected):,} bytes"))
        self._expect_body()
        if self.parser.should_upgrade():
            if b"transfer-encoding" in self.headers:
                raise _Refused(400, "a chunked body with an Upgrade header; send one without the other")
            self.owed = int(expected) if expected and expected.isdigit() else 0

    def _expect_body(self) -> None:
        if self.headers.get(b"expect", b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _is_streamed(self) -> bool:
        """Whether the request that begins here is answered while it is sent; then it takes its place now."""
        if self.door.streams is None or b"content-type" not in self.headers or self.parser.should_upgrade():
            return False
        head = self._head(self.parser.get_method(), self._keeps_alive(), 0)
        self.streamed = self.door.streams(self, head, self.parser.get_http_version() == "1.1")
        if self.streamed is not None:
            self._enqueue(self.streamed)
        return self.streamed is not None

    def on_body(self, chunk: bytes) -> None:
        self.unread = 0
        if self.streamed is not None:
            self.deadline = self.loop.time() + self.limits.receive_s_max
            self.streamed.feed(chunk)
            return
        self.body_size += len(chunk)
        if self.body_size > self.limits.body_bytes_max:
            raise _Refused(413, self._too_large("the body is larger"))
        self.chunks.append(chunk)
        if len(self.chunks) == PIECES_MAX:
            begun, *rest = self.chunks
            begun = begun if isinstance(begun, bytearray) else bytearray(begun)
            begun += b"".join(rest)
            self.chunks = [begun]

    def on_message_complete(self) -> None:
        if self.streamed is not None:
            self.receiving, self.between, self.unread = False, True, 0
            streamed, self.streamed = self.streamed, None
            streamed.end()
            return
        if self.owed:
            self.request_line = self.parser.get_method()
            return
        self._complete(self.parser.get_method(), self._keeps_alive())

    def _keeps_alive(self) -> bool:
        """Whether the client wants to go on; one of HTTP/1.0 would have to be told that it may, and is not."""
        return bool(self.parser.should_keep_alive()) and self.parser.get_http_version() == "1.1"

    def _take_owed(self, data: bytes) -> bytes:
        """The part of a body that comes past the parser; gives what follows it."""
        part, rest = data[: self.owed], data[self.owed :]
        self.owed -= len(part)
        self.chunks.append(part)
        if not self.owed:
            self._complete(self.request_line, keep_alive=True)
        return rest

    def _complete(self, method: bytes, keep_alive: bool) -> None:
        self.receiving, self.between, self.unread = False, True, 0
        only = self.chunks[0] if len(self.chunks) == 1 else b""
        body = only if only and isinstance(only, bytes) else b"".join(self.chunks)
        self.chunks = []
        head = self._head(method, keep_alive, len(body))
        start = self.received.find(b"\r\n\r\n") + 4
        if start > 3 and start + len(body) == len(self.received):  # the request, all of it and nothing else
            self.door.remember(self.received[:start], head)
        self._enqueue(Request(self, head, body))

    def _head(self, method: bytes, keep_alive: bool, length: int) -> Head:
        path, _, query = _ABSOLUTE.sub(b"", self.url).partition(b"?")
        plain = (
            path.decode("ascii", "replace") if b"%" not in path else unquote_to_bytes(path).decode("utf-8", "replace")
        )
        return Head(method, plain, query, self.headers, keep_alive, length, _packing(self.headers))

    # -- answering, in order

    def _enqueue(self, item: Request | Streaming | Reply) -> None:
        if self.busy:
            self.waiting.append(item)
            if len(self.waiting) >= self.limits.pipelined_max:
                self.pause("pipelined")
            return
        self._begin(item)

    def _begin(self, item: Request | Streaming | Reply) -> None:
        self.busy = True
        if isinstance(item, Reply):
            self.finish(item, None)
            return
        self.asking = item
        if isinstance(item, Request):
            self.door.answer(item)
        else:
            if self.full:
                item.pause()
            item.start()

    def finish(self, reply: Reply, head: Head | None) -> None:
        """Send the answer to what was asked last; `head` None ends the connection."""
        if self.transport.is_closing():
            return
        keep_alive = head is not None and self._stays(head.keep_alive)
        if head is not None and head.packing is not None:
            if len(reply.body) > LARGE_BYTES:
                self._pack_aside(reply, head, *head.packing)
                return
            reply = packed(reply, *head.packing)
        whole = render(reply, keep_alive)
        if head is not None and head.method == b"HEAD":
            whole = whole[: len(whole) - len(reply.body)]
        self.transport.write(whole)
        if keep_alive and not self.waiting:  # the usual case
            self.busy, self.asking, self.answered = False, None, True
        else:
            self.ended(keep_alive)

    def _pack_aside(self, reply: Reply, head: Head, coding: str, from_bytes: int) -> None:
        """Pack a large answer on a thread, then send it; the loop goes on, and this connection waits."""
        coming = self.loop.run_in_executor(None, packed, reply, coding, from_bytes)
        coming.add_done_callback(lambda done: self.finish(done.result(), replace(head, packing=None)))

    def _stays(self, keep_alive: bool) -> bool:
        """Whether the connection goes on after the answer that is being written."""
        return keep_alive and (bool(self.waiting) or not (self.door.closing or self.said_all))

    def ended(self, keep_alive: bool) -> None:
        """What was asked last has its answer: on to the next, or to the end."""
        self.busy, self.asking = False, None
        if self.transport.is_closing():
            return
        if not self._stays(keep_alive):
            self.ending = True
            self._hang_up()
            return
        self.answered = True
        if self.waiting and not self.pumping:
            self._pump()

    def _hang_up(self) -> None:
        """End the connection. Where something may still be coming, it is let run out for a while: closed at once, the
        client might be told of a reset, and not what we said."""
        if (self.streamed is None and not self.door.closing) or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.streamed = None
        self.pauses.clear()
        self.transport.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _pump(self) -> None:
        """Ask what waits, one after the other; where answers come at once this goes round, not deeper and deeper."""
        self.pumping = True
        while self.waiting and not self.busy and not self.transport.is_closing():
            if len(self.waiting) == self.limits.pipelined_max:
                self.unpause("pipelined")
            self._begin(self.waiting.popleft())
        self.pumping = False

    def refuse(self, status: int, what: str) -> None:
        """Answer with an error after everything that came before it, and end the connection."""
        self.ending = True
        self.pause("refused")
        self._enqueue(refusal(status, what, {413: "too_large", 503: "unavailable"}.get(status, "bad_input")))

    def check_time(self, now: float) -> None:
        """End a connection that takes too long to say something, or to hear it."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self.unsent:  # it reads, however slowly, or there was more to say
            self.unsent, self.deaf_from = unsent, now
        elif unsent and now - self.deaf_from >= self.limits.idle_s_max:
            self.transport.abort()
            return
        if self.answered:
            self.answered = False
            if not self.receiving:
                self.deadline = now + self.limits.idle_s_max
        if self.ending or now < self.deadline:
            return
        if self.streamed is not None and self.streamed.waits:
            self.streamed.late(self.limits.receive_s_max)
        if self.busy:
            return
        if self.receiving:
            self.refuse(408, f"the request did not arrive whole within {self.limits.receive_s_max:g} s")
        else:
            self.transport.close()

    def drain(self) -> None:
        """The worker is leaving: idle connections end now, busy ones after their answer."""
        if self.streamed is not None:
            self.streamed.leave()
        if not self.busy and not self.receiving:
            self.transport.close()

    def _grow_head(self, size: int) -> None:
        self.unread = 0
        self.head_size += size
        if self.head_size > self.limits.head_bytes_max:
            raise _Refused(431, self._large_head())

    def _large_head(self) -> str:
        return f"the request's head is larger than {self.limits.head_bytes_max:,} bytes"

    def _too_large(self, what: str) -> str:
        limit = self.limits.body_bytes_max
        return f"{what}; the limit is {limit:,}: send fewer rows at a time, or start payoff with a larger --body-max"


class _Refused(Exception):
    """Carries a status and words out of a parser callback."""


def _packing(headers: dict[bytes, bytes]) -> tuple[str, int] | None:
    accepted = headers.get(b"accept-encoding")
    return None if accepted is None else compression.negotiate(accepted.decode("latin-1"))
