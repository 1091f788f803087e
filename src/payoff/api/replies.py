"""How the API says no: one shape `{"error": {"kind", "what"}}`, with the statuses that every door shares."""

import logging
import secrets
from typing import Any

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from payoff.doors import kind, status
from payoff.errors import PayoffError

_KINDS = {401: "unauthorized", 404: "not_found", 413: "too_large"}

log = logging.getLogger("payoff.api")
Said = Response[dict[str, Any]]


def error_body(error: PayoffError) -> dict[str, Any]:
    """An error in the one shape that every refusal and failure has."""
    return _shape(kind(error), str(error))


def refuse(_: Request[Any, Any, Any], error: PayoffError) -> Said:
    """A reply for an error that payoff raised on purpose: its text is made for the caller."""
    headers = {"retry-after": "1"} if status(error) == 429 else None
    return _reply(status(error), error_body(error), headers)


def refuse_http(request: Request[Any, Any, Any], error: HTTPException) -> Said:
    """A reply for what the framework refused: no such path, wrong method, a body that does not fit."""
    code, path = error.status_code, request.url.path[:200]
    if code >= 500:
        return fail(request, error)
    if code == 404:
        what = f"there is no {path!r} here; /api/docs lists every path"
    elif code == 405:
        what = f"{request.method} is not possible on {path!r}; /api/docs lists what is"
    elif code == 413:
        what = f"the body is larger than the {_limit(request)} that {path!r} takes; send it in smaller parts"
    else:
        what = _detail(error)
    return _reply(code, _shape(_KINDS.get(code, "bad_input"), what))


def refuse_depth(_: Request[Any, Any, Any], error: RecursionError) -> Said:
    """A reply for JSON that is nested without end: the caller's doing, not a fault."""
    return _reply(400, _shape("bad_input", f"the body is nested too deeply: {error}"))


def fail(request: Request[Any, Any, Any], error: Exception) -> Said:
    """A reply for a fault of ours: an incident number for the caller, the stack trace for the log."""
    incident = secrets.token_hex(4)
    log.error("incident %s: %s %r", incident, request.method, request.url.path[:200], exc_info=error)
    return _reply(500, _shape("internal", f"payoff failed here; look for incident {incident} in its log and report it"))


def _limit(request: Request[Any, Any, Any]) -> str:
    limit = request.route_handler.resolve_request_max_body_size() or 0
    return f"{limit / (1 << 20):.4g} MiB"


def _detail(error: HTTPException) -> str:
    """The framework's words, with the names of the parameters that did not fit."""
    extra = error.extra if isinstance(error.extra, list) else []
    parts = [f"{e.get('key', 'body')}: {e.get('message', '')}" for e in extra if isinstance(e, dict)]
    return "; ".join(parts)[:1000] or error.detail[:1000]


def _shape(kind: str, what: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "what": what.encode("utf-8", "replace").decode()}}  # strangers' words, too


def _reply(code: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> Said:
    return Response(content, status_code=code, media_type=MediaType.JSON, headers=headers)
