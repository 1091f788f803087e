"""The inference door's paths: `/predict/ENDPOINT` for rows, `/v2/...` for the Open Inference Protocol.

Parse, ask the desk once, reply. What goes wrong becomes a status and a sentence; nothing a caller sends ends a worker.
"""

import logging
import re
import secrets
from collections.abc import Callable
from typing import Any

import orjson

from payoff.codecs import formats
from payoff.codecs.codec import Codec
from payoff.doors import admit, kind, status
from payoff.errors import BadInput, NotFound, PayoffError
from payoff.gateway import rows, tensors
from payoff.gateway.http import Connection, Head, Reply, Request, refusal
from payoff.gateway.stream import streams
from payoff.gateway.streamed import Streamed
from payoff.gateway.tensors import Tensors
from payoff.serving import Desk, Live
from payoff.version import VERSION

Way = Callable[[Request], None]
log = logging.getLogger("payoff.gateway")

_PREDICT = "/predict/"
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(infer|ready))?/?")
_DIGITS_MAX = 12
_HINT = "POST rows to /predict/ENDPOINT, or use /v2/models/ENDPOINT/infer"


class Routes:
    """From a request to a reply, by way of the desk.

    Where a request leads follows from its head alone. It is found once, and kept with the head (`Head.way`).
    """

    def __init__(self, desk: Desk, key: str | None, hosts: frozenset[str] | None) -> None:
        self._desk = desk
        self._key = key
        self._hosts = hosts

    def answer(self, request: Request) -> None:
        """See that one request hears its answer, now or when the desk has it."""
        try:
            way: Way | None = request.head.way
            if way is None:
                admit(request.headers, self._key, self._hosts)
                way = request.head.way = self._way(request.head)
            way(request)
        except Exception as error:
            request.hear(error)

    def stream(self, connection: Connection, head: Head, chunked: bool) -> Streamed | None:
        """A request whose rows are answered while it is sent; None for others, and for what is refused when whole."""
        name = head.path[len(_PREDICT) :].rstrip("/")
        if not head.path.startswith(_PREDICT) or head.method != b"POST":
            return None
        try:
            admit(head.headers, self._key, self._hosts)
            _require_plain(head)
            codec, answer_codec = _codecs(head)
        except PayoffError:
            return None
        if not streams(codec, answer_codec, b"transfer-encoding" in head.headers):
            return None
        return Streamed(connection, head, chunked).open(self._desk, lambda: self._desk.find(name), codec, answer_codec)

    def _way(self, head: Head) -> "Way":
        """Where a head leads."""
        path = head.path
        if path.startswith(_PREDICT):
            return self._to_rows(path[len(_PREDICT) :].rstrip("/"), head)
        found = _MODEL.fullmatch(path)
        if found:
            return self._to_model(found, head)
        _expect(head, b"GET", b"HEAD")
        return lambda request: request.hear(self._about(path.rstrip("/")))

    # -- rows

    def _to_rows(self, name: str, head: Head) -> "Way":
        _expect(head, b"POST")
        _require_plain(head)
        codec, answer_codec = _codecs(head)
        desk = self._desk

        def ask(request: Request) -> None:
            live = desk.find(name)
            form = rows.form(live, codec, answer_codec)
            asked = form.ask(request.body)
            desk.take(live, form, asked, asked.rows, request)

        return ask

    # -- Open Inference Protocol

    def _to_model(self, found: re.Match[str], head: Head) -> "Way":
        name, version, action = found.groups()
        if action == "infer":
            return self._to_infer(name, version, head)
        _expect(head, b"GET", b"HEAD")

        def tell(request: Request) -> None:
            live = self._find(name, version)
            request.hear(_json({"ready": True, "name": name}) if action == "ready" else tensors.metadata(live))

        return tell

    def _to_infer(self, name: str, version: str | None, head: Head) -> "Way":
        _expect(head, b"POST")
        _require_plain(head)
        header_length = _length(head)
        desk = self._desk

        def ask(request: Request) -> None:
            live = desk.lives.get(name) if version is None else None
            if live is None:
                live = self._find(name, version)
            form = Tensors.of(live)
            asked = form.ask(request.body, header_length)
            desk.take(live, form, asked, asked.rows, request)

        return ask

    def _find(self, name: str, version: str | None) -> Live:
        live = self._desk.find(name)
        if version is not None and version != str(live.revision.number):
            raise NotFound(
                f"{name} answers as revision {live.revision.number}; leave /versions/{version[:20]} out of the path: "
                "on payoff the endpoint chooses the model version"
            )
        return live

    # -- about the server

    def _about(self, path: str) -> Reply:
        if path == "/v2/health/live":
            return _json({"live": True})
        if path == "/v2/health/ready":
            return _json({"ready": True})
        if path == "/v2":
            return _json({"name": "payoff", "version": VERSION, "extensions": ["binary_tensor_data"]})
        if path in ("", "/v2/models"):
            return _json({"payoff": VERSION, "endpoints": self._desk.names(), "how": _HINT})
        raise NotFound(f"there is no {path[:200]!r} on this door; {_HINT}")


class MethodRefused(BadInput):
    """The path is right and the method is not."""


def explain(error: Exception, request: Any) -> Reply:
    """An error as a reply. Ours are made for the caller; a fault gets a number that stands in the log too."""
    if isinstance(error, MethodRefused):
        return refusal(405, error.args[0], "bad_input", b"allow: %b\r\n" % error.args[1])
    if isinstance(error, PayoffError):
        code = status(error)
        headers = {401: b'www-authenticate: Bearer realm="payoff"\r\n', 429: b"retry-after: 1\r\n"}.get(code, b"")
        return refusal(code, str(error), kind(error), headers)
    incident = secrets.token_hex(4)
    log.error("incident %s on %r", incident, request.path[:200], exc_info=error)
    return refusal(500, f"payoff failed here; look for incident {incident} in its log and report it", "internal")


def _expect(head: Head, *methods: bytes) -> None:
    if head.method not in methods:
        allowed = b", ".join(methods)
        raise MethodRefused(f"{head.method.decode()} is not possible here; use {allowed.decode()}: {_HINT}", allowed)


def _codecs(head: Head) -> tuple[Codec, Codec]:
    """The format of the rows, and that of the answers."""
    codec = formats.by_content_type(_text(head, b"content-type", "application/json"))
    return codec, formats.negotiate(_text(head, b"accept", "*/*"), codec)


def _text(head: Head, header: bytes, default: str) -> str:
    value = head.headers.get(header)
    return default if value is None else value.decode("latin-1")


def _length(head: Head) -> int | None:
    value = head.headers.get(b"inference-header-content-length")
    if value is None:
        return None
    if not value.isdigit() or len(value) > _DIGITS_MAX:
        said = value[:40].decode("latin-1")
        raise BadInput(f"Inference-Header-Content-Length is {said!r}; it must be a number of bytes")
    return int(value)


def _require_plain(head: Head) -> None:
    """Compressed bodies are named, not mistaken for broken ones."""
    encoding = head.headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"", b"identity"):
        said = encoding[:40].decode("latin-1")
        raise BadInput(f"Content-Encoding {said!r} is not read here; send the body as it is, not compressed")


def _json(content: dict[str, Any]) -> Reply:
    return Reply(orjson.dumps(content))
