"""Whether a client that has closed its side of a connection still listens; found out by beginning to answer.

Who has left and who merely says no more look the same, until something is sent: then the machine of the one that has
left answers with a reset, and at the next byte the connection is known to be lost. All answers begin with the same
bytes. So while an answer is being made they are sent ahead, one by one; who still listens gets what he would have got.
"""

import asyncio
from collections.abc import Callable
from typing import Any

BEGINNING = b"HTTP/1.1 "  # of every answer
FIRST_S = 0.005  # most answers are there by then, and come whole
PAUSE_S_MAX = 0.64  # between two bytes; each pause is twice as long as the one before


class Listening:
    """The transport of a connection whose client has said all; `owed` tells whether the beginning of an answer is what
    comes next."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop, owed: Callable[[], bool]) -> None:
        self._transport, self._loop, self._owed = transport, loop, owed
        self._said = 0  # bytes of the next answer
        loop.call_later(FIRST_S, self._say, FIRST_S)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """What has not been sent yet."""
        data, self._said = data[self._said :], 0
        self._transport.write(data)

    def _say(self, pause_s: float) -> None:
        if self._transport.is_closing():
            return
        if self._owed() and self._said < len(BEGINNING):
            self._transport.write(BEGINNING[self._said : self._said + 1])
            self._said += 1
        self._loop.call_later(pause_s, self._say, min(2 * pause_s, PAUSE_S_MAX))
