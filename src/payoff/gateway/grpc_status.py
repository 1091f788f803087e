"""How a gRPC call ends: statuses, and errors in their words. One table for every gRPC door.

https://grpc.github.io/grpc/core/md_doc_statuscodes.html
"""

import logging
import secrets
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import quote

from payoff.errors import (
    Abandoned,
    BadInput,
    Busy,
    Conflict,
    DeadlineExceeded,
    ModelFailed,
    NotFound,
    PayoffError,
    TooLarge,
    Unauthorized,
    Unavailable,
)

log = logging.getLogger("payoff.gateway")
WORDS_MAX = 800  # of a message: a client takes some kilobytes of headers, and a letter may take nine bytes


class Code(IntEnum):
    """gRPC status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    FAILED_PRECONDITION = 9
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class Unimplemented(PayoffError):
    """There is no such method, or not here; the text says what there is."""


CODES: dict[type[PayoffError], Code] = {
    Abandoned: Code.CANCELLED,
    DeadlineExceeded: Code.DEADLINE_EXCEEDED,
    BadInput: Code.INVALID_ARGUMENT,
    Unauthorized: Code.UNAUTHENTICATED,
    NotFound: Code.NOT_FOUND,
    Conflict: Code.FAILED_PRECONDITION,
    TooLarge: Code.RESOURCE_EXHAUSTED,
    ModelFailed: Code.INTERNAL,
    Busy: Code.RESOURCE_EXHAUSTED,
    Unavailable: Code.UNAVAILABLE,
    Unimplemented: Code.UNIMPLEMENTED,
}
RETRY_S = 0.1  # where a queue does not know better


@dataclass(frozen=True, slots=True)
class Status:
    """How a call ended: `words` are for people, `hints` more metadata for programs."""

    code: Code
    words: str
    hints: tuple[tuple[str, str], ...] = ()


DONE = Status(Code.OK, "")


def explain(error: Exception, method: str) -> Status:
    """An error as a status. Ours are made for the caller; a fault gets a number that stands in the log too."""
    if isinstance(error, PayoffError):
        known = next((kind for kind in type(error).__mro__ if kind in CODES), None)
        if known is not None:
            return Status(CODES[known], str(error), _hints(error))
    incident = secrets.token_hex(4)
    log.error("incident %s on %r", incident, method[:200], exc_info=error)
    return Status(Code.INTERNAL, f"payoff failed here; look for incident {incident} in its log and report it")


def _hints(error: PayoffError) -> tuple[tuple[str, str], ...]:
    """When a client should try again, as gRPC's retries have it; never what is too large."""
    if isinstance(error, Busy):
        return (("grpc-retry-pushback-ms", str(round(1_000 * (error.retry_after_s or RETRY_S)))),)
    return (("grpc-retry-pushback-ms", "-1"),) if isinstance(error, TooLarge) else ()


def percent(words: str) -> str:
    """Words as grpc-message carries them: printable ASCII as it is, the rest of its UTF-8 as %XX."""
    return quote(words[:WORDS_MAX].encode("utf-8", "replace"), safe=_PRINTABLE)


_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
