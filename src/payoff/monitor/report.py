"""From the journal to the statement of an endpoint, in one piece or by day. Each question sees the newest rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from pathlib import Path

import numpy as np

from payoff.clock import Clock, now_us
from payoff.deploy.guards import LOSES
from payoff.errors import BadInput
from payoff.expressions.render import identifier
from payoff.journal import statement as sums
from payoff.journal.query import Journal
from payoff.ledger import prices
from payoff.ledger.breakeven import day_micros
from payoff.ledger.prices import Prices
from payoff.ledger.statement import Line, Statement, statement
from payoff.money import MICROS, Money
from payoff.monitor import compare
from payoff.monitor.books import Costs
from payoff.monitor.compare import Effect
from payoff.monitor.evidence import history
from payoff.monitor.matured import HOLDOUT, Matured
from payoff.monitor.plug import Plug, last_drill, readings
from payoff.monitor.roi import Found, Point, Roi, compose, gain_cap
from payoff.monitor.settled import Settled, settled
from payoff.monitor.tallies import costs, means, tally
from payoff.monitor.watch import Judged
from payoff.monitor.worth import Worth, worth
from payoff.records import merge
from payoff.records.endpoint import Policy, Revision, Role
from payoff.registry.registry import Registry

POINTS_MAX = 120  # of the picture of what was earned so far
ORDERS = 8
_FINDINGS_READ = 200


@dataclass(frozen=True, slots=True)
class Day:
    """One version on one day, and what it came to by then. `day` is None for rows that have none.

    `fallback_so_far` is what the fallback would have earned on the same rows; None where nobody knows.
    """

    day: date | None
    line: Line
    net_so_far: Money
    fallback_so_far: Money | None


def report(
    home: Path,
    journal: Journal,
    registry: Registry,
    endpoint: str,
    judged: Judged,
    clock: Clock = now_us,
    booked: Costs | None = None,
) -> Roi:
    """What the versions of an endpoint earned, under its current revision's idea of worth, and cost, by the books."""
    past, now = history(registry, endpoint), clock()
    sql, price = worth(past[-1]), prices.read(home)
    rows = settled(journal, past, sql, price, now)
    found = _stated(journal, past[-1], sql, price, rows.rows, booked, now)
    plug = Plug(
        judged.cases,
        readings(journal, past, rows.rows, now),
        last_drill(registry.findings(endpoint, limit=_FINDINGS_READ)),
        registry.orders(endpoint, limit=ORDERS),
    )
    known = rows.rows.worth[~rows.rows.shadow]
    more = Found(
        judged.cases,
        _effects(past[-1], rows, found, sql),
        compare.expected(known[np.isfinite(known)]).interval,
        course(rows.rows, found.total.cost.micros / MICROS, sql.fallback is not None),
        plug,
        sql.refusal,
        _a_day(booked, endpoint),
        (judged.prediction_id, judged.outcome_id),
    )
    return compose(past[-1], found, more, now)


def _a_day(booked: Costs | None, endpoint: str) -> dict[tuple[str | None, int | None, bool], int]:
    """What each version must earn a day to be worth its cost, in micros, where that was metered."""
    found = {} if booked is None else day_micros(booked.books.entries)
    return {payer[1:]: micros for payer, micros in found.items() if payer.endpoint == endpoint}


def _stated(
    journal: Journal, revision: Revision, sql: Worth, price: Prices, rows: Matured, booked: Costs | None, now: int
) -> Statement:
    lines = _sums(journal, revision, sql, now)
    spans = means(rows, gain_cap(revision.policy))
    currency = revision.policy.currency
    told = (price.words(currency),) if booked is None else (*booked.assumptions, *booked.notes)
    tallies = [tally(line, sql.fallback is not None, spans) for line in lines]
    books = None if booked is None else booked.books
    return statement(tallies, costs(lines, revision.endpoint, books, price), currency, told)


