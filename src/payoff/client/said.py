"""What a server says went wrong, as the error that it was there."""

import json
import re
from collections.abc import Mapping
from typing import Any

from payoff.errors import PayoffError

_CLASSES: dict[str, type[PayoffError]] = {
    re.sub(r"(?<!^)(?=[A-Z])", "_", one.__name__).lower(): one for one in PayoffError.__subclasses__()
}
_BY_STATUS = {400: "bad_input", 401: "unauthorized", 404: "not_found", 409: "conflict", 413: "too_large",
              422: "model_failed", 429: "busy", 503: "unavailable"}  # fmt: skip


def said(status: int, body: bytes) -> PayoffError:
    """The error that a reply carries, as the class it had on the server."""
    kind, what = _read(body)
    words = what or f"the server answered with status {status} and no reason"
    return error_of(kind or _BY_STATUS.get(status, ""), words)


def error_of(kind: str, what: str) -> PayoffError:
    """The error with these words, as the class that has this name on the wire."""
    return _CLASSES.get(kind, PayoffError)(what)


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
