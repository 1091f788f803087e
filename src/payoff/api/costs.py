"""Paths that say what everything costs, who bears it, and what a version must earn to be worth having."""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Response, get
from litestar.params import Parameter

from payoff.api.engines import Engines, House
from payoff.clock import iso
from payoff.errors import BadInput
from payoff.ledger import focus, prices
from payoff.ledger.bill import Books, Cost, Entry, Payer, Use
from payoff.ledger.breakeven import day_micros, thousand_micros
from payoff.ledger.periods import By, Part, parts, period
from payoff.ledger.prices import GB, HOUR_S, Prices
from payoff.money import MICROS
from payoff.monitor.books import Costs, costs
from payoff.records import names

OneEndpoint = Annotated[str | None, Parameter(description="Only this endpoint's lines; the bill stays the house's.")]
Since = Annotated[
    str | None, Parameter(description="A day, an hour (2026-11-22T14:00), or how long ago: 7d, 24h; else this month.")
]
Until = Annotated[str | None, Parameter(description="The same; up to but not including it. Without it, up to now.")]
Periods = Annotated[str | None, Parameter(description="Also by hour, day or month (UTC).")]
Length = Annotated[str, Parameter(description="How long the charge period of a row is: hour, day or month (UTC).")]
_AGO_US = {"m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


@get("/costs", sync_to_thread=True)
def told(
    house: House, endpoint: OneEndpoint = None, since: Since = None, until: Until = None, by: Periods = None
) -> dict[str, Any]:
    """What it cost by version: computing time, memory, GPU, fees; and its share of idle, overhead and fixed costs.

    Amounts are in units of `currency`. All lines of the house together are its bill, to the micro, for every hour.
    """
    length = None if by is None else _length(by)
    found = _costs(house, since, until)
    entries = _of(house, found.books, endpoint)
    mine = Books(entries, found.books.bill, found.books.machine)
    days = day_micros(entries)
    said = {
        "currency": found.currency,
        "since": iso(found.since_us),
        "until": iso(found.until_us),
        "bill": _units(asdict(found.books.bill) | {"total": found.books.bill.total}),
        "booked": _cost(mine.cost()),
        "machine": _machine(found.books),
        "rates": _rates(prices.read(house.home)),
        "lines": [
            _line(payer, use, cost) | _day(payer, days.get(payer), found.currency)
            for payer, (use, cost) in mine.by_payer().items()
        ],
        "assumptions": list(found.assumptions),
        "notes": list(found.notes),
    }
    return said if length is None else said | {"periods": [_part(part) for part in parts(entries, length)]}


@get("/costs/focus", sync_to_thread=True, media_type="text/csv")
def rows(
    house: House, endpoint: OneEndpoint = None, since: Since = None, until: Until = None, by: Length = "day"
) -> Response[str]:
    """The same as CSV in the columns of FOCUS 1.2, for tools that read bills."""
    length = _length(by)
    found = _costs(house, since, until)
    picked = parts(_of(house, found.books, endpoint), length)
    return Response(focus.text(focus.rows(picked, found.currency)), media_type="text/csv")


def _of(house: Engines, books: Books, endpoint: str | None) -> tuple[Entry, ...]:
    """The entries of one endpoint or of all; NotFound if there is no such endpoint, and never was in this time."""
    if endpoint is None:
        return books.entries
    name = names.check(endpoint, "endpoint")
    found = tuple(entry for entry in books.entries if entry.payer.endpoint == name)
    if not found:
        house.registry.current(name)
    return found


def _length(by: str) -> By:
    if by not in list(By):
        raise BadInput(f"by is {by[:60]!r}; it is one of: {', '.join(By)}")
    return By(by)


def _costs(house: Engines, since: str | None, until: str | None) -> Costs:
    now_us = house.clock()
    from_us = period(now_us, By.MONTH).since_us if since is None else moment_us("since", since, now_us)
    to_us = now_us if until is None else moment_us("until", until, now_us)
    if to_us <= from_us:
        raise BadInput(f"until ({until or 'now'}) is not after since ({since or 'the beginning of this month'})")
    return costs(house.home, house.registry, house.journal, from_us, to_us, now_us)


def moment_us(name: str, text: str, now_us: int) -> int:
    """A day, a month, a time (UTC unless it says otherwise), or how long ago, in microseconds since 1970."""
    if ago := re.fullmatch(r"(\d{1,6})([mhd])", text):
        return now_us - int(ago[1]) * _AGO_US[ago[2]]
    try:
        at = datetime.fromisoformat(f"{text}-01" if re.fullmatch(r"\d{4}-\d\d", text) else text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6)
    except (ValueError, OverflowError) as error:
        raise BadInput(
            f"{name} is {text[:60]!r}; write a day (2026-11-22), a month (2026-11), a time (2026-11-22T14:00), "
            "or how long ago (30m, 24h, 7d)"
        ) from error


def _line(payer: Payer, use: Use, cost: Cost) -> dict[str, Any]:
    thousand = thousand_micros(use, cost)
    return {
        "endpoint": payer.endpoint or None,
        "model": payer.model or None,
        "version": payer.version if payer.model else None,
        "watched": payer.shadow,
        "who": focus.name(payer),
        "predictions": use.predictions,
        "cpu_seconds": use.cpu_ns / 1e9,
        "memory_gb_hours": use.memory_byte_s / GB / HOUR_S,
        "gpu_seconds": use.gpu_ns / 1e9,
        **_cost(cost),
        "per_thousand": None if thousand is None else thousand / MICROS,
    }


def _rates(house: Prices) -> dict[str, float]:
    """What an hour of each part costs."""
    return {
        "core_hour": house.cpu_core_hour_micros / MICROS,
        "memory_gb_hour": house.memory_gb_hour_micros / MICROS,
        "gpu_hour": house.gpu_hour_micros / MICROS,
    }


def _day(payer: Payer, micros: int | None, currency: str) -> dict[str, Any]:
    """The break-even line of a version."""
    if micros is None or not payer.model:
        return {"a_day": None, "break_even": None}
    return {
        "a_day": micros / MICROS,
        "break_even": f"must earn {_plain(micros)} {currency} a day to stay loaded",
    }


def _plain(micros: int) -> str:
    """Cents, or more digits where there are none."""
    amount = micros / MICROS
    return f"{amount:,.2f}" if amount >= 0.1 or not micros else f"{amount:.2g}"


def _part(part: Part) -> dict[str, Any]:
    told = {"since": iso(part.period.since_us), "until": iso(part.period.until_us), "machine": part.machine or None}
    return told | _line(part.payer, part.use, part.cost)


def _machine(books: Books) -> dict[str, Any]:
    had, own = books.machine, books.machine.own_memory_byte_s
    return {
        "up_hours": had.up_us / 1e6 / HOUR_S,
        "unseen_hours": had.blind_us / 1e6 / HOUR_S,
        "core_hours": had.core_ns / 1e9 / HOUR_S,
        "memory_gb_hours": had.memory_byte_s / GB / HOUR_S,
        "gpu_hours": had.gpu_ns / 1e9 / HOUR_S,
        "used_core_hours": had.own_cpu_ns / 1e9 / HOUR_S,
        "used_memory_gb_hours": own / GB / HOUR_S,
    }


def _cost(cost: Cost) -> dict[str, float]:
    return _units(asdict(cost) | {"total": cost.total})


def _units(micros: dict[str, int]) -> dict[str, float]:
    return {name: amount / MICROS for name, amount in micros.items()}


HANDLERS: list[Any] = [told, rows]
