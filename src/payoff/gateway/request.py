"""What comes in over HTTP, and what all connections of a door share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from payoff.gateway.reply import Reply

if TYPE_CHECKING:
    from payoff.gateway.http import Connection

LARGE_BYTES = 256 << 10  # of a body or an answer: read in some 5 ms, which is what a batch may take on the loop
HEADS_MAX, HEAD_BYTES_MAX = 1_024, 4_096  # of the heads that are remembered
_UNUSUAL = {b"transfer-encoding", b"expect", b"upgrade", b"traceparent"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost."""

    body_bytes_max: int = 64 << 20
    head_bytes_max: int = 32 << 10
    headers_max: int = 100
    pipelined_max: int = 16
    receive_s_max: float = 60.0  # from the first byte of a request to its last
    idle_s_max: float = 120.0  # between requests
    connections_max: int = 10_000  # of one worker


@dataclass(slots=True, eq=False)
class Head:
    """What stands before a body; header names are lower case. Shared by all requests that begin with the same bytes."""

    method: bytes
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    keep_alive: bool
    length: int = 0  # of the body, in bytes
    packing: tuple[str, int] | None = None  # the coding of its answers, and from how many bytes on
    way: Any = None  # what the door has made of it: where it leads, and that it may come in


class Request:
    """One request, and the caller who waits for its answer on a connection."""

    __slots__ = ("body", "connection", "gone", "head")

    def __init__(self, connection: "Connection", head: Head, body: bytes) -> None:
        self.connection = connection
        self.head = head
        self.body = body
        self.gone = False

    @property
    def method(self) -> bytes:
        return self.head.method

    @property
    def path(self) -> str:
        return self.head.path

    @property
    def headers(self) -> dict[bytes, bytes]:
        return self.head.headers

    @property
    def address(self) -> str:
        """Where the caller is."""
        peer = self.connection.transport.get_extra_info("peername")
        return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""

    def hear(self, said: Any) -> None:
        """The answer: a Reply, or what went wrong."""
        if not self.gone:
            self.connection.finish(said if type(said) is Reply else self.connection.door.explain(said, self), self.head)


class Streaming(Protocol):
    """A request that is answered while it is being sent, in its place on a connection (`payoff.gateway.streamed`)."""

    gone: bool

    @property
    def waits(self) -> bool: ...
    def start(self) -> None: ...
    def feed(self, chunk: bytes) -> None: ...
    def end(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def late(self, limit_s: float) -> None: ...
    def leave(self) -> None: ...


@dataclass(slots=True)
class Door:
    """What all connections of a worker share."""

    answer: Callable[[Request], None]
    explain: Callable[[Any, Any], Reply]  # of an error, and of a request that has a path
    limits: Limits = field(default_factory=Limits)
    open: set["Connection"] = field(default_factory=set)
    heads: dict[bytes, Head] = field(default_factory=dict)
    streams: "Callable[[Connection, Head, bool], Streaming | None] | None" = None  # makes one, if a head asks for it
    closing: bool = False
    refused: int = 0  # connections, for there were enough

    def remember(self, raw: bytes, head: Head) -> None:
        """Know a head by its bytes from now on, if there is nothing unusual about it."""
        if head.keep_alive and len(raw) <= HEAD_BYTES_MAX and _UNUSUAL.isdisjoint(head.headers):
            if len(self.heads) >= HEADS_MAX:
                self.heads.clear()
            self.heads[raw] = head
