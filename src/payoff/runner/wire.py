"""The socket to a model's process: one question, one reply, within a time."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence

from payoff.runner.guest import frames


class Wire:
    """This side of the socket. TimeoutError, EOFError and frames.Garbled end it: the next reply would be the last's."""

    def __init__(self, sock: socket.socket, body_bytes_max: int) -> None:
        sock.setblocking(False)
        self.sock = sock
        self._incoming = frames.Incoming(body_bytes_max=min(body_bytes_max, frames.BODY_BYTES_MAX))

    def ask(self, pieces: Sequence[frames.Piece], seconds: float) -> frames.Frame:
        """Blocks until the reply is there."""
        until = time.monotonic() + seconds
        for piece in pieces:
            self._send(memoryview(piece), until)
        while True:
            try:
                frame = self._incoming.read(self.sock)
                if frame is not None:
                    return frame
            except BlockingIOError:
                self._wait(select.POLLIN, until)
            except ConnectionError as error:
                raise EOFError from error

    def _send(self, view: memoryview, until: float) -> None:
        while view:
            try:
                view = view[self.sock.send(view) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, until)
            except ConnectionError as error:
                raise EOFError from error

    def _wait(self, event: int, until: float) -> None:
        left = until - time.monotonic()
        poll = select.poll()
        poll.register(self.sock, event)
        if left <= 0 or not poll.poll(left * 1_000):
            raise TimeoutError
