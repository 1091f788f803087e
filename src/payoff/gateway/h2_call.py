"""One gRPC call on its HTTP/2 stream: messages in, answers out, a status at the end.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from payoff.codecs.compression import unpack
from payoff.errors import BadInput, DeadlineExceeded, TooLarge
from payoff.gateway.grpc_status import DONE, Status
from payoff.gateway.h2_frames import PREFIX_BYTES
from payoff.gateway.h2_heads import Head

TURNS_MAX = 64  # messages of one stream that wait for their answers; more are not looked at yet


@dataclass(frozen=True, slots=True)
class Method:
    """Something that can be called. `take` gets each message, and sees that whoever it is given for hears an answer.

    One message and one answer, unless it `streams`: then any number, each with one answer, in order, until the client
    has said all. A call that is open is shown to `again` once a second: it may have more than one answer, and no end.
    """

    name: str
    take: Callable[[Any, bytes], None]
    streams: bool = False
    again: Callable[[Any], None] | None = None
    write: Callable[[Any], bytes] = lambda said: said  # an answer of a stream to bytes; also of an Exception, if it can


class Wire(Protocol):
    """Where answers go."""

    transport: Any

    def reply(self, call: "Call", message: bytes) -> None: ...
    def send(self, call: "Call", message: bytes) -> None: ...
    def finish(self, call: "Call", status: Status) -> None: ...
    def fail(self, call: "Call", error: Exception) -> None: ...


class Source(Protocol):
    """Where messages come from."""

    @property
    def limits(self) -> "Sized": ...
    def relieve(self, call: "Call") -> None: ...


class Sized(Protocol):
    """How large a message may be."""

    @property
    def body_bytes_max(self) -> int: ...


class Call:
    """A call as its method sees it, and whoever waits for the answer of a model: `gone` and `hear`."""

    # Most calls come whole and are answered in one go: what only the others need stands here until it is set.
    gone = False  # the client has given up, or has its answer
    ended = False  # the client has said all
    begun = False  # something of the answer has been sent
    told: Any = None  # what its method likes to remember
    body: bytearray | None = None  # what came of messages that are not whole
    counted = 0  # how much of that its connection knows of
    granted = 0  # bytes that came since the client was last given more room
    pending: bytearray | None = None  # of the answer, until there is room for it
    ending: Status | None = None  # what comes behind it
    turns: "deque[Turn] | None" = None
    advancing = False
    deadline_s: float | None = None
    waiting_since_s: float | None = None  # for the client: the rest of a message, or room for an answer

    def __init__(self, wire: Wire, source: Source, number: int, head: Head, room: int) -> None:
        self.wire, self.source, self.number, self.head, self.room = wire, source, number, head, room

    @property
    def address(self) -> str:
        """Where the caller is."""
        peer = self.wire.transport.get_extra_info("peername")
        return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""

    def hear(self, said: Any) -> None:
        """The answer, or what went wrong."""
        if self.gone:
            return
        if isinstance(said, Exception):
            self.wire.fail(self, said)
        else:
            self.wire.reply(self, said)

    def whole(self, message: bytes) -> None:
        """The one message of a call has come."""
        try:
            self.head.method.take(self, message)
        except Exception as error:
            self.hear(error)

    def feed(self, payload: bytes) -> None:
        """More of what the client says, in any pieces."""
        if self.body is None:
            self.body = bytearray()
        self.body += payload
        self.advance()

    def advance(self) -> None:
        """Deal with what there is by now: the messages that are whole, and the end."""
        try:
            if self.head.method.streams:
                self._advance_stream()
            elif self.ended:
                self._only()
            else:
                self._check_length()
        except Exception as error:
            self.hear(error)

    def _only(self) -> None:
        message = self._next()
        if message is None or self.body:
            raise BadInput("this method takes one message; there came less, or more")
        self.whole(message)

    def _advance_stream(self) -> None:
        turns = self.turns = deque() if self.turns is None else self.turns
        self.advancing = True
        while not self.gone and len(turns) < TURNS_MAX and (message := self._next()) is not None:
            turn = Turn(self)
            turns.append(turn)
            try:
                self.head.method.take(turn, message)
            except Exception as error:
                turn.hear(error)
        self.advancing = False
        if self.ended and not turns and not self.gone:
            if self.body:
                raise BadInput("the stream ended inside a message")
            self.wire.finish(self, DONE)

    @property
    def stuffed(self) -> bool:
        """Whether the client has said more than we want to look at now."""
        return self.turns is not None and len(self.turns) >= TURNS_MAX

    def _check_length(self) -> int | None:
        """The length of the message at hand, if its prefix is there."""
        if self.body is None or len(self.body) < PREFIX_BYTES:
            return None
        length = int.from_bytes(self.body[1:PREFIX_BYTES], "big")
        limit = self.source.limits.body_bytes_max
        if length > limit:
            raise TooLarge(
                f"the message has {length:,} bytes; the limit is {limit:,}: send fewer rows at a time, "
                "or start payoff with a larger --body-max"
            )
        return length

    def _next(self) -> bytes | None:
        """The next message that is whole, unpacked."""
        length = self._check_length()
        if self.body is None or length is None or len(self.body) < PREFIX_BYTES + length:
            return None
        packed, message = self.body[0], bytes(self.body[PREFIX_BYTES : PREFIX_BYTES + length])
        del self.body[: PREFIX_BYTES + length]
        self.waiting_since_s = None
        if not packed:
            return message
        if packed > 1 or self.head.coding == "identity":
            raise BadInput("a message says that it is packed, and grpc-encoding does not say how")
        return unpack(message, self.head.coding, self.source.limits.body_bytes_max)


class Turn:
    """One message of a stream, which waits for its answer; answers go out in the order of the messages."""

    said: bytes | None = None

    def __init__(self, call: Call) -> None:
        self.call = call

    @property
    def gone(self) -> bool:
        return self.call.gone

    @property
    def head(self) -> Head:
        return self.call.head

    @property
    def address(self) -> str:
        return self.call.address

    def hear(self, said: Any) -> None:
        """The answer, or what went wrong: it is told in the stream, which goes on."""
        call = self.call
        if call.gone:
            return
        try:
            self.said = call.head.method.write(said)
        except Exception as error:
            call.hear(error)
            return
        turns = call.turns or deque()
        full = call.stuffed
        while turns and turns[0].said is not None:
            call.wire.send(call, turns.popleft().said or b"")
        if (full or call.ended) and not call.advancing:
            call.advance()
            call.source.relieve(call)


def late(call: Call) -> DeadlineExceeded:
    """What a caller is told whose patience is over."""
    return DeadlineExceeded(
        f"the deadline of {(call.head.timeout_us or 0) / 1e6:g} s passed before there was an answer"
    )
