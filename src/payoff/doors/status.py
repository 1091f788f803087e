"""Errors become HTTP statuses here and nowhere else: one table for every door."""

import re

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

STATUS: dict[type[PayoffError], int] = {
    BadInput: 400,
    Unauthorized: 401,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    ModelFailed: 422,
    Busy: 429,
    Abandoned: 499,
    Unavailable: 503,
    DeadlineExceeded: 504,
}


def status(error: PayoffError) -> int:
    """The HTTP status of an error, by its class or the nearest class above it."""
    return next((STATUS[c] for c in type(error).__mro__ if c in STATUS), 500)


def kind(error: PayoffError) -> str:
    """The error's class as a word for machines: BadInput is "bad_input"."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower()
