"""The sending half of a connection: answers to frames, as far as the client has room; all of a turn in one write."""

import asyncio
from typing import Any

from payoff.codecs.compression import pack
from payoff.gateway import h2_frames as h2
from payoff.gateway.grpc_status import DONE, Status, explain
from payoff.gateway.h2_call import Call
from payoff.gateway.h2_frames import PREFIX_BYTES, Broken, Code
from payoff.gateway.h2_heads import Blocks

_PACKED_FROM_BYTES = 1_024  # of a message; below it packing makes nothing smaller
_LAST = h2.END_HEADERS | h2.END_STREAM


class Answers:
    """What is said to one client, within the windows that it gives."""

    def __init__(self, calls: dict[int, Call], loop: asyncio.AbstractEventLoop) -> None:
        self.transport: Any = None
        self.blocks = Blocks()
        self.owed_bytes = 0  # that the client has no room for
        self.sent = 0  # frames of them, since somebody set this to nought
        self.choked = False  # the transport takes no more
        self._calls = calls
        self._loop = loop
        self._out: list[bytes] = []
        self._due = False
        self.first_room = h2.WINDOW_START  # of each call
        self._room, self._frame_max = h2.WINDOW_START, h2.FRAME_START

    @property
    def idle(self) -> bool:
        """Whether all that was said has left."""
        return not self._out

    # -- what calls say

    def reply(self, call: Call, message: bytes) -> None:
        """The one answer of a call, and its end: in one piece where the client has room for it."""
        size = len(message) + PREFIX_BYTES
        framed = self.blocks.framed
        if (
            framed is None or size > self._room or size > call.room or size > self._frame_max
            or call.begun or not call.ended or call.head.coding != "identity"
        ):  # fmt: skip
            self.send(call, message)
            self.finish(call, DONE)
            return
        self._room -= size
        self._out += framed(call.number, size, message)
        call.gone = True
        del self._calls[call.number]
        if not self._calls:
            self.flush()  # nobody else waits for an answer that could go with it
        elif not self._due:
            self._due = True
            self._loop.call_soon(self.flush)

    def send(self, call: Call, message: bytes) -> None:
        """One answer; more may follow, and at last `finish`."""
        if call.gone:
            return
        coding = call.head.coding
        if not call.begun:
            call.begun = True
            self.say(h2.frame(h2.HEADERS, h2.END_HEADERS, call.number, self.blocks.beginning(coding)))
        if call.pending is None:
            call.pending = bytearray()
        packed = coding != "identity" and len(message) >= _PACKED_FROM_BYTES
        said = pack(message, coding) if packed else message
        call.pending += packed.to_bytes(1, "big") + len(said).to_bytes(PREFIX_BYTES - 1, "big") + said
        self.owed_bytes += len(said) + PREFIX_BYTES
        self.pump(call)

    def finish(self, call: Call, status: Status) -> None:
        """The end of a call, when all that was sent before has left."""
        if call.gone or call.ending is not None:
            return
        call.ending = status
        if not call.pending:
            self._finish(call, status)

    def fail(self, call: Call, error: Exception) -> None:
        """An error, in place of an answer or behind the answers so far."""
        self.finish(call, explain(error, call.head.headers.get(b":path", b"").decode("latin-1")))

    def _finish(self, call: Call, status: Status) -> None:
        block = self.blocks.ending(status, call.begun, call.head.http_status)
        self.say(h2.frame(h2.HEADERS, _LAST, call.number, block))
        if not call.ended:
            self.say(h2.reset(call.number, Code.NO_ERROR))  # what else would come is not read
        self.forget(call)

    def forget(self, call: Call) -> None:
        """The call is over, or taken back."""
        call.gone = True
        self._calls.pop(call.number, None)
        self.owed_bytes -= len(call.pending or b"")
        call.pending = None

    # -- what the client has room for

    def widen(self, size: int) -> None:
        """The client gives each call another first window."""
        if size > h2.WINDOW_END:
            raise Broken(Code.FLOW_CONTROL_ERROR, f"a window of {size:,} bytes")
        for call in self._calls.values():
            call.room += size - self.first_room
        self.first_room = size

    def lengthen(self, size: int) -> None:
        """The client takes frames of another size."""
        if not h2.FRAME_START <= size <= h2.FRAME_END:
            raise Broken(Code.PROTOCOL_ERROR, f"frames of {size:,} bytes")
        self._frame_max = size

    def more(self, count: int) -> None:
        """Room for more bytes, of all calls together."""
        self._room += count
        if not count or self._room > h2.WINDOW_END:
            raise Broken(Code.FLOW_CONTROL_ERROR if count else Code.PROTOCOL_ERROR, "a window out of range")
        self.pump_all()

    def pump_all(self) -> None:
        """Send what there is room for by now."""
        if self.owed_bytes:
            for call in [call for call in self._calls.values() if call.pending]:
                self.pump(call)

    def pump(self, call: Call) -> None:
        """Send what there is room for of one call."""
        pending = call.pending
        while pending:
            count = min(len(pending), self._room, call.room, self._frame_max)
            if count <= 0:
                return
            self.say(h2.frame(h2.DATA, 0, call.number, bytes(pending[:count])))
            del pending[:count]
            self.sent += 1
            self._room -= count
            call.room -= count
            self.owed_bytes -= count
            call.waiting_since_s = None
        if call.ending is not None:
            self._finish(call, call.ending)

    # -- the transport

    def say(self, said: bytes) -> None:
        """Some frames, behind all that was said before."""
        self._out.append(said)
        if not self._due:
            self._due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Everything said since the last time, in one write."""
        self._due = False
        if self.choked or not self._out or self.transport.is_closing():
            return
        said = b"".join(self._out)
        self._out.clear()
        self.transport.write(said)

    def close(self, last_words: bytes = b"") -> None:
        """Say what is left, and end the connection."""
        self._out.append(last_words)
        self.choked = False
        self.flush()
        self.transport.close()
