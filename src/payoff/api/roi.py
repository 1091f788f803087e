"""Paths that say what each version of an endpoint earned, and how far the guards have come with judging it."""

from typing import Annotated, Any

from litestar import MediaType, get
from litestar.params import Parameter

from payoff.api.engines import Engines, House
from payoff.clock import iso
from payoff.ledger.bill import HOUR_US
from payoff.monitor.books import HOURS_MAX, Costs, costs
from payoff.monitor.curve import drawn as threshold
from payoff.monitor.figures import plain, units
from payoff.monitor.page import page
from payoff.monitor.report import Day, daily, report
from payoff.records import Revision, names

BOOKED_US = (HOURS_MAX - 1) * HOUR_US  # how far back costs go
Column = Annotated[str | None, Parameter(description="An input that is a date; without it, the day of the prediction.")]


@get("/roi", sync_to_thread=True)
def every(house: House) -> dict[str, Any]:
    """The statements of all endpoints, each as under its own path. They are never added up."""
    return {"statements": _statements(house)}


@get("/roi/page", sync_to_thread=True, media_type=MediaType.HTML)
def every_page(house: House) -> str:
    """The same as one page of HTML that loads nothing, each endpoint on a sheet of its own."""
    return page(_statements(house, curve=True))


@get("/endpoints/{endpoint:str}/roi", sync_to_thread=True)
def roi(house: House, endpoint: str) -> dict[str, Any]:
    """Value, cost and net per version, against a named baseline, with intervals that hold however often they are read.

    `versions` answered: that is money. `watched` only watched: what would have been. `in_flight` does not count yet.
    Amounts are in units of the endpoint's currency.
    """
    return _statement(house, endpoint)


@get("/endpoints/{endpoint:str}/roi/page", sync_to_thread=True, media_type=MediaType.HTML)
def one_page(house: House, endpoint: str) -> str:
    """The same as one page of HTML that loads nothing and prints well."""
    return page([_statement(house, endpoint, curve=True)])


@get("/endpoints/{endpoint:str}/roi/days", sync_to_thread=True)
def days(house: House, endpoint: str, column: Column = None) -> dict[str, Any]:
    """The same by day, with what each version had come to by then: what a picture of it is drawn from."""
    current = _current(house, endpoint)
    found = daily(house.home, house.journal, current, column, house.clock, _booked(house))
    return {"endpoint": current.endpoint, "currency": current.policy.currency, "days": [_day(one) for one in found]}


@get("/endpoints/{endpoint:str}/judged", sync_to_thread=True)
def judged(house: House, endpoint: str) -> dict[str, Any]:
    """How far the guards have come: every outcome up to `outcome_id` was there when they last looked."""
    name = _current(house, endpoint).endpoint
    found = house.watch.judged(name)
    return {"endpoint": name, "prediction_id": found.prediction_id, "outcome_id": found.outcome_id}


def _statements(house: Engines, curve: bool = False) -> list[dict[str, Any]]:
    names_ = [one.endpoint for one in house.registry.endpoints() if not names.is_drill(one.endpoint)]
    booked = _booked(house)
    return [_statement(house, name, booked, curve) for name in names_]


def _statement(house: Engines, endpoint: str, booked: Costs | None = None, curve: bool = False) -> dict[str, Any]:
    """One statement, with the profit curve if that is asked for and there is one."""
    current = _current(house, endpoint)
    name, judged = current.endpoint, house.watch.judged(current.endpoint)
    booked = booked or _booked(house)
    found = plain(report(house.home, house.journal, house.registry, name, judged, house.clock, booked))
    found["course"] = [point | {"at": iso(point["at_us"])} for point in found["course"]]
    more = {"threshold": threshold(house.journal, current, house.clock)} if curve else {}
    return {"endpoint": found.pop("endpoint"), "at": iso(found.pop("at_us")), **found, **more}


def _booked(house: Engines) -> Costs:
    """The books of all the time that they can hold."""
    now_us = house.clock()
    return costs(house.home, house.registry, house.journal, now_us - BOOKED_US, now_us, now_us)


def _current(house: Engines, endpoint: str) -> Revision:
    return house.registry.current(names.check(endpoint, "endpoint"))


def _day(one: Day) -> dict[str, Any]:
    line = one.line
    return {
        "day": None if one.day is None else one.day.isoformat(),
        "model": line.model,
        "version": line.version,
        "watched": line.shadow,
        "answered": line.answered,
        "matured": line.matured,
        "net": units(line.net),
        "net_so_far": units(one.net_so_far),
        "fallback_so_far": units(one.fallback_so_far),
    }


HANDLERS: list[Any] = [every, every_page, roi, one_page, days, judged]
