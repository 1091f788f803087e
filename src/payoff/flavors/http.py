"""A small HTTP/1.1 client for one server, inside a worker's event loop: kept connections, hard limits, nothing else.

It follows no redirects and takes no cookies, proxies or compression. Why not one of the known clients: decision 14.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httptools

from payoff.errors import BadInput

IDLE_S_MAX = 30.0  # servers close an idle connection after some time; ours go first


class Broken(Exception):
    """The server could not be reached, or what it said is no answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is; `path` stands before every path that is asked for."""

    host: str
    port: int
    secure: bool = False
    path: str = ""

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


def address(url: str) -> Address:
    """The address a URL means; BadInput for what is none, or carries a password."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise BadInput(f"{url[:80]!r} is no address: {error}; write http://HOST:PORT") from error
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\x00-\x20\x7f-\U0010ffff]", url):
        raise BadInput(f"{url[:80]!r} is no address; write http://HOST:PORT or https://HOST")
    if parts.username is not None or parts.query or parts.fragment:
        raise BadInput(
            "an address holds no user, password, question mark or '#'; a password goes into headers: "
            '{Authorization: "env:NAME"}'
        )
    secure = parts.scheme == "https"
    return Address(host, port or (443 if secure else 80), secure, parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Limits:
    """What asking may cost."""

    call_s_max: float = 2.0
    reply_bytes_max: int = 64 << 20
    head_bytes_max: int = 64 << 10
    connections_max: int = 8


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said; header names are lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Client:
    """Asks one server. Belongs to one event loop."""

    def __init__(self, where: Address, headers: Mapping[str, str], limits: Limits = Limits()) -> None:
        self._where = where
        self._limits = limits
        lines = {"host": where.authority, "accept": "*/*", **headers}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode("latin-1")
        self._idle: deque[_Connection] = deque()
        self._free = asyncio.Semaphore(limits.connections_max)
        self._tls = ssl.create_default_context() if where.secure else None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, method: str, path: str, body: bytes = b"", headers: bytes = b"") -> Reply:
        """The server's reply; Broken if there is none in time. `headers` are ready lines."""
        self._loop = asyncio.get_running_loop()
        head = f"{method} {self._where.path}{path} HTTP/1.1\r\ncontent-length: {len(body)}\r\n".encode("ascii")
        message = b"".join([head, self._head, headers, b"\r\n", body])
        try:
            async with asyncio.timeout(self._limits.call_s_max), self._free:
                return await self._send(message)
        except TimeoutError as error:
            raise Broken(f"it did not answer within {self._limits.call_s_max:g} s") from error
        except OSError as error:  # refused, reset, no such host, a certificate that is not valid
            raise Broken(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """End every kept connection; from any thread."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if asyncio._get_running_loop() is loop:
            self._end()
        else:
            loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        while self._idle:
            self._idle.pop().close()

    async def _send(self, message: bytes) -> Reply:
        kept = self._kept()
        if kept is not None:
            try:
                return await self._over(kept, message)
            except _Stale:
                pass  # the server had closed it meanwhile and read nothing of this
        return await self._over(await self._connect(), message)

    async def _over(self, connection: "_Connection", message: bytes) -> Reply:
        try:
            reply = await connection.ask(message)
        except BaseException:
            connection.close()
            raise
        if connection.may_stay and len(self._idle) < self._limits.connections_max:
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _kept(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.fresh:
                return connection
            connection.close()
        return None

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        where = self._where
        _, connection = await loop.create_connection(
            lambda: _Connection(self._limits), where.host, where.port, ssl=self._tls
        )
        return connection


class _Stale(Broken):
    """A kept connection ended before it said anything to the new request."""


class _Connection(asyncio.Protocol):
    """One connection: one request at a time, its reply parsed as it comes."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Future[Reply] | None = None
        self._answered = 0
        self._last_s = self._loop.time()
        self._open = True
        self.may_stay = False

    @property
    def fresh(self) -> bool:
        """Whether it is worth trying again."""
        return self._open and self._loop.time() - self._last_s < IDLE_S_MAX

    def ask(self, message: bytes) -> "asyncio.Future[Reply]":
        """Send a request; its reply will come."""
        self._waiting = self._loop.create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._begun = self._headed = False
        if not self._open:
            self._fail(_Stale("the connection was closed"))
        else:
            self._transport.write(message)
        return self._waiting

    def close(self) -> None:
        """End it."""
        self._open = False
        self._transport.close()

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._begun = True
        if self._waiting is None or self._waiting.done():
            self.close()  # it speaks unasked
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            cause = error.__context__ if isinstance(error.__context__, Broken) else error
            self._fail(cause if isinstance(cause, Broken) else Broken(f"what it says is no HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False
        if self._waiting is None or self._waiting.done():
            return
        if self._headed and not self._sized:  # a body that ends with the connection
            self.on_message_complete()
        elif self._answered and not self._begun:
            self._fail(_Stale("the connection was closed"))
        else:
            self._fail(Broken("it closed the connection before its answer was whole"))

    # -- the parser's side

    def on_message_begin(self) -> None:
        if self._waiting is None or self._waiting.done():
            self.close()  # a second answer to one question: what follows could be taken for the next one's
        self._headers: dict[bytes, bytes] = {}
        self._chunks: list[bytes] = []
        self._head_size = self._size = 0
        self._sized = self._headed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_size += len(name) + len(value)
        if self._head_size > self._limits.head_bytes_max:
            raise Broken(f"the head of its answer is larger than {self._limits.head_bytes_max:,} bytes")
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._sized = b"content-length" in self._headers or b"transfer-encoding" in self._headers
        self._headed = self._parser.get_status_code() >= 200

    def on_body(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limits.reply_bytes_max:
            raise Broken(f"its answer is larger than {self._limits.reply_bytes_max:,} bytes")
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        if not self._headed or self._waiting is None or self._waiting.done():
            return  # 100 Continue and its like
        self._answered += 1
        self._last_s = self._loop.time()
        self.may_stay = self._open and self._sized and bool(self._parser.should_keep_alive())
        self._waiting.set_result(Reply(self._parser.get_status_code(), self._headers, b"".join(self._chunks)))

    def _fail(self, error: Broken) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self.close()
