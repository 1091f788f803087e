"""The client's side of HTTP: requests to a payoff server.

Over the standard library: a command of the CLI takes a tenth of a second, most of it importing.
"""

import json
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from payoff.client.flight import Flights
from payoff.client.form import Form
from payoff.client.key import sound
from payoff.client.pool import Pool, Reply
from payoff.client.said import said
from payoff.client.trust import SYSTEM, Trust
from payoff.errors import BadInput, Unavailable

ARROW = "application/vnd.apache.arrow.stream"
NDJSON = "application/x-ndjson"
FULL = (429, 503)  # statuses of a server that has no room now
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Body:
    """What a request carries: bytes, or a form that is read while it is sent."""

    content: bytes | Form
    content_type: str

    @staticmethod
    def of(value: Any) -> "Body":
        """A value as JSON."""
        return Body(json.dumps(value).encode(), "application/json")


class Wire:
    """Speaks to the API at `url`, and to the server's other doors by full address. Safe to share between threads."""

    def __init__(self, url: str, key: str | None, trust: Trust = SYSTEM) -> None:
        if not _is_address(url):
            raise BadInput(f"{url!r} is not the address of a server; expected something like http://127.0.0.1:8080")
        self.url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if sound(key) else {}
        self._key, self._trust = key, trust
        self._pool = Pool(trust)
        self._flights: dict[str, Flights] = {}

    def close(self) -> None:
        """Closes the connections; the next call opens new ones."""
        self._pool.close()
        for flights in self._flights.values():
            flights.close()

    def flights(self, url: str) -> Flights:
        """The connections to an Arrow Flight door."""
        if url not in self._flights:
            self._flights[url] = Flights(url, self._key, self._trust)
        return self._flights[url]

    def get(self, *path: str, **query: Any) -> Any:
        """The JSON at a path; pieces are quoted, so a name never becomes a path of its own."""
        return self.send("GET", self.at(*path, **query)).json()

    def page(self, *path: str) -> str:
        """The HTML at a path."""
        return self.send("GET", self.at(*path), accept="text/html").body.decode()

    def post(self, *path: str, body: Body, **query: Any) -> Any:
        """The JSON that answers a POST."""
        return self.send("POST", self.at(*path, **query), body).json()

    def put(self, *path: str, body: Body, **query: Any) -> Any:
        """The JSON that answers a PUT."""
        return self.send("PUT", self.at(*path, **query), body).json()

    def at(self, *path: str, **query: Any) -> str:
        """The address of a path of the API; what is None in the query is left out."""
        asked = urlencode({name: value for name, value in query.items() if value is not None})
        return "/".join([f"{self.url}/api", *(quote(piece, safe="") for piece in path)]) + (
            f"?{asked}" if asked else ""
        )

    def send(self, method: str, url: str, body: Body | None = None, accept: str = "application/json") -> Reply:
        """One exchange. Raises what the server said, or Unavailable if nobody did."""
        return _sound(self._exchange(method, url, body, accept))

    def ask(self, url: str, body: Body, accept: str, patience_s: float = PATIENCE_S) -> Reply:
        """A POST that is sent again for a while where the server has no room for it (429, 503): nothing was done."""
        until = time.monotonic() + patience_s
        tried = 0
        while True:
            reply = self._exchange("POST", url, body, accept)
            wait_s = pause_s(reply, tried)
            if reply.status not in FULL or time.monotonic() + wait_s > until:
                return _sound(reply)
            time.sleep(wait_s)
            tried += 1

    def converse(self, url: str, chunks: Iterable[bytes], content_type: str, accept: str) -> Iterator[bytes]:
        """A POST whose answer is read while it is still being sent: the lines of the answer as they come."""
        headers = {"accept": accept, "content-type": content_type, **self._headers}
        amiss: list[Exception] = []
        try:
            with _named(url):
                yield from self._pool.converse("POST", url, _heard(chunks, amiss), headers, _sound)
        except Unavailable:
            if amiss:  # it was the rows that failed, and not the connection
                raise amiss[0] from None
            raise

    def _exchange(self, method: str, url: str, body: Body | None, accept: str) -> Reply:
        headers = {"accept": accept, **self._headers} | ({"content-type": body.content_type} if body else {})
        with _named(url):
            return self._pool.exchange(method, url, body.content if body else None, headers)


def pause_s(reply: Reply, tried: int) -> float:
    """How long to wait before the next try: what the server says, else longer each time; never all at the same time."""
    hint = reply.headers.get("retry-after", "")
    longest = min(float(hint), PATIENCE_S) if hint.isdigit() else min(5.0, 0.1 * 2.0**tried)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _heard(chunks: Iterable[bytes], amiss: list[Exception]) -> Iterator[bytes]:
    """The chunks; what they raise is noted on its way out."""
    try:
        yield from chunks
    except Exception as error:
        amiss.append(error)
        raise


def _sound(reply: Reply) -> Reply:
    if reply.status >= 400:
        raise said(reply.status, reply.body)
    return reply


@contextmanager
def _named(url: str) -> Iterator[None]:
    """What goes wrong on the way, in words."""
    door = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(f"{door} did not answer in time; `payoff doctor` says how it is") from error
    except ConnectionRefusedError as error:
        raise Unavailable(f"nothing answers at {door}: start it with `payoff up`") from error
    except SSLCertVerificationError as error:
        words = f"{door} is not believed: {error.verify_message}; name the file of who signed it in PAYOFF_CA"
        raise Unavailable(words) from error
    except (OSError, HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(f"no connection to {door}: {reason}; `payoff up` starts a server") from error


def _is_address(url: str) -> bool:
    """Whether a request can go there: a scheme, a host, a port if any, and a path of plain characters."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number up to 65,535
        host = (parts.hostname or "").encode("idna")
    except ValueError:  # http://[::1, http://a..b
        return False
    return parts.scheme in ("http", "https") and bool(host) and parts.path.isascii() and url.isprintable()
