"""Errors become HTTP replies here and nowhere else: one table, and one shape `{"error": {"kind", "what"}}`."""

import logging
import re
import secrets
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from payoff.errors import (
    BadInput,
    Busy,
    Conflict,
    ModelFailed,
    NotFound,
    PayoffError,
    TooLarge,
    Unauthorized,
    Unavailable,
)

STATUS: dict[type[PayoffError], int] = {
    BadInput: 400,
    Unauthorized: 401,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    ModelFailed: 422,
    Busy: 429,
    Unavailable: 503,
}
_KINDS = {400: "bad_input", 401: "unauthorized", 404: "not_found", 405: "bad_input", 413: "too_large"}

log = logging.getLogger("payoff.api")


def kind(error: PayoffError) -> str:
    """The error's class as a word for machines: BadInput is "bad_input"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()


def body(kind: str, what: str) -> dict[str, Any]:
    """The one shape that every refusal and failure has."""
    return {"error": {"kind": kind, "what": what}}


def status(error: PayoffError) -> int:
    """The HTTP status of an error, by its class or the nearest class above it."""
    return next((STATUS[c] for c in type(error).__mro__ if c in STATUS), 500)


def refuse(_: Request[Any, Any, Any], error: PayoffError) -> Response[dict[str, Any]]:
    """A reply for an error that payoff raised on purpose: its text is made for the caller."""
    return _reply(status(error), body(kind(error), str(error)))


def refuse_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """A reply for what the framework refused: no such path, wrong method, a body that does not fit."""
    code = error.status_code
    if code >= 500:
        return fail(request, error)
    if code == 404:
        what = f"there is no {request.url.path[:200]!r} here; /api/docs lists every path"
    elif code == 405:
        what = f"{request.method} is not possible on {request.url.path[:200]!r}; /api/docs lists what is"
    elif code == 413:
        what = "the body is larger than this path takes; send it in smaller parts"
    else:
        what = _detail(error)
    return _reply(code, body(_KINDS.get(code, "bad_input"), what))


def fail(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """A reply for a fault of ours: an incident number for the caller, the stack trace for the log."""
    incident = secrets.token_hex(4)
    log.error("incident %s: %s %r", incident, request.method, request.url.path[:200], exc_info=error)
    return _reply(500, body("internal", f"payoff failed here; look for incident {incident} in its log and report it"))


def _detail(error: HTTPException) -> str:
    """The framework's words, with the names of the parameters that did not fit."""
    extra = error.extra if isinstance(error.extra, list) else []
    parts = [f"{e.get('key', 'body')}: {e.get('message', '')}" for e in extra if isinstance(e, dict)]
    return "; ".join(parts)[:1000] or error.detail[:1000]


def _reply(code: int, content: dict[str, Any]) -> Response[dict[str, Any]]:
    return Response(content, status_code=code, media_type=MediaType.JSON)
