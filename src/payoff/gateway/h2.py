"""The HTTP/2 connections of a gRPC door, each within limits; they know no inference.

Small and strict (RFC 9113): only what gRPC needs, by prior knowledge or after ALPN. `h2_reader` has what comes,
`h2_streams` the calls, `h2_answers` what is said: all of one turn of the event loop leaves in one write. The tables of
headers (`h2_heads`) are kept by the `hpack` package. A client that costs more than it asks for is told to be calm and
let go: resets without end (CVE-2023-44487, CVE-2025-8671), header blocks without end (CVE-2024-27316), floods of
pings, settings, and frames that say nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from payoff.gateway import h2_frames as h2
from payoff.gateway.grpc_status import Unimplemented, explain
from payoff.gateway.h2_call import Method
from payoff.gateway.h2_frames import Broken, Code
from payoff.gateway.h2_heads import Heads
from payoff.gateway.h2_limits import FRAME_BYTES_MAX, STREAM_WINDOW, Limits
from payoff.gateway.h2_reader import Reader
from payoff.gateway.h2_streams import Streams

log = logging.getLogger("payoff.gateway")


@dataclass(slots=True)
class Door:
    """What all connections of a worker share. `admit` raises if a request with these headers may not come in."""

    methods: Mapping[bytes, Method]
    admit: Callable[[Mapping[bytes, bytes]], None] = lambda headers: None
    limits: Limits = field(default_factory=Limits)
    open: set["Connection"] = field(default_factory=set)
    closing: bool = False
    refused: int = 0  # connections, for there were enough

    def connection(self) -> "Connection":
        """One more."""
        return Connection(self)

    def judge(self, headers: Mapping[bytes, bytes]) -> Method:
        """The method that a request calls; raises what it is refused with."""
        self.admit(headers)
        method = self.methods.get(headers[b":path"])
        if method is None:
            said = headers[b":path"][:100].decode("latin-1")
            raise Unimplemented(f"there is no method {said!r} on this door")
        return method


class Connection(asyncio.Protocol):
    """One connection: what the transport tells of it, its end, and the time. `reader` has what comes, `streams` its
    calls, and `answers` what is said."""

    def __init__(self, door: Door) -> None:
        self.door, self.limits = door, door.limits
        self.loop = asyncio.get_running_loop()
        self.streams = Streams(self.limits, self.loop)
        self.answers = self.streams.answers
        self.reader = Reader(self.streams, Heads(self.limits.head_bytes_max, door.judge))
        self._hello = b""  # of the preface
        self._begun = self._over = False  # it has come; nothing more is read
        self._reads_seen = self._whole_seen = 0
        self._heard_s = self._progress_s = self.loop.time()
        self._asked = False

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.answers.transport = transport
        secured, most = transport.get_extra_info("ssl_object"), self.limits.connections_max
        full = len(self.door.open) >= most
        self.door.open.add(self)
        if full:
            self.door.refused += 1
            self._end(Code.ENHANCE_YOUR_CALM, f"a worker takes {most:,} connections and has them")
        elif secured is not None and secured.selected_alpn_protocol() != "h2":
            self._end(Code.PROTOCOL_ERROR, "over TLS this door speaks h2, agreed on by ALPN")

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.open.discard(self)
        self._over = True
        self.streams.abandon()
        self.streams.calls.clear()

    def pause_writing(self) -> None:
        self.answers.choked = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.answers.choked = False
        self.answers.flush()
        if not self._over:
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        try:
            if self._begun:
                self.reader.feed(data)
            else:
                self._begin(data)
        except Broken as error:
            self._end(error.code, str(error))
        except Exception as error:
            self._end(Code.INTERNAL_ERROR, explain(error, "a frame").words)

    def _begin(self, data: bytes) -> None:
        """Whether it is HTTP/2 at all; what comes behind the preface."""
        self._hello += data
        if self._hello.startswith(h2.PREFACE):
            self._greet()
            self.reader.feed(self._hello[len(h2.PREFACE) :])
            self._hello = b""
        elif not h2.PREFACE.startswith(self._hello):
            self._over = True
            self.answers.close(_NOT_HTTP_2)

    def _greet(self) -> None:
        self._begun, limits = True, self.limits
        ours = {h2.CALLS_MAX: limits.calls_max, h2.FIRST_WINDOW: STREAM_WINDOW, h2.FRAME_MAX: FRAME_BYTES_MAX}
        ours[h2.HEAD_LIST_MAX] = limits.head_bytes_max
        self.answers.say(h2.settings(ours) + h2.grant(0, h2.WINDOW_END - h2.WINDOW_START))

    # -- the end, and the time

    def _end(self, code: Code, words: str) -> None:
        """GOAWAY, and no more."""
        self._over = True
        if not self._begun:
            self._greet()
        self.streams.abandon()
        if code is not Code.NO_ERROR:
            log.info("a gRPC connection was ended: %s (%s)", words, code.name)
        self.answers.close(h2.go_away(self.streams.last, code, words))

    def check_time(self, now_s: float) -> None:
        """Once a second: end what takes too long, and count anew what may come in a second."""
        reader = self.reader
        reader.check_time()
        if reader.reads != self._reads_seen:
            self._reads_seen, self._heard_s, self._asked = reader.reads, now_s, False
        if reader.whole != self._whole_seen or not (reader.waits or self.answers.choked or self._over):
            self._whole_seen, self._progress_s = reader.whole, now_s
        if now_s - self._progress_s > self.limits.receive_s_max:
            self.transport.abort()
        elif not self._over:
            self.streams.check_time(now_s)
            self._check_there(now_s)
            self._close_if_done()

    def _check_there(self, now_s: float) -> None:
        """A client that says nothing is asked whether it is there, if it has calls; otherwise let go after a while."""
        quiet_s, limits, calls = now_s - self._heard_s, self.limits, self.streams.calls
        if not calls and quiet_s > limits.idle_s_max:
            self._end(Code.NO_ERROR, "no call for a long time")
        elif self._asked and quiet_s > limits.quiet_s_max + limits.answer_s_max:
            self.transport.abort()
        elif calls and not self._asked and quiet_s > limits.quiet_s_max:
            self._asked = True
            self.answers.say(h2.frame(h2.PING, 0, 0, b"there?  "))

    def drain(self) -> None:
        """The worker is leaving; asked again and again, until the connection has closed."""
        if not self.streams.final_said:
            self.streams.warn()
        self._close_if_done()

    def _close_if_done(self) -> None:
        """After the last word: streams that have nothing to wait for end, and with the last call the connection."""
        if not self.streams.final_said:
            return
        self.streams.let_go()
        if not self.streams.calls and self.answers.idle and not self._over:
            self._over = True
            self.transport.close()


_SAYS = b"this door speaks gRPC, which needs HTTP/2; rows over HTTP/1.1 go to the other door, port 8000 by default\n"
_NOT_HTTP_2 = (
    b"HTTP/1.1 426 Upgrade Required\r\nconnection: close, upgrade\r\nupgrade: h2c\r\ncontent-type: text/plain\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_SAYS), _SAYS)
)
