"""Hours, days and months (UTC), and the books added up by them."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from payoff.clock import moment
from payoff.ledger.bill import HOUR_US, Cost, Entry, Payer, Use


class By(StrEnum):
    """How long a period is; every hour lies in one of each."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Period(NamedTuple):
    """From its beginning to before its end, in microseconds since 1970."""

    since_us: int
    until_us: int


class Part(NamedTuple):
    """What a payer used of a machine and bears in a period, or in all of the books."""

    period: Period
    machine: str
    payer: Payer
    use: Use
    cost: Cost


@lru_cache(4096)
def period(at_us: int, by: By) -> Period:
    """The one that this moment lies in."""
    if by is By.HOUR:
        since_us = at_us // HOUR_US * HOUR_US
        return Period(since_us, since_us + HOUR_US)
    at = moment(at_us)
    since = datetime(at.year, at.month, at.day if by is By.DAY else 1, tzinfo=UTC)
    until = since + timedelta(days=1) if by is By.DAY else (since + timedelta(days=32)).replace(day=1)
    return Period(_us(since), _us(until))


def parts(entries: Iterable[Entry], by: By) -> list[Part]:
    """The entries added up by period, machine and payer, in the order in which they first come."""
    found: dict[tuple[Period, str, Payer], tuple[Use, Cost]] = {}
    for entry in entries:
        key = period(entry.at_us, by), entry.machine, entry.payer
        use, cost = found.get(key, (Use(), Cost()))
        found[key] = use + entry.use, cost + entry.cost
    return [Part(*key, *sums) for key, sums in found.items()]


def _us(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000
