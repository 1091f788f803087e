"""What time it is, in units that journals and ledgers share: whole microseconds since 1970, UTC."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]


def now_us() -> int:
    """Microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1000


def moment(at_us: int) -> datetime:
    """The same instant as an aware datetime."""
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)


def iso(at_us: int) -> str:
    """The same instant as ISO 8601 text with microseconds and a trailing Z."""
    return moment(at_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
