"""Paths that say what each version of an endpoint earned, and how far the guards have come with judging it."""

from typing import Annotated, Any

from litestar import get
from litestar.params import Parameter

from payoff.api.engines import Engines, House
from payoff.clock import iso
from payoff.money import MICROS, Money
from payoff.monitor.report import Day, daily, report
from payoff.monitor.roi import plain
from payoff.records import Revision, names

Column = Annotated[str | None, Parameter(description="An input that is a date; without it, the day of the prediction.")]


@get("/endpoints/{endpoint:str}/roi", sync_to_thread=True)
def roi(house: House, endpoint: str) -> dict[str, Any]:
    """Value, cost and net per version, with an interval that holds however often it is read, and the verdict so far.

    `versions` answered: that is money. `watched` only watched: what would have been. Amounts are in units of the
    endpoint's currency.
    """
    current = _current(house, endpoint)
    found = plain(report(house.home, house.journal, current, house.watch.judged(current.endpoint), house.clock))
    return {"endpoint": found.pop("endpoint"), "at": iso(found.pop("at_us")), **found}


@get("/endpoints/{endpoint:str}/roi/days", sync_to_thread=True)
def days(house: House, endpoint: str, column: Column = None) -> dict[str, Any]:
    """The same by day, with what each version had come to by then: what a picture of it is drawn from."""
    current = _current(house, endpoint)
    found = daily(house.home, house.journal, current, column)
    return {"endpoint": current.endpoint, "currency": current.policy.currency, "days": [_day(one) for one in found]}


@get("/endpoints/{endpoint:str}/judged", sync_to_thread=True)
def judged(house: House, endpoint: str) -> dict[str, Any]:
    """How far the guards have come: every outcome up to `outcome_id` was there when they last looked."""
    name = _current(house, endpoint).endpoint
    found = house.watch.judged(name)
    return {"endpoint": name, "prediction_id": found.prediction_id, "outcome_id": found.outcome_id}


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
        "net": _units(line.net),
        "net_so_far": _units(one.net_so_far),
        "fallback_so_far": _units(one.fallback_so_far),
    }


def _units(amount: Money | None) -> float | None:
    return None if amount is None else amount.micros / MICROS


HANDLERS: list[Any] = [roi, days, judged]
