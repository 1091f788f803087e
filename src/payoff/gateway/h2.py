"""One HTTP/2 connection of a gRPC door: frames to calls, answers to frames, within limits; it knows no inference.

Small and strict (RFC 9113): only what gRPC needs, by prior knowledge or after ALPN. The table of headers is kept by the
`hpack` package. All that is said to one client in one turn of the event loop leaves in one write. A client that costs
more than it asks for is told to be calm and let go: resets without end (CVE-2023-44487, CVE-2025-8671), header blocks
without end (CVE-2024-27316), floods of pings, settings, and frames that say nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from payoff.errors import Busy, TooLarge, Unavailable
from payoff.gateway import h2_frames as h2
from payoff.gateway.grpc_status import Unimplemented, explain
from payoff.gateway.h2_answers import Answers
from payoff.gateway.h2_call import PREFIX_BYTES, Call, Method, late
from payoff.gateway.h2_frames import Broken, Code
from payoff.gateway.h2_heads import MALFORMED, Head, Heads

log = logging.getLogger("payoff.gateway")
STREAM_WINDOW, FRAME_BYTES_MAX = 4 << 20, 1 << 20
_CREDIT_BYTES = 16 << 20  # that come before the client is given more room on the connection


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost."""

    body_bytes_max: int = 64 << 20
    bodies_bytes_max: int = 256 << 20  # of all its calls that are not whole
    owed_bytes_max: int = 64 << 20  # of answers that the client leaves no room for; then it gets no more calls
    head_bytes_max: int = 32 << 10
    calls_max: int = 1_000  # at a time
    noise_max: int = 1_000  # frames a second that are no part of a call, beyond a few for each call
    resets_max: int = 2_000  # calls a second that are taken back, or refused
    receive_s_max: float = 60.0  # from the beginning of a frame or a message to its end; and for room for an answer
    quiet_s_max: float = 60.0  # with calls open, before it is asked whether it is there
    answer_s_max: float = 20.0  # for the answer to that
    idle_s_max: float = 600.0  # without a call
    connections_max: int = 10_000  # of one worker


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
    """One connection: its reading half. The other is `answers`."""

    def __init__(self, door: Door) -> None:
        self.door, self.limits = door, door.limits
        self.loop = asyncio.get_running_loop()
        self.heads = Heads(self.limits.head_bytes_max, door.judge)
        self.calls: dict[int, Call] = {}
        self.answers = Answers(self.calls, self.loop)
        self.last = 0  # the newest stream
        self._held = bytearray()  # of a frame that is not whole
        self._missing = 0  # of it
        self._begun = self._settled = self._over = False  # preface and settings have come; nothing more is read
        self._block: tuple[int, int, bytearray, int] | None = None  # headers that go on: stream, flags, bytes, frames
        self._credit_bytes = 0  # that came since the client was last given more room
        self._bodies_bytes = 0
        self._noise = self._resets = self._mark = 0  # since the last look at the clock; and the newest stream then
        self._reads = self._reads_seen = self._whole = self._whole_seen = 0
        self._heard_s = self._progress_s = self.loop.time()
        self._asked = False
        self._leaving_s: float | None = None
        self._final = h2.WINDOW_END  # the last stream that is answered

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
        for call in self.calls.values():
            call.gone = True
        self.calls.clear()
        self._held.clear()

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
        self._reads += 1
        if self._held:
            self._held += data
            self._missing -= len(data)
            if self._missing > 0 and self._begun:
                return
            data = bytes(self._held)
            self._held.clear()
        try:
            self._read(data, 0 if self._begun else self._begin(data))
        except Broken as error:
            self._end(error.code, str(error))
        except Exception as error:
            self._end(Code.INTERNAL_ERROR, explain(error, "a frame").words)

    # -- frames in

    def _begin(self, data: bytes) -> int:
        """Whether it is HTTP/2 at all; where the frames begin."""
        if data.startswith(h2.PREFACE):
            self._begun = True
            self._greet()
            return len(h2.PREFACE)
        if h2.PREFACE.startswith(data):
            self._hold(data, len(h2.PREFACE) - len(data))
        else:
            self._over = True
            self.answers.close(_NOT_HTTP_2)
        return len(data)

    def _greet(self) -> None:
        limits = self.limits
        ours = {h2.CALLS_MAX: limits.calls_max, h2.FIRST_WINDOW: STREAM_WINDOW, h2.FRAME_MAX: FRAME_BYTES_MAX}
        ours[h2.HEAD_LIST_MAX] = limits.head_bytes_max
        self.answers.say(h2.settings(ours) + h2.grant(0, h2.WINDOW_END - h2.WINDOW_START))

    def _hold(self, rest: bytes, missing: int) -> None:
        self._held += rest
        self._missing = missing

    def _read(self, data: bytes, at: int) -> None:
        """All frames of which nothing is missing. The first two cases are a small call; `_frame` has all the others."""
        first, end, known, calls = at, len(data), self.heads.known, self.calls
        while end - at >= h2.HEAD_BYTES:
            word, flags, stream = h2.unpack_head(data, at)
            start = at + h2.HEAD_BYTES
            stop = start + (word >> 8)
            if stop > end:
                if word >> 8 > FRAME_BYTES_MAX:
                    raise Broken(Code.FRAME_SIZE_ERROR, f"a frame of {word >> 8:,} bytes")
                break
            at, kind = stop, word & 0xFF
            if kind == h2.HEADERS and flags == h2.END_HEADERS and self._settled and self._block is None:
                head = known.get(data[start:stop]) or self.heads.read(data[start:stop])
                if stream not in calls:
                    self._open(stream, head, ended=False)
                else:
                    self._on_trailers(calls[stream], flags)
            elif kind == h2.DATA and flags == h2.END_STREAM and is_whole(call := calls.get(stream), data, start, stop):
                self._credit_bytes += stop - start
                call.ended = True
                call.whole(data[start + PREFIX_BYTES : stop])
            else:
                self._frame(kind, flags, stream & h2.WINDOW_END, data[start:stop])
            if self._over:
                return
        if self._credit_bytes > _CREDIT_BYTES:
            self.answers.say(h2.grant(0, self._credit_bytes))
            self._credit_bytes = 0
        self._whole += at > first
        if at < end:
            missing = h2.HEAD_BYTES - (end - at) if end - at < h2.HEAD_BYTES else stop - end
            self._hold(data[at:], missing)

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Any frame."""
        if not self._settled and (kind != h2.SETTINGS or flags & h2.ACK):
            raise Broken(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if self._block is not None and (kind != h2.CONTINUATION or stream != self._block[0]):
            raise Broken(Code.PROTOCOL_ERROR, "a header block is interrupted")
        handle = _FRAMES.get(kind)
        if handle is None:
            self._hush()  # RFC 9113, 5.5: what is not known is passed over
        else:
            handle(self, flags, stream, payload)

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        if not stream & 1 or stream > self.last:
            raise Broken(Code.PROTOCOL_ERROR, "DATA on a stream that is not open")
        count, payload = len(payload), h2.unpad(payload, flags & h2.PADDED)
        self._credit_bytes += count
        call = self.calls.get(stream)
        if call is None or not payload:
            self._hush()  # what comes for a call that is over already says nothing, as nothing does
        if call is None:
            return
        call.granted += count
        if call.ended or call.granted > STREAM_WINDOW:
            self._drop(call, Code.STREAM_CLOSED if call.ended else Code.FLOW_CONTROL_ERROR)
            return
        call.ended = bool(flags & h2.END_STREAM)
        self._take_in(call, payload)

    def _take_in(self, call: Call, payload: bytes) -> None:
        """A part of a body; room for the next part, if it is wanted."""
        call.feed(payload)
        self.relieve(call)
        if self._bodies_bytes > self.limits.bodies_bytes_max and not call.gone:
            most = f"{self.limits.bodies_bytes_max:,} bytes"
            call.hear(TooLarge(f"the calls of one connection that are not whole may have {most}; send fewer at a time"))
            self.relieve(call)

    def relieve(self, call: Call) -> None:
        """Count what is left of a call's body, and let more of it come if that is wanted."""
        left = 0 if call.gone or call.body is None else len(call.body)
        self._bodies_bytes += left - call.counted
        call.counted = left
        if call.granted > STREAM_WINDOW // 2 and not (call.ended or call.gone or call.stuffed):
            self.answers.say(h2.grant(call.number, call.granted))
            call.granted = 0

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        fragment = h2.unpad(payload, flags)
        self._check_block(len(fragment), 1)
        if flags & h2.END_HEADERS:
            self._on_block(flags, stream, fragment)
        else:
            self._block = (stream, flags, bytearray(fragment), 1)

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None:
            raise Broken(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        _, first_flags, fragments, count = self._block
        fragments += payload
        self._check_block(len(fragments), count)
        self._block = (stream, first_flags, fragments, count + 1)
        if flags & h2.END_HEADERS:
            self._block = None
            self._on_block(first_flags, stream, bytes(fragments))

    def _check_block(self, size: int, frames: int) -> None:
        if size > self.limits.head_bytes_max or frames > _FRAGMENTS_MAX:
            raise Broken(Code.ENHANCE_YOUR_CALM, f"a header block of more than {self.limits.head_bytes_max:,} bytes")

    def _on_block(self, flags: int, stream: int, block: bytes) -> None:
        head = self.heads.known.get(block) or self.heads.read(block)
        call = self.calls.get(stream)
        if call is None:
            self._open(stream, head, ended=bool(flags & h2.END_STREAM))
        else:
            self._on_trailers(call, flags)

    def _on_trailers(self, call: Call, flags: int) -> None:
        """Headers behind the messages: nothing in them matters but that they are the end."""
        if call.ended or not flags & h2.END_STREAM:
            self._drop(call, Code.STREAM_CLOSED if call.ended else Code.PROTOCOL_ERROR)
            return
        call.ended = True
        self._take_in(call, b"")

    def _open(self, stream: int, head: Head, ended: bool) -> None:
        """A request begins."""
        if not stream & 1:
            raise Broken(Code.PROTOCOL_ERROR, "a client's streams have odd numbers")
        if stream <= self.last:
            self._turn_away(stream, Code.STREAM_CLOSED)
            return
        self.last = stream
        if stream > self._final:
            return  # it was told that this one would not be looked at
        if head is MALFORMED or len(self.calls) >= self.limits.calls_max:
            self._turn_away(stream, Code.PROTOCOL_ERROR if head is MALFORMED else Code.REFUSED_STREAM)
            return
        call = self.calls[stream] = Call(self.answers, self, stream, head, self.answers.first_room)
        if head.odd or ended or self.answers.owed_bytes:
            self._begin_odd(call, ended)

    def _begin_odd(self, call: Call, ended: bool) -> None:
        """A request that has a deadline, or need not be waited for."""
        call.ended, timeout_us, owed_bytes = ended, call.head.timeout_us, self.answers.owed_bytes
        if timeout_us is not None:
            call.deadline_s = self.loop.time() + timeout_us / 1e6
        if call.head.refusal is not None:
            self.answers.finish(call, call.head.refusal)
        elif owed_bytes > self.limits.owed_bytes_max:
            call.hear(Busy(f"{owed_bytes:,} bytes of answers wait on this connection for room; read them first"))
        elif ended:
            self._take_in(call, b"")

    def _turn_away(self, stream: int, code: Code) -> None:
        self._count_reset()
        self.answers.say(h2.reset(stream, code))

    def _drop(self, call: Call, code: Code) -> None:
        """End a call without an answer: its stream is broken."""
        self._forget(call)
        self._turn_away(call.number, code)

    def _forget(self, call: Call) -> None:
        self.answers.forget(call)
        self.relieve(call)

    def _count_reset(self) -> None:
        self._resets += 1
        if self._resets > self.limits.resets_max:
            raise Broken(Code.ENHANCE_YOUR_CALM, "calls are begun only to be taken back")

    def _on_reset(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Broken(Code.FRAME_SIZE_ERROR, f"RST_STREAM of {len(payload)} bytes")
        if not stream or stream > self.last:
            raise Broken(Code.PROTOCOL_ERROR, "RST_STREAM of a stream that was never open")
        call = self.calls.get(stream)
        if call is None:
            self._hush()
            return
        self._forget(call)
        self._count_reset()

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        self._hush()
        if stream or (flags & h2.ACK and payload):
            raise Broken(Code.FRAME_SIZE_ERROR if payload else Code.PROTOCOL_ERROR, "SETTINGS that are none")
        if flags & h2.ACK:
            return
        self._settled = True
        for name, value in h2.read_settings(payload):
            self._set(name, value)
        self.answers.say(h2.frame(h2.SETTINGS, h2.ACK, 0, b""))
        self.answers.pump_all()

    def _set(self, name: int, value: int) -> None:
        if name == h2.TABLE_SIZE:
            self.answers.blocks.resize(value)
        elif name == h2.FIRST_WINDOW:
            self.answers.widen(value)
        elif name == h2.FRAME_MAX:
            self.answers.lengthen(value)
        elif name == h2.ENABLE_PUSH and value > 1:
            raise Broken(Code.PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH is {value}")

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        self._hush()
        if len(payload) != 8 or stream:
            raise Broken(Code.FRAME_SIZE_ERROR if not stream else Code.PROTOCOL_ERROR, "a PING that is none")
        if not flags & h2.ACK:
            self.answers.say(h2.frame(h2.PING, h2.ACK, 0, payload))
        elif payload == _LEAVING and self._leaving_s is not None and self._final == h2.WINDOW_END:
            self._leave()

    def _on_go_away(self, flags: int, stream: int, payload: bytes) -> None:
        self._hush()
        if stream or len(payload) < 8:
            raise Broken(Code.PROTOCOL_ERROR, "a GOAWAY that is none")

    def _on_priority(self, flags: int, stream: int, payload: bytes) -> None:
        self._hush()
        if not stream or len(payload) != 5:
            raise Broken(Code.PROTOCOL_ERROR if not stream else Code.FRAME_SIZE_ERROR, "a PRIORITY that is none")

    def _on_push(self, flags: int, stream: int, payload: bytes) -> None:
        raise Broken(Code.PROTOCOL_ERROR, "clients promise nothing")

    def _on_room(self, flags: int, stream: int, payload: bytes) -> None:
        self._hush()
        if len(payload) != 4:
            raise Broken(Code.FRAME_SIZE_ERROR, f"WINDOW_UPDATE of {len(payload)} bytes")
        more = h2.unpack_word(payload)[0] & h2.WINDOW_END
        if not stream:
            self.answers.more(more)
            return
        if stream > self.last:
            raise Broken(Code.PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never open")
        call = self.calls.get(stream)
        if call is not None:
            call.room += more
            if not more or call.room > h2.WINDOW_END:
                self._drop(call, Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR)
            else:
                self.answers.pump(call)

    def _hush(self) -> None:
        """Count a frame that is no part of a call; some come with every call."""
        self._noise += 1
        if self._noise > self.limits.noise_max + 2 * (self.last - self._mark) + 4 * self.answers.sent:
            raise Broken(Code.ENHANCE_YOUR_CALM, "more frames beside the calls than calls")

    # -- the end, and the time

    def _end(self, code: Code, words: str) -> None:
        """GOAWAY, and no more."""
        self._over = True
        if not self._begun:
            self._greet()
        for call in self.calls.values():
            call.gone = True
        if code is not Code.NO_ERROR:
            log.info("a gRPC connection was ended: %s (%s)", words, code.name)
        self.answers.close(h2.go_away(self.last, code, words))

    def check_time(self, now_s: float) -> None:
        """Once a second: end what takes too long, and count anew what may come in a second."""
        self._noise = self._resets = self.answers.sent = 0
        self._mark = self.last
        if self._reads != self._reads_seen:
            self._reads_seen, self._heard_s, self._asked = self._reads, now_s, False
        waits = bool(self._held or self._block or self.answers.choked or not self._settled or self._over)
        if self._whole != self._whole_seen or not waits:
            self._whole_seen, self._progress_s = self._whole, now_s
        if now_s - self._progress_s > self.limits.receive_s_max:
            self.transport.abort()
        elif not self._over:
            self._check_calls(now_s)
            self._check_there(now_s)
            self._close_if_done()

    def _check_calls(self, now_s: float) -> None:
        most_s = self.limits.receive_s_max
        for call in [call for call in self.calls.values() if waits(call) or call.deadline_s is not None]:
            if waits(call):
                call.waiting_since_s = now_s if call.waiting_since_s is None else call.waiting_since_s
                if now_s - call.waiting_since_s > most_s:
                    self._drop(call, Code.CANCEL)
            if call.deadline_s is not None and now_s > call.deadline_s:
                call.hear(late(call))
        for call in [call for call in self.calls.values() if call.head.method.again is not None]:
            call.head.method.again(call)

    def _check_there(self, now_s: float) -> None:
        """A client that says nothing is asked whether it is there, if it has calls; otherwise let go after a while."""
        quiet_s, limits = now_s - self._heard_s, self.limits
        if not self.calls and quiet_s > limits.idle_s_max:
            self._end(Code.NO_ERROR, "no call for a long time")
        elif self._asked and quiet_s > limits.quiet_s_max + limits.answer_s_max:
            self.transport.abort()
        elif self.calls and not self._asked and quiet_s > limits.quiet_s_max:
            self._asked = True
            self.answers.say(h2.frame(h2.PING, 0, 0, b"there?  "))

    def drain(self) -> None:
        """The worker is leaving. First the client is told to begin no more calls; those it had begun by the time it
        hears of it are answered still; then nothing more is looked at."""
        if self._leaving_s is None:
            self._leaving_s = self.loop.time()
            said = h2.go_away(h2.WINDOW_END, Code.NO_ERROR, _BYE)
            self.answers.say(said + h2.frame(h2.PING, 0, 0, _LEAVING))
        elif self._final == h2.WINDOW_END and self.loop.time() - self._leaving_s > _LEAVE_S:
            self._leave()
        self._close_if_done()

    def _leave(self) -> None:
        self._final = self.last
        self.answers.say(h2.go_away(self.last, Code.NO_ERROR, _BYE))

    def _close_if_done(self) -> None:
        """After the last word: streams that have nothing to wait for end, and with the last call the connection."""
        if self._final == h2.WINDOW_END:
            return
        for call in [call for call in self.calls.values() if call.head.method.streams or call.head.method.again]:
            if not call.turns:
                call.hear(Unavailable(_BYE))
        if not self.calls and self.answers.idle and not self._over:
            self._over = True
            self.transport.close()


def is_whole(call: Call | None, data: bytes, start: int, stop: int) -> TypeGuard[Call]:
    """Whether a frame has the one message of a call, not packed."""
    return (
        call is not None
        and call.body is None
        and not call.ended
        and stop - start >= PREFIX_BYTES
        and not data[start]
        and h2.unpack_word(data, start + 1)[0] == stop - start - PREFIX_BYTES
        and not call.head.method.streams
    )


def waits(call: Call) -> bool:
    """Whether a call waits for its client."""
    return bool(call.pending or (call.body if call.head.method.streams else not call.ended))


_FRAGMENTS_MAX = 32
_LEAVE_S = 1.0  # for the client to hear that the worker is leaving
_LEAVING, _BYE = b"leaving ", "the worker is leaving; ask again"
_FRAMES: dict[int, Callable[[Connection, int, int, bytes], None]] = {
    h2.DATA: Connection._on_data,
    h2.HEADERS: Connection._on_headers,
    h2.PRIORITY: Connection._on_priority,
    h2.RST_STREAM: Connection._on_reset,
    h2.SETTINGS: Connection._on_settings,
    h2.PUSH_PROMISE: Connection._on_push,
    h2.PING: Connection._on_ping,
    h2.GOAWAY: Connection._on_go_away,
    h2.WINDOW_UPDATE: Connection._on_room,
    h2.CONTINUATION: Connection._on_continuation,
}
_SAYS = b"this door speaks gRPC, which needs HTTP/2; rows over HTTP/1.1 go to the other door, port 8000 by default\n"
_NOT_HTTP_2 = (
    b"HTTP/1.1 426 Upgrade Required\r\nconnection: close, upgrade\r\nupgrade: h2c\r\ncontent-type: text/plain\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_SAYS), _SAYS)
)
