"""What predictions earned, added up where the rows are: one line per version, and per day if asked."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from dataclasses import dataclass
from typing import Any

import duckdb

from payoff.journal import scan
from payoff.journal.matured import amounts, outcome_join
from payoff.journal.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Line:
    """The sums of one version in one role (and of one day). Money in whole micros; squares in units squared.

    The difference is value minus baseline, over the `compared` predictions that have both.
    """

    model: str
    version: int | None
    shadow: bool
    day: Any  # a date, or None for all days
    answered: int
    with_outcome: int
    valued: int
    value_micros: int
    value_squares: float
    baselined: int
    baseline_micros: int
    baseline_squares: float
    compared: int
    difference_micros: int
    difference_squares: float
    cpu_ns: int
    first_at_us: int
    last_at_us: int


def lines(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, endpoint: str, value_sql: str, baseline_sql: str,
    day_sql: str | None, declared: scan.Declared,
) -> list[Line]:  # fmt: skip
    """One line per (model, version, shadow, day), in that order."""
    relation = snapshot.relations.get(("predictions", endpoint))
    outcomes = snapshot.relations.get(("outcomes", endpoint))
    seen = scan.view([relation] if relation else [], "predictions", declared)
    selects = " UNION ALL ".join(
        f"""SELECT p.model, p.version, p.shadow, p.time, p.cpu_ns, o.prediction_id IS NOT NULL AS known,
            CAST({value_sql} AS DOUBLE) AS value, CAST({baseline_sql} AS DOUBLE) AS baseline,
            CAST({day_sql or "NULL"} AS DATE) AS day
            FROM {item} AS p LEFT JOIN known AS o ON o.prediction_id = p.id"""
        for item in scan.branches(relation, seen, scan.fresh_name(("predictions", endpoint)))
    )
    known = outcome_join(outcomes, declared)
    rows = database.execute(f"WITH known AS ({known}), every AS ({selects}), {_SUMS}").fetchall()
    return [_line(row) for row in rows]


def _line(row: tuple[Any, ...]) -> Line:
    facts: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    return Line(**facts | {name: int(facts[name]) for name in _WHOLE})


def _money(value: str) -> str:
    """Whole micros, half to even per row, then exact: no sum of floats."""
    return f"coalesce(sum(CAST(round_even({value} * 1e6, 0) AS HUGEINT)), 0)"


_SUMS = f"""
valued AS ({amounts("every")})
SELECT model, version, shadow, day, count(*), count_if(known),
  count(value), {_money("value")}, coalesce(sum(value * value), 0),
  count(baseline), {_money("baseline")}, coalesce(sum(baseline * baseline), 0),
  count(value - baseline), {_money("(value - baseline)")}, coalesce(sum((value - baseline) * (value - baseline)), 0),
  sum(cpu_ns), epoch_us(min(time)), epoch_us(max(time))
FROM valued GROUP BY ALL ORDER BY model, version, shadow, day
"""
_NAMES = tuple(Line.__dataclass_fields__)
_WHOLE = {name for name in _NAMES if name.endswith(("_micros", "_ns"))}
