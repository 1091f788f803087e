"""What stands before the application: only who may come in gets a word with it, and slow bodies count as gone.

Even a wrong path needs the key, for this is asked before any path is looked at.
"""

import asyncio
import json
from typing import Any

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from payoff.api.replies import error_body
from payoff.doors import admit, status
from payoff.errors import PayoffError

CHUNK_WAIT_S_MAX = 60.0  # between two pieces of a body


class Entrance:
    """An ASGI application around another. `key` None asks for none; `hosts` None takes any Host header."""

    def __init__(self, inside: ASGIApp, key: str | None, hosts: frozenset[str] | None) -> None:
        self.inside = inside
        self.key = key
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if str(scope["type"]) == "lifespan":
            await self.inside(scope, receive, send)
            return
        try:
            admit(dict(scope["headers"]), self.key, self.hosts)
        except PayoffError as error:
            await _say_no(error, send)
            return
        await self.inside(scope, patient(receive), send)


def patient(receive: Receive) -> Receive:
    """The same body, but a caller that stops sending counts as gone after a while."""
    over = False

    async def next_piece() -> Any:
        nonlocal over
        if over:
            return await receive()
        try:
            piece = await asyncio.wait_for(receive(), CHUNK_WAIT_S_MAX)
        except TimeoutError:
            return {"type": "http.disconnect"}
        over = not piece.get("more_body", False)
        return piece

    return next_piece


async def _say_no(error: PayoffError, send: Send) -> None:
    content = json.dumps(error_body(error)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if status(error) == 401:
        headers.append((b"www-authenticate", b'Bearer realm="payoff"'))
    start: Message = {"type": "http.response.start", "status": status(error), "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": content, "more_body": False})
