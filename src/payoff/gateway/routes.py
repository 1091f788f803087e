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
from payoff.doors import admit, kind, status
from payoff.errors import BadInput, NotFound, PayoffError
from payoff.gateway import table, tensors
from payoff.gateway.http import Reply, Request, refusal
from payoff.records import Column, length
from payoff.serving import Answered, Desk, Live
from payoff.version import VERSION

Send = Callable[[Reply], None]
log = logging.getLogger("payoff.gateway")

_PREDICT = "/predict/"
_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(?:/(infer|ready))?/?")
_DIGITS_MAX = 12
ROWS_MAX = 100_000  # of one call: more would keep the other callers of the worker waiting
_HINT = "POST rows to /predict/ENDPOINT, or use /v2/models/ENDPOINT/infer"


class Routes:
    """From a request to a reply, by way of the desk."""

    def __init__(self, desk: Desk, key: str | None, hosts: frozenset[str] | None) -> None:
        self._desk = desk
        self._key = key
        self._hosts = hosts
        self._open = key is None and hosts is None

    def answer(self, request: Request, send: Send) -> None:
        """Reply to one request, now or when the desk has its answer."""
        try:
            if not self._open:
                admit(request.headers, self._key, self._hosts)
            self._route(request, send)
        except Exception as error:
            send(explain(error, request.path))

    def _route(self, request: Request, send: Send) -> None:
        path = request.path
        if path.startswith(_PREDICT):
            _expect(request, b"POST")
            self._predict(self._desk.find(path[len(_PREDICT) :].rstrip("/")), request, send)
            return
        found = _MODEL.fullmatch(path)
        if found:
            self._model(found, request, send)
            return
        _expect(request, b"GET", b"HEAD")
        send(self._about(path.rstrip("/")))

    # -- rows

    def _predict(self, live: Live, request: Request, send: Send) -> None:
        _require_plain(request)
        codec = formats.by_content_type(_text(request, b"content-type", "application/json"))
        answer_codec = formats.negotiate(_text(request, b"accept", "*/*"), codec)
        rows = codec.decoder(live.inputs, rows_max=ROWS_MAX)(request.body)
        how = table.listing(request.body, length(rows))

        def encode(answered: Answered) -> Reply:
            return Reply(answer_codec.encode(table.flat(answered, how)), answer_codec.content_type.encode())

        self._ask(live, rows, encode, request, send)

    # -- Open Inference Protocol

    def _model(self, found: re.Match[str], request: Request, send: Send) -> None:
        name, version, action = found.groups()
        live = self._desk.find(name)
        if version is not None and version != str(live.revision.number):
            raise NotFound(
                f"{name} answers as revision {live.revision.number}; leave /versions/{version[:20]} out of the path: "
                "on payoff the endpoint chooses the model version"
            )
        if action == "infer":
            _expect(request, b"POST")
            self._infer(live, request, send)
            return
        _expect(request, b"GET", b"HEAD")
        send(_json({"ready": True, "name": name}) if action == "ready" else tensors.metadata(live))

    def _infer(self, live: Live, request: Request, send: Send) -> None:
        _require_plain(request)
        asked = tensors.decode(live, request.body, _length(request), ROWS_MAX)
        self._ask(live, asked.columns, lambda answered: tensors.reply(answered, asked), request, send)

    def _ask(
        self, live: Live, rows: dict[str, Column], encode: Callable[[Answered], Reply], request: Request, send: Send
    ) -> None:
        def done(result: Answered | Exception) -> None:
            try:
                if isinstance(result, Exception):
                    raise result
                reply = encode(result)
            except Exception as error:
                reply = explain(error, request.path)
            send(reply)

        self._desk.submit(live, rows, done)

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


def explain(error: Exception, path: str) -> Reply:
    """An error as a reply. Ours are made for the caller; a fault gets a number that stands in the log too."""
    if isinstance(error, MethodRefused):
        return refusal(405, error.args[0], "bad_input", b"allow: %b\r\n" % error.args[1])
    if isinstance(error, PayoffError):
        code = status(error)
        headers = {401: b'www-authenticate: Bearer realm="payoff"\r\n', 429: b"retry-after: 1\r\n"}.get(code, b"")
        return refusal(code, str(error), kind(error), headers)
    incident = secrets.token_hex(4)
    log.error("incident %s on %r", incident, path[:200], exc_info=error)
    return refusal(500, f"payoff failed here; look for incident {incident} in its log and report it", "internal")


def _expect(request: Request, *methods: bytes) -> None:
    if request.method not in methods:
        allowed = b", ".join(methods)
        raise MethodRefused(f"{request.method.decode()} is not possible here; use {allowed.decode()}: {_HINT}", allowed)


def _text(request: Request, header: bytes, default: str) -> str:
    value = request.headers.get(header)
    return default if value is None else value.decode("latin-1")


def _length(request: Request) -> int | None:
    value = request.headers.get(b"inference-header-content-length")
    if value is None:
        return None
    if not value.isdigit() or len(value) > _DIGITS_MAX:
        said = value[:40].decode("latin-1")
        raise BadInput(f"Inference-Header-Content-Length is {said!r}; it must be a number of bytes")
    return int(value)


def _require_plain(request: Request) -> None:
    """Compressed bodies are named, not mistaken for broken ones."""
    encoding = request.headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"", b"identity"):
        said = encoding[:40].decode("latin-1")
        raise BadInput(f"Content-Encoding {said!r} is not read here; send the body as it is, not compressed")


def _json(content: dict[str, Any]) -> Reply:
    return Reply(orjson.dumps(content))
