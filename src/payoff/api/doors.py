"""Who may come in: a key if there is one, the right Host on loopback, no web pages of strangers, no slow bodies.

It stands before the application, so that even a wrong path needs the key.
"""

import asyncio
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from payoff.api import status
from payoff.errors import PayoffError, Unauthorized

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
CHUNK_WAIT_S_MAX = 60.0  # between two pieces of a body


class Doors:
    """An ASGI application around another. `key` None asks for none; `hosts` None takes any Host header."""

    def __init__(self, inside: ASGIApp, key: str | None, hosts: frozenset[str] | None) -> None:
        self.inside = inside
        self.key = key
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if str(scope["type"]) == "lifespan":
            await self.inside(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        try:
            admit(headers, self.key, self.hosts)
        except PayoffError as error:
            await _say_no(error, send)
            return
        await self.inside(scope, _patient(receive), send)


def admit(headers: dict[bytes, str], key: str | None, hosts: frozenset[str] | None) -> None:
    """Nothing, if the request may come in; Unauthorized with the way in otherwise."""
    host = headers.get(b"host", "")
    if hosts is not None and _name(host) not in hosts:
        raise Unauthorized(
            f"the Host header {host[:100]!r} is not this server; use http://127.0.0.1 or http://localhost"
        )
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin).netloc != host:
        raise Unauthorized(f"a page of {origin[:100]!r} may not use this server; only its own console may")
    if key is not None and not _same(headers.get(b"authorization", ""), key):
        raise Unauthorized("this server asks for its key: send `Authorization: Bearer KEY` (PAYOFF_KEY for the CLI)")


def _name(host: str) -> str:
    """The host without its port; an IPv6 address keeps its brackets."""
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0].lower()


def _same(authorization: str, key: str) -> bool:
    scheme, _, token = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode("latin-1"), key.encode())


def _patient(receive: Receive) -> Receive:
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
    content = json.dumps(status.body(status.kind(error), str(error))).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if status.status(error) == 401:
        headers.append((b"www-authenticate", b'Bearer realm="payoff"'))
    start: Message = {"type": "http.response.start", "status": status.status(error), "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": content, "more_body": False})
