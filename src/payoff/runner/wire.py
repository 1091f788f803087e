"""The socket to a model's process: one question, one reply, within a time; waited for here or by an event loop."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from payoff.runner.guest import frames

Said = frames.Frame | Exception  # a reply, or why there is none: TimeoutError, EOFError, frames.Garbled
Hear = Callable[[Said], None]

_BUFFER_BYTES = 1 << 20


class Wire:
    """This side of the socket. TimeoutError, EOFError and frames.Garbled end it: the next reply would be the last's.

    Once an event loop has asked, that loop listens also when nothing is asked: `unasked` hears of the end at once.
    """

    def __init__(self, sock: socket.socket, body_bytes_max: int) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._sock = sock
        self._fd = sock.fileno()
        self._incoming = frames.Incoming(body_bytes_max=min(body_bytes_max, frames.BODY_BYTES_MAX))
        self.loop: asyncio.AbstractEventLoop | None = None
        self.unasked: Hear = lambda said: None
        self._hear: Hear | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsent: list[memoryview] = []
        self._stuck = False  # the socket is full; the loop tells when it is not

    @property
    def gone(self) -> bool:
        """Whether the other side has let go, or said something unasked; for when nothing is asked."""
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    # -- waited for here

    def ask(self, pieces: Sequence[frames.Piece], seconds: float) -> frames.Frame:
        """Blocks until the reply is there."""
        until = time.monotonic() + seconds
        for piece in pieces:
            self._send(memoryview(piece), until)
        while True:
            try:
                frame = self._incoming.read(self._sock)
                if frame is not None:
                    return frame
            except BlockingIOError:
                self._wait(select.POLLIN, until)
            except OSError as error:
                raise EOFError from error

    def _send(self, view: memoryview, until: float) -> None:
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, until)
            except OSError as error:
                raise EOFError from error

    def _wait(self, event: int, until: float) -> None:
        left = until - time.monotonic()
        poll = select.poll()
        poll.register(self._sock, event)
        if left <= 0 or not poll.poll(left * 1_000):
            raise TimeoutError

    # -- waited for by an event loop

    def begin(self, pieces: Sequence[frames.Piece], seconds: float, hear: Hear) -> None:
        """Ask; `hear` is called once by the running loop, whoever is still interested."""
        loop = asyncio.get_running_loop()
        if self.loop is not loop:
            self._detach()
            loop.add_reader(self._fd, self._readable)
            self.loop = loop
        self._hear = hear
        self._timer = loop.call_later(seconds, self._finish, TimeoutError())
        self._unsent = [memoryview(piece) for piece in pieces]
        self._writable()

    def _writable(self) -> None:
        assert self.loop is not None  # noqa: S101 - a question began
        try:
            while self._unsent:
                sent = self._sock.send(self._unsent[0])
                self._unsent[0] = self._unsent[0][sent:]
                if not self._unsent[0]:
                    del self._unsent[0]
        except BlockingIOError:
            self._stuck = True
            self.loop.add_writer(self._fd, self._writable)
            return
        except OSError:
            self.loop.call_soon(self._finish, EOFError())
        if self._stuck:
            self._stuck = False
            self.loop.remove_writer(self._fd)

    def _readable(self) -> None:
        try:
            frame = self._incoming.read(self._sock)
        except BlockingIOError:
            return
        except (EOFError, OSError):
            self._finish(EOFError())
        except frames.Garbled as error:
            self._finish(error)
        else:
            if frame is not None:
                self._finish(frame)

    def _finish(self, said: Said) -> None:
        hear, self._hear = self._hear, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if isinstance(said, Exception):
            self._detach()
        elif hear is None or self._unsent:
            said = frames.Garbled("it spoke before it was asked")
            self._detach()
        (hear or self.unasked)(said)

    def _detach(self) -> None:
        loop, self.loop = self.loop, None
        self._unsent = []
        if loop is not None and not loop.is_closed():
            loop.remove_reader(self._fd)
            loop.remove_writer(self._fd)

    def close(self) -> None:
        """From any thread; a loop that listens lets go of the socket itself."""
        loop = self.loop
        if loop is not None and loop.is_running() and not _runs_here(loop):
            with suppress(RuntimeError):  # it closed just now
                loop.call_soon_threadsafe(self._close)
                return
        self._close()

    def _close(self) -> None:
        if self._hear is not None:
            self._finish(EOFError())
        if self._sock.fileno() >= 0:
            self._detach()
            self._sock.close()


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
