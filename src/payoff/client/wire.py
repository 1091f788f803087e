"""HTTP to a payoff server: one pool of connections, and errors that come out as the classes they went in as."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from payoff.errors import BadInput, PayoffError, Unavailable

ARROW = "application/vnd.apache.arrow.stream"
CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 600.0  # a deploy converts and checks a model; a query may scan millions of rows

_CLASSES: dict[str, type[PayoffError]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", one.__name__).lower(): one for one in PayoffError.__subclasses__()
}
_BY_STATUS = {400: "bad_input", 401: "unauthorized", 404: "not_found", 409: "conflict", 413: "too_large",
              422: "model_failed", 429: "busy", 503: "unavailable"}  # fmt: skip


class Wire:
    """Speaks to the API at `url`, and to the server's other doors by full address. Safe to share between threads."""

    def __init__(self, url: str, key: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise BadInput(f"{url!r} is not the address of a server; expected something like http://127.0.0.1:8080")
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        # trust_env would send calls to 127.0.0.1 through a proxy and read ~/.netrc
        self._http = httpx.Client(
            headers=headers, trust_env=False, timeout=httpx.Timeout(ANSWER_S_MAX, connect=CONNECT_S_MAX)
        )

    def close(self) -> None:
        """Closes the connections; the next call opens new ones."""
        self._http.close()

    def get(self, *path: str, **query: Any) -> Any:
        """The JSON at a path; pieces are quoted, so a name never becomes a path of its own."""
        params = {name: value for name, value in query.items() if value is not None}
        return self.send("GET", self.at(*path), params=params).json()

    def post(self, *path: str, **options: Any) -> Any:
        """The JSON that answers a POST."""
        return self.send("POST", self.at(*path), **options).json()

    def put(self, *path: str, **options: Any) -> Any:
        """The JSON that answers a PUT."""
        return self.send("PUT", self.at(*path), **options).json()

    def at(self, *path: str) -> str:
        """The address of a path of the API."""
        return "/".join([f"{self.url}/api", *(quote(piece, safe="") for piece in path)])

    def send(self, method: str, url: str, **options: Any) -> httpx.Response:
        """One exchange. Raises what the server said, or Unavailable if nobody did."""
        try:
            reply = self._http.request(method, url, **options)
        except httpx.TimeoutException as error:
            raise Unavailable(f"{_door(url)} did not answer in time; `payoff doctor` says how it is") from error
        except httpx.ConnectError as error:
            raise Unavailable(f"nothing answers at {_door(url)}: start it with `payoff up`") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"the connection to {_door(url)} broke: {error}; try again") from error
        if reply.status_code >= 400:
            raise said(reply.status_code, reply.content)
        return reply


def said(status: int, body: bytes) -> PayoffError:
    """The error that a reply carries, as the class it had on the server."""
    kind, what = _read(body)
    one = _CLASSES.get(kind or _BY_STATUS.get(status, ""), PayoffError)
    return one(what or f"the server answered with status {status} and no reason")


def _read(body: bytes) -> tuple[str | None, str]:
    try:
        content: Any = json.loads(body)
    except ValueError:
        return None, body[:300].decode("utf-8", "replace")
    error = content.get("error") if isinstance(content, Mapping) else None
    if isinstance(error, Mapping):  # the API
        return error.get("kind"), str(error.get("what", ""))
    if isinstance(error, str):  # the inference door
        return content.get("kind"), error
    return None, ""


def _door(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
