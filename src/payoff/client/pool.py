"""Connections that stay open between requests, shared by threads: one thread, one connection at a time."""

import json
import select
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from payoff.client.trust import SYSTEM, Trust

CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 600.0  # a deploy converts and checks a model; a query may scan millions of rows
IDLE_MAX = 8  # connections kept per door

Door = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Pool:
    """Idle connections by door. What came half is never used again."""

    def __init__(self, trust: Trust = SYSTEM) -> None:
        self._trust = trust
        self._secure: ssl.SSLContext | None = None
        self._idle: defaultdict[Door, list[HTTPConnection]] = defaultdict(list)
        self._lock = threading.Lock()

    def exchange(
        self, method: str, url: str, body: bytes | Iterable[bytes] | None, headers: Mapping[str, str]
    ) -> Reply:
        """Send one request and read its reply to the end. Raises OSError or HTTPException."""
        parts = urlsplit(url)
        connection = self._take((parts.scheme, parts.netloc))
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sized = dict(headers) | ({"content-length": str(len(body))} if body is not None else {})  # type: ignore[arg-type]
        try:
            reply = _exchange(connection, method, path, body, sized)
        except BaseException:
            connection.close()
            raise
        self._give_back((parts.scheme, parts.netloc), connection)
        return reply

    def converse(
        self, method: str, url: str, chunks: Iterable[bytes], headers: Mapping[str, str], check: Callable[[Reply], Any]
    ) -> Iterator[bytes]:
        """Send chunks, and give the lines of the reply as they come, both at the same time.

        `check` raises for a reply that is an error. What the chunks raise is raised here.
        """
        parts = urlsplit(url)
        connection = self._take((parts.scheme, parts.netloc))
        try:
            connection.putrequest(method, parts.path or "/")
            for name, value in {**headers, "transfer-encoding": "chunked"}.items():
                connection.putheader(name, value)
            connection.endheaders()
            sender = _Sender(connection, chunks)
            sender.start()
            try:
                got = connection.getresponse()
                if got.status >= 400:
                    check(Reply(got.status, {}, got.read()))
                yield from got
            except (OSError, HTTPException):
                if sender.error is None:
                    raise
            sender.join()
            if sender.error is not None:
                raise sender.error
        finally:
            connection.close()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle = [connection for some in self._idle.values() for connection in some]
            self._idle.clear()
        for connection in idle:
            connection.close()

    def _take(self, door: Door) -> HTTPConnection:
        with self._lock:
            while self._idle[door]:
                connection = self._idle[door].pop()
                if not _is_closed(connection):
                    return connection
                connection.close()
        return self._connect(door)

    def _connect(self, door: Door) -> HTTPConnection:
        if door[0] == "https":
            self._secure = self._secure or self._trust.context()
            made: HTTPConnection = HTTPSConnection(door[1], timeout=CONNECT_S_MAX, context=self._secure)
        else:
            made = HTTPConnection(door[1], timeout=CONNECT_S_MAX)
        made.connect()
        made.sock.settimeout(ANSWER_S_MAX)
        return made

    def _give_back(self, door: Door, connection: HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle[door]) < IDLE_MAX:
                self._idle[door].append(connection)
                return
        connection.close()


class _Sender(threading.Thread):
    """Writes the chunks of a request while its reply is read. Ends with the connection."""

    def __init__(self, connection: HTTPConnection, chunks: Iterable[bytes]) -> None:
        super().__init__(name="payoff-stream", daemon=True)
        self._connection, self._chunks = connection, chunks
        self.error: Exception | None = None

    def run(self) -> None:
        """Send all there is."""
        try:
            for chunk in self._chunks:
                if not self._send(b"%x\r\n%b\r\n" % (len(chunk), chunk)):
                    return
        except Exception as error:
            self.error = error
            self._shut()
            return
        self._send(b"0\r\n\r\n")

    def _send(self, data: bytes) -> bool:
        """False where the server has ended it: its reply says why."""
        with suppress(OSError):
            if (line := self._connection.sock) is not None:
                line.sendall(data)
                return True
        return False

    def _shut(self) -> None:
        """The rows ended with an error: the server must not take what was sent for all of them."""
        with suppress(OSError):
            if (line := self._connection.sock) is not None:
                line.shutdown(socket.SHUT_RDWR)


def _is_closed(connection: HTTPConnection) -> bool:
    """An idle connection that has something to read has been ended by the server."""
    return connection.sock is None or bool(select.select([connection.sock], [], [], 0)[0])


def _exchange(connection: HTTPConnection, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Reply:
    with suppress(BrokenPipeError, ConnectionResetError):  # it refused before it had read all: its reply says why
        connection.request(method, path, body, headers)
    got = connection.getresponse()
    return Reply(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
