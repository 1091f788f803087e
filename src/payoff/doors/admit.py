"""Who may come in: a key if there is one, the right Host on loopback, no web pages of strangers."""

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from payoff.errors import BadInput, Unauthorized

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


def admit(headers: Mapping[bytes, bytes], key: str | None, hosts: frozenset[str] | None) -> None:
    """Nothing, if the request may come in; Unauthorized with the way in otherwise.

    `headers` have lower-case names. `key` None asks for none; `hosts` None takes any Host header. A page that a browser
    loaded elsewhere may neither call this server by rebinding a name to it nor across origins.
    """
    host = headers.get(b"host", b"").decode("latin-1")
    if hosts is not None and _name(host) not in hosts:
        raise Unauthorized(
            f"the Host header {host[:100]!r} is not this server; use http://127.0.0.1 or http://localhost"
        )
    origin = headers[b"origin"].decode("latin-1") if b"origin" in headers else None
    if origin is not None and _place(origin) != host:
        raise Unauthorized(f"a page of {origin[:100]!r} may not use this server; only its own console may")
    if key is not None and not _same(headers.get(b"authorization", b""), key):
        raise Unauthorized("this server asks for its key: send `Authorization: Bearer KEY` (PAYOFF_KEY for the CLI)")


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError as error:
        raise BadInput(f"the Origin header {origin[:100]!r} is no address: {error}") from error


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host.startswith("127.") or host in ("localhost", "::1")


def _name(host: str) -> str:
    """The host without its port; an IPv6 address keeps its brackets."""
    if host.startswith("["):
        name, _, rest = host.partition("]")
        return f"{name}]" if rest[:1] in ("", ":") else host
    return host.partition(":")[0].lower()


def _same(authorization: bytes, key: str) -> bool:
    scheme, _, token = authorization.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), key.encode())