def _sums(journal: Journal, revision: Revision, sql: Worth, now: int, day_sql: str | None = None) -> list[sums.Line]:
    return journal.statement(
        revision.endpoint, sql.value, sql.fallback, day_sql=day_sql, declared=sql.declared, matures=sql.matures,
        window_s=sql.window_s, now_us=now,
    )  # fmt: skip


def _effects(revision: Revision, rows: Settled, found: Statement, sql: Worth) -> Mapping[tuple[str, bool], Effect]:
    """The best comparison that there is for every version that answered or watched."""
    champion = next((f"{arm.model} v{arm.version}" for arm in revision.arms if arm.role is Role.CHAMPION), None)
    each = {f"{line.model} v{line.version}": _each(line) for line in found.realised}
    every: dict[tuple[str, bool], Effect] = {}
    for line in (*found.realised, *found.counterfactual):
        if line.model is not None and (effect := _effect(rows, line, sql, champion, revision.policy)):
            booked = replace(effect, others_cost=each.get(effect.baseline, effect.others_cost))
            every[f"{line.model} v{line.version}", line.shadow] = booked
    return every


def _each(line: Line) -> float:
    """What one of a version's decisions cost, all that was booked included, in units."""
    return line.cost.micros / MICROS / line.answered if line.answered else 0.0


def _effect(rows: Settled, line: Line, sql: Worth, champion: str | None, policy: Policy) -> Effect | None:
    """Against the hold-out, else the fallback on the same rows, else the champion, else whoever came before.

    Where the guard that may kill compares with the fallback on the same rows, so does the report: both tell one story.
    """
    name = f"{line.model} v{line.version}"
    like_guard = any((guard.when, guard.against) == (LOSES, "fallback") for guard in policy.guards)
    if not line.shadow and not (like_guard and sql.fallback is not None):
        held = compare.randomised(rows.rows, name, HOLDOUT, rows.shares, covariate=rows.covariate)
        if held is not None:
            return held
    if sql.fallback is not None:
        same = compare.paired(rows.rows, name, line.shadow, cap=gain_cap(policy))
        return same if same.mine else None
    if line.shadow:
        return None
    if champion is not None and champion != name:
        against = compare.randomised(rows.rows, name, champion, rows.shares, covariate=rows.covariate)
        if against is not None:
            return against
    return compare.before(rows.rows, name)


def course(rows: Matured, cost: float, fallback_known: bool) -> list[Point]:
    """What all answered rows came to, decision by decision, at POINTS_MAX places; `cost` is what they cost in all.

    What is booked beyond computing and fees of each row is spread evenly over the rows.
    """
    own = rows.take(~rows.shadow & np.isfinite(rows.worth))
    if not len(own):
        return []
    value, spent = np.cumsum(own.worth), np.cumsum(own.cost)
    spent += (cost - spent[-1]) * np.arange(1, len(own) + 1) / len(own)
    other = np.cumsum(np.nan_to_num(own.fallback)) if fallback_known else None
    places = np.unique(np.linspace(0, len(own) - 1, min(POINTS_MAX, len(own))).astype(int))
    return [
        Point(
            int(n) + 1,
            int(own.time_us[n]),
            float(value[n]),
            None if other is None else float(other[n]),
            float(spent[n]),
        )
        for n in places
    ]


def daily(
    home: Path,
    journal: Journal,
    revision: Revision,
    column: str | None = None,
    clock: Clock = now_us,
    booked: Costs | None = None,
) -> list[Day]:
    """The same by day, version after version: of an input column that is a date, or of the prediction."""
    sql, price = worth(revision), prices.read(home)
    found = _sums(journal, revision, sql, clock(), "p.time" if column is None else _day(revision, column))
    tallies = [tally(line, sql.fallback is not None) for line in found]
    told = statement(
        tallies,
        costs(found, revision.endpoint, None if booked is None else booked.books, price),
        revision.policy.currency,
    )
    own, watched = iter(told.realised), iter(told.counterfactual)
    lines = [(sum_.day, next(watched if sum_.shadow else own)) for sum_ in found]
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
