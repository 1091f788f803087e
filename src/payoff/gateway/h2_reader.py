"""The reading half of a connection: bytes to frames, header blocks to heads, and what is said beside the calls.

Most calls come in one piece, headers that are known and one message, and are taken as they lie there. Every other
frame goes by its kind.
"""

import struct
from collections.abc import Callable

from payoff.gateway import h2_frames as h2
from payoff.gateway.h2_frames import END_HEADERS, END_STREAM, HEAD_BYTES, HEADERS, PREFIX_BYTES, Broken, Code
from payoff.gateway.h2_heads import Heads
from payoff.gateway.h2_limits import CREDIT_BYTES, FRAGMENTS_MAX, FRAME_BYTES_MAX
from payoff.gateway.h2_streams import LEAVING, Streams

_MESSAGE_AT = HEAD_BYTES + PREFIX_BYTES
_unpack_message = struct.Struct(">IBIBI").unpack_from  # the head of a DATA frame, and what stands before a message


class Reader:
    """What comes on one connection."""

    def __init__(self, streams: Streams, heads: Heads) -> None:
        self.settled = False  # the client's settings have come
        self.reads = self.whole = 0  # times that something came, and that a frame became whole
        self._streams, self._answers, self._limits = streams, streams.answers, streams.limits
        self._heads = heads
        self._held = bytearray()  # of a frame that is not whole
        self._missing = 0  # of it
        self._block: tuple[int, int, bytearray, int] | None = None  # headers that go on: stream, flags, bytes, frames
        self._credit_bytes = 0  # that came since the client was last given more room
        self._noise = self._mark = 0  # since the last look at the clock; and the newest stream then

    @property
    def waits(self) -> bool:
        """Whether something has begun that is not whole."""
        return bool(self._held or self._block or not self.settled)

    def feed(self, data: bytes) -> None:
        """More bytes, cut anywhere; Broken if they are amiss."""
        self.reads += 1
        if self._held:
            self._held += data
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = bytes(self._held)
            self._held.clear()
        self._read(data)
        if self._credit_bytes > CREDIT_BYTES:
            self._answers.say(h2.grant(0, self._credit_bytes))
            self._credit_bytes = 0

    def _read(self, data: bytes) -> None:
        """All frames of which nothing is missing."""
        at = stop = 0
        end, known, take = len(data), self._heads.known, self._streams.whole
        while end - at >= HEAD_BYTES:
            word, flags, stream = h2.unpack_head(data, at)
            start = at + HEAD_BYTES
            stop = start + (word >> 8)
            if stop > end:
                if word >> 8 > FRAME_BYTES_MAX:
                    raise Broken(Code.FRAME_SIZE_ERROR, f"a frame of {word >> 8:,} bytes")
                break
            head = known.get(data[start:stop]) if word & 0xFF == HEADERS and flags == END_HEADERS else None
            if head is not None and head.simple and end - stop >= _MESSAGE_AT and self._block is None:
                next_word, next_flags, number, packed, size = _unpack_message(data, stop)
                at = stop + _MESSAGE_AT + size
                if (
                    next_word == (size + PREFIX_BYTES) << 8 and next_flags == END_STREAM and number == stream
                    and not packed and at <= end and take(stream, head, data[stop + _MESSAGE_AT : at])
                ):  # fmt: skip
                    self._credit_bytes += size + PREFIX_BYTES
                    continue
            at = stop
            self._frame(word & 0xFF, flags, stream & h2.WINDOW_END, data[start:stop])
        self.whole += at > 0
        if at < end:
            self._held += data[at:]
            self._missing = HEAD_BYTES - (end - at) if end - at < HEAD_BYTES else stop - end

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """Any frame."""
        if not self.settled and (kind != h2.SETTINGS or flags & h2.ACK):
            raise Broken(Code.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        if self._block is not None and (kind != h2.CONTINUATION or stream != self._block[0]):
            raise Broken(Code.PROTOCOL_ERROR, "a header block is interrupted")
        handle = _KINDS.get(kind)
        if handle is None:
            self._hush()  # RFC 9113, 5.5: what is not known is passed over
        else:
            handle(self, flags, stream, payload)

    # -- calls

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        if not stream & 1 or stream > self._streams.last:
            raise Broken(Code.PROTOCOL_ERROR, "DATA on a stream that is not open")
        count, payload = len(payload), h2.unpad(payload, flags & h2.PADDED)
        self._credit_bytes += count
        call = self._streams.calls.get(stream)
        if call is None or not payload:
            self._hush()  # what comes for a call that is over already says nothing, as nothing does
        if call is not None:
            self._streams.data(call, count, payload, bool(flags & h2.END_STREAM))

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
        most = self._limits.head_bytes_max
        if size > most or frames > FRAGMENTS_MAX:
            raise Broken(Code.ENHANCE_YOUR_CALM, f"a header block of more than {most:,} bytes")

    def _on_block(self, flags: int, stream: int, block: bytes) -> None:
        head = self._heads.known.get(block) or self._heads.read(block)
        call, ends = self._streams.calls.get(stream), bool(flags & h2.END_STREAM)
        if call is None:
            self._streams.open(stream, head, ends)
        else:
            self._streams.trailers(call, ends)

    def _on_reset(self, flags: int, stream: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Broken(Code.FRAME_SIZE_ERROR, f"RST_STREAM of {len(payload)} bytes")
        if not stream or stream > self._streams.last:
            raise Broken(Code.PROTOCOL_ERROR, "RST_STREAM of a stream that was never open")
        call = self._streams.calls.get(stream)
        if call is None:
            self._hush()
        else:
            self._streams.take_back(call)

    # -- beside the calls

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        self._hush()
        if stream or (flags & h2.ACK and payload):
            raise Broken(Code.FRAME_SIZE_ERROR if payload else Code.PROTOCOL_ERROR, "SETTINGS that are none")
        if flags & h2.ACK:
            return
        self.settled = True
        for name, value in h2.read_settings(payload):
            self._set(name, value)
        self._answers.say(h2.frame(h2.SETTINGS, h2.ACK, 0, b""))
        self._answers.pump_all()

    def _set(self, name: int, value: int) -> None:
        if name == h2.TABLE_SIZE:
            self._answers.blocks.resize(value)
        elif name == h2.FIRST_WINDOW:
            self._answers.widen(value)
        elif name == h2.FRAME_MAX:
            self._answers.lengthen(value)
        elif name == h2.ENABLE_PUSH and value > 1:
            raise Broken(Code.PROTOCOL_ERROR, f"SETTINGS_ENABLE_PUSH is {value}")

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        self._hush()
        if len(payload) != 8 or stream:
            raise Broken(Code.FRAME_SIZE_ERROR if not stream else Code.PROTOCOL_ERROR, "a PING that is none")
        if not flags & h2.ACK:
            self._answers.say(h2.frame(h2.PING, h2.ACK, 0, payload))
        elif payload == LEAVING:
            self._streams.heard_warning()

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
            self._answers.more(more)
            return
        if stream > self._streams.last:
            raise Broken(Code.PROTOCOL_ERROR, "WINDOW_UPDATE on a stream that was never open")
        call = self._streams.calls.get(stream)
        if call is not None:
            self._streams.widen(call, more)

    def _hush(self) -> None:
        """Count a frame that is no part of a call; some come with every call."""
        self._noise += 1
        usual = 2 * (self._streams.last - self._mark) + 4 * self._answers.sent
        if self._noise > self._limits.noise_max + usual:
            raise Broken(Code.ENHANCE_YOUR_CALM, "more frames beside the calls than calls")

    def check_time(self) -> None:
        """Once a second: count anew what may come in a second."""
        self._noise = self._streams.resets = self._answers.sent = 0
        self._mark = self._streams.last


_KINDS: dict[int, Callable[[Reader, int, int, bytes], None]] = {
    h2.DATA: Reader._on_data,
    h2.HEADERS: Reader._on_headers,
    h2.PRIORITY: Reader._on_priority,
    h2.RST_STREAM: Reader._on_reset,
    h2.SETTINGS: Reader._on_settings,
    h2.PUSH_PROMISE: Reader._on_push,
    h2.PING: Reader._on_ping,
    h2.GOAWAY: Reader._on_go_away,
    h2.WINDOW_UPDATE: Reader._on_room,
    h2.CONTINUATION: Reader._on_continuation,
}
