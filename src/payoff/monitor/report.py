"""From the journal to the statement of an endpoint, in one piece or by day. Each question sees the newest rows."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

from payoff.clock import Clock, now_us
from payoff.errors import BadInput
from payoff.expressions.render import identifier
from payoff.journal.query import Journal
from payoff.ledger import prices
from payoff.ledger.statement import Line, statement
from payoff.money import Money
from payoff.monitor.roi import Roi, compose
from payoff.monitor.tallies import tally
from payoff.monitor.watch import Judged
from payoff.monitor.worth import worth
from payoff.records import merge
from payoff.records.endpoint import Revision


@dataclass(frozen=True, slots=True)
class Day:
    """One version on one day, and what it came to by then. `day` is None for rows that have none.

    `fallback_so_far` is what the fallback would have earned on the same rows; None where nobody knows.
    """

    day: date | None
    line: Line
    net_so_far: Money
    fallback_so_far: Money | None


def report(home: Path, journal: Journal, revision: Revision, judged: Judged, clock: Clock = now_us) -> Roi:
    """What the versions of an endpoint earned, under its current revision's idea of worth."""
    sql = worth(revision)
    sums = journal.statement(revision.endpoint, sql.value, sql.fallback, declared=sql.declared)
    found = statement(
        [tally(line, sql.fallback is not None) for line in sums], prices.read(home), revision.policy.currency
    )
    return compose(revision, found, judged.cases, clock(), (judged.prediction_id, judged.outcome_id))


def daily(home: Path, journal: Journal, revision: Revision, column: str | None = None) -> list[Day]:
    """The same by day, version after version: of an input column that is a date, or of the prediction."""
    sql = worth(revision)
    sums = journal.statement(
        revision.endpoint,
        sql.value,
        sql.fallback,
        by_day=True,
        day_sql=None if column is None else _day(revision, column),
        declared=sql.declared,
    )
    tallies = [tally(line, sql.fallback is not None) for line in sums]
    found = statement(tallies, prices.read(home), revision.policy.currency)
    own, watched = iter(found.realised), iter(found.counterfactual)
    lines = [(sum_.day, next(watched if sum_.shadow else own)) for sum_ in sums]
    return [day for _, group in groupby(sorted(lines, key=_order), key=_version) for day in _added(list(group))]


def _added(lines: list[tuple[date | None, Line]]) -> list[Day]:
    zero = Money(0, lines[0][1].net.currency)
    net, fallback, days = zero, zero if lines[0][1].fallback is not None else None, []
    for day, line in lines:
        net += line.net
        fallback = fallback + line.fallback if fallback is not None and line.fallback is not None else None
        days.append(Day(day, line, net, fallback))
    return days


def _version(each: tuple[date | None, Line]) -> tuple[bool, str, int]:
    line = each[1]
    return line.shadow, line.model or "", line.version or 0


def _order(each: tuple[date | None, Line]) -> tuple[tuple[bool, str, int], date]:
    return _version(each), each[0] or date.min


def _day(revision: Revision, column: str) -> str:
    columns = [field.name for field in merge.inputs(revision) if not field.shape]
    if column not in columns:
        raise BadInput(f"there is no input column {column[:80]!r} to go by; there are: {', '.join(columns)}")
    return f"try_cast(inputs.{identifier(column)} AS DATE)"
