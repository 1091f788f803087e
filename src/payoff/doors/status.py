"""Errors become HTTP statuses here and nowhere else: one table for every door."""

from payoff.errors import (
    Abandoned,
    BadInput,
    Busy,
    Conflict,
    DeadlineExceeded,
    ModelFailed,
    NotFound,
    NotRead,
    NotWritten,
    PayoffError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from payoff.records.counts import WHY

STATUS: dict[type[PayoffError], int] = {
    BadInput: 400,
    Unauthorized: 401,
    NotFound: 404,
    NotWritten: 406,
    Conflict: 409,
    TooLarge: 413,
    NotRead: 415,
    ModelFailed: 422,
    Busy: 429,
    Abandoned: 499,
    Unavailable: 503,
    DeadlineExceeded: 504,
}


def status(error: PayoffError) -> int:
    """The HTTP status of an error, by its class or the nearest class above it."""
    return next((STATUS[c] for c in type(error).__mro__ if c in STATUS), 500)


def kind(error: Exception) -> str:
    """What kind of error it is, as a word for machines: that under which it is counted, too."""
    return next(WHY[c] for c in type(error).__mro__ if c in WHY)
