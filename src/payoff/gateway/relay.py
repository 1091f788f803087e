"""A door whose connections go on to a server in this process that listens by itself, at a socket of the file system.

The supervisor's listening socket, the board, TLS and its renewal are thereby those of every door, though the server
knows none of them. What comes at one end goes out at the other, no faster than it is taken there.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

CONNECTIONS_MAX = 1_000  # of one worker
IDLE_S_MAX = 600.0  # without a byte either way
LEAVE_S = 5.0  # for the calls of a worker that leaves; then a connection on which nothing moves is let go
QUIET_S = 1.0
log = logging.getLogger("payoff.gateway")


class Relay:
    """What the connections of the door share. `leave` tells the server to finish; it may take its time, and once."""

    def __init__(self, path: str, leave: Callable[[], None], connections_max: int = CONNECTIONS_MAX) -> None:
        self.path = path
        self.connections_max = connections_max
        self.open: set[Any] = set()
        self.closing = False
        self.refused = 0
        self._leave: Callable[[], None] | None = leave
        self._leaving_since_s = 0.0

    def front(self) -> asyncio.Protocol:
        """The caller's end of one more connection."""
        return Line(self).front

    def drain(self) -> bool:
        """Let the server finish what it holds and end its connections; whether its time for that is over."""
        now = asyncio.get_running_loop().time()
        if self._leave is not None:
            leave, self._leave, self._leaving_since_s = self._leave, None, now
            leave()
        return now > self._leaving_since_s + LEAVE_S


class Line:
    """A caller's connection, and the one to the server that stands for it."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        self._joining: asyncio.Task[None] | None = None
        self.front, self.back = End(self), End(self)
        self.front.other, self.back.other = self.back, self.front
        self.moved_s = self._loop.time()

    def begin(self, end: "End") -> None:
        """An end is there; the other one follows the caller's."""
        if end is self.back:
            return
        if len(self._relay.open) >= self._relay.connections_max:
            self._relay.refused += 1
            end.abort()
            return
        self._relay.open.add(self)
        self._joining = self._loop.create_task(self._join())

    async def _join(self) -> None:
        try:
            await self._loop.create_unix_connection(lambda: self.back, self._relay.path)
        except OSError as error:
            log.error("a connection is let go, for nothing answers behind the door: %s", error)
            self.front.abort()
            return
        if self not in self._relay.open:  # the caller has left meanwhile
            self.back.abort()
        self.front.resume()

    def move(self) -> None:
        """Something came, or was taken."""
        self.moved_s = self._loop.time()

    def end(self, end: "End") -> None:
        """An end is gone: the other one goes when it has sent what it has."""
        end.other.close()
        if end is self.front:
            self._relay.open.discard(self)

    def abort(self) -> None:
        """End it now."""
        self.front.abort()
        self.back.abort()

    def check_time(self, now_s: float) -> None:
        """End it if nothing has moved for long."""
        if now_s > self.moved_s + IDLE_S_MAX:
            self.abort()

    def drain(self) -> None:
        """The server ends it when its calls are answered; what is still and open after a while is ended here."""
        if self._relay.drain() and self._loop.time() > self.moved_s + QUIET_S:
            self.abort()


class End(asyncio.Protocol):
    """One end of a line."""

    other: "End"

    def __init__(self, line: Line) -> None:
        self._line = line
        self._transport: asyncio.Transport | None = None
        self._early = b""  # what is to go out here as soon as it is open

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._early)
        self._line.begin(self)

    def data_received(self, data: bytes) -> None:
        """Send it on."""
        self._line.move()
        self.other.send(data)

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        self._transport = None
        self._line.end(self)

    def pause_writing(self) -> None:
        """Nobody takes what is sent here: the other end is not read."""
        self.other.pause()

    def resume_writing(self) -> None:
        """It was taken."""
        self._line.move()
        self.other.resume()

    def send(self, data: bytes) -> None:
        """Out of this end; where it is not open yet, there is no more to come than what was read already."""
        if self._transport is None:
            self._early += data
            self.other.pause()
        elif not self._transport.is_closing():
            self._transport.write(data)

    def pause(self) -> None:
        """Read no more for now."""
        if (transport := self._there()) is not None:
            transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if (transport := self._there()) is not None:
            transport.resume_reading()

    def close(self) -> None:
        """When all is sent."""
        if (transport := self._there()) is not None:
            transport.close()

    def abort(self) -> None:
        """Now, also while it sends the rest."""
        if self._transport is not None:
            self._transport.abort()

    def _there(self) -> asyncio.Transport | None:
        """None before it is open, and from its closing on."""
        return None if self._transport is None or self._transport.is_closing() else self._transport
