"""Who takes the next connection: the worker that has the fewest, from one listening socket that all of them share.

The supervisor binds the socket once and holds it, so what waits in its queue outlives every worker. All workers hear of
a new connection; each compares how many it has with the others, on a board in shared memory, and leaves it to them if
it has more. Where the others are too busy to come, it takes it after a moment all the same.
"""

import asyncio
import errno
import logging
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

from payoff.gateway.board import Turns

PATIENCE_S = 0.02  # a connection waits so long for a worker that has fewer
AGAIN_S = 0.001  # the next one, if they still have not come
PAUSE_S = 0.1  # before the next try when this process has no file left
HANDSHAKE_S_MAX = 10.0
GOODBYE_S_MAX = 1.0  # for a caller to say that it has heard the end of a TLS connection
BURST = 64  # connections taken in one turn of the loop
_WAITS = {"ssl_handshake_timeout": HANDSHAKE_S_MAX, "ssl_shutdown_timeout": GOODBYE_S_MAX}
log = logging.getLogger("payoff.gateway")


class Counted(set[Any]):
    """The open connections of a door; whenever one comes or goes, `said` is told."""

    def __init__(self, said: Callable[[], None]) -> None:
        super().__init__()
        self._said = said

    def add(self, line: Any) -> None:
        """It is open."""
        super().add(line)
        self._said()

    def discard(self, line: Any) -> None:
        """It is closed."""
        super().discard(line)
        self._said()


class Acceptor:
    """One door's share of the connections in one worker."""

    def __init__(
        self,
        listener: socket.socket,
        made: Callable[[], asyncio.Protocol],
        turns: Turns,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`made` makes the protocol of a connection, which keeps itself in `open`; `turns` is the worker's line."""
        self._listener = listener
        self._made = made
        self._turns = turns
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._stalled = -1  # how many those had who did not come
        self._short = False  # of open files
        self._insisting: asyncio.TimerHandle | None = None
        self.open: set[Any] = Counted(self._say)
        self.taken = 0
        self.coming: set[asyncio.Task[None]] = set()  # taken, and not yet open: with TLS that is a few round trips

    def start(self) -> None:
        """Take connections from now on."""
        self._listener.setblocking(False)
        self._say()
        self._loop.add_reader(self._listener, self._ready)

    def close(self) -> None:
        """Take what waits already, and nothing more."""
        self._turns.leave()
        self._loop.remove_reader(self._listener)
        if self._insisting is not None:
            self._insisting.cancel()
        while self._accept():
            pass
        self._listener.close()

    def _say(self) -> None:
        self._turns.say(len(self.open) + len(self.coming))

    def _ready(self) -> None:
        for _ in range(BURST):
            if not self._turns.mine(len(self.open) + len(self.coming)):
                if self._insisting is None:
                    wait_s = AGAIN_S if self._turns.least() == self._stalled else PATIENCE_S
                    self._insisting = self._loop.call_later(wait_s, self._insist)
                os.sched_yield()  # it may be waiting for this very core
                return  # the loop asks again in its next turn, for as long as nobody takes it
            self._stalled = -1
            if not self._accept():
                return

    def _insist(self) -> None:
        """Those with fewer connections did not come for what waits."""
        self._insisting = None
        self._stalled = self._turns.least()
        self._accept()

    def _accept(self) -> bool:
        """Take one connection; False if there is none to be had."""
        try:
            taken, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:
            self._pause(error)
            return False
        self._short = False
        taken.setblocking(False)
        self.taken += 1
        task = self._loop.create_task(self._open(taken))
        self.coming.add(task)
        task.add_done_callback(self.coming.discard)
        return True

    async def _open(self, taken: socket.socket) -> None:
        waits = {} if self._tls is None else _WAITS
        try:
            await self._loop.connect_accepted_socket(self._made, taken, ssl=self._tls, **waits)
        except OSError as error:  # the client left, or its handshake failed: its own affair
            log.debug("a connection did not open: %s", error)
            taken.close()

    def _pause(self, error: OSError) -> None:
        """No file is left for a connection: the next try comes later, so that the loop does not spin."""
        self._turns.leave()
        self._loop.remove_reader(self._listener)
        self._loop.call_later(PAUSE_S, self._resume)
        if self._short:
            return
        self._short = True
        words = error.strerror
        if error.errno in (errno.EMFILE, errno.ENFILE):
            words = f"{words}; raise the limit of open files (`ulimit -n`, or LimitNOFILE= of systemd)"
        log.error("a worker with %d connections cannot take another: %s", len(self.open), words)

    def _resume(self) -> None:
        if self._listener.fileno() != -1:
            self._loop.add_reader(self._listener, self._ready)
