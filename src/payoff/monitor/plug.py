"""Would a version be stopped in time: how strong the evidence is, how much of each limit is used, when it was tried."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from payoff.clock import iso
from payoff.codecs.units import duration
from payoff.experiment.verdict import Case
from payoff.journal.query import Journal
from payoff.monitor import limits
from payoff.monitor.gauges import Gauges
from payoff.monitor.lives import Brief
from payoff.monitor.matured import Matured
from payoff.records.endpoint import Guard, Revision
from payoff.records.events import Finding, Order

DRILL = "drill"  # the monitor whose findings tell of drills


@dataclass(frozen=True, slots=True)
class Reading:
    """How much of a limit a version used, in units of money: at its worst, or now where the limit is about a while."""

    guard: Guard
    who: str
    found: float


@dataclass(frozen=True, slots=True)
class Plug:
    """What stands between a version that loses and its money: tests, limits, the last drill, and what was ordered."""

    cases: Sequence[tuple[Brief, Case]] = ()
    readings: Sequence[Reading] = ()
    drill: Finding | None = None
    orders: Sequence[Order] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "meters": [_meter(brief, case) for brief, case in self.cases],
            "limits": [_limit(one) for one in self.readings],
            "last_drill": None
            if self.drill is None
            else {"at": iso(self.drill.at_us), "text": self.drill.text, "data": dict(self.drill.data)},
            "orders": [_order(one) for one in self.orders],
        }


def readings(journal: Journal, past: Sequence[Revision], rows: Matured, now_us: int) -> list[Reading]:
    """How much of every limit on money is used by each version that answers."""
    gauges = Gauges()
    gauges.ask(past)
    gauges.hear(rows)
    gauges.look(journal, None, now_us)
    found = []
    for guard in gauges.guards:
        for who in gauges.since:
            used = _used(gauges, guard, who, now_us)
            if used is not None:
                found.append(Reading(guard, who, used))
    return found


def last_drill(findings: Iterable[Finding]) -> Finding | None:
    """The newest finding that tells of a drill, of findings that come newest first."""
    return next((one for one in findings if one.monitor == DRILL), None)


def _used(gauges: Gauges, guard: Guard, who: str, now_us: int) -> float | None:
    money = gauges.money.get(who, limits.Money())
    if guard.when == "drawdown":
        return money.drawdown
    if guard.when == "loss":
        return money.lost_most(guard.over_s or 0.0)
    if guard.when != "money at risk":
        return None
    kept = gauges.seconds.get(who)
    column = [each for each in gauges.guards if each.when in limits.SUMS].index(guard)
    return 0.0 if kept is None else float(kept.since(now_us / limits.SECOND_US - (guard.over_s or 0.0))[1][column])


def _meter(brief: Brief, case: Case) -> dict[str, Any]:
    return {
        "name": case.question.name,
        "question": case.question.text,
        "e_value": case.e_value,
        "threshold": case.threshold,
        "tested": case.tested,
        "reached": case.reached,
        "do": brief.guard.do if brief.guard else None,
    }


def _limit(one: Reading) -> dict[str, Any]:
    guard = one.guard
    return {
        "who": one.who,
        "when": guard.when,
        "found": one.found,
        "above": guard.above,
        "over": "since its best" if guard.over_s is None else f"within {duration(guard.over_s)}",
        "do": guard.do,
    }


def _order(one: Order) -> dict[str, Any]:
    return {"at": iso(one.at_us), "verb": one.verb, "author": one.author, "reason": one.reason}
