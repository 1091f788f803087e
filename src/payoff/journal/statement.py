"""What predictions earned, added up where the rows are: one line per version, and per day if asked."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from payoff.journal import scan, told
from payoff.journal.shape import literal
from payoff.journal.snapshot import Snapshot
from payoff.journal.terms import Terms, amounts
from payoff.records.endpoint import Matures

APART = {"choice": "coalesce(p.choice, '')", "revision": "p.revision", "instead_of": "coalesce(p.instead_of, '')"}


@dataclass(frozen=True, slots=True)
class Line:
    """The sums of one version in one role (and of one day). Money in whole micros; squares in units squared.

    Value, baseline and difference are of the `matured` predictions; the difference is value minus baseline, over the
    `compared` ones that have both. What is in flight has its own sum, and is never added to the others.
    """

    model: str
    version: int | None
    shadow: bool
    choice: str | None  # these two and the day are None where lines are not parted by them
    revision: int | None
    instead_of: str | None
    day: Any  # a date
    answered: int
    with_outcome: int  # of all; one that came too late is none
    matured: int  # of these the worth is settled, whether it is known or not
    unvalued: int  # matured, with an outcome, and yet without a value: a division by zero, a null, no money
    beyond: int  # of all: whose worth is no amount of money; left out of every sum
    late: int  # of all: about which something was told that happened too late to count
    valued: int
    value_micros: int
    value_squares: float
    baselined: int
    baseline_micros: int
    baseline_squares: float
    compared: int
    difference_micros: int
    difference_squares: float
    flying_valued: int  # in flight, with an outcome and a value by now
    flying_micros: int
    fee_micros: int  # of all, settled or not: they were spent
    cpu_ns: int  # likewise
    first_at_us: int
    last_at_us: int

    @property
    def in_flight(self) -> int:
        """Predictions whose worth is not settled yet."""
        return self.answered - self.matured


def lines(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, endpoint: str, terms: Terms, day_sql: str | None,
    by: Sequence[str] = (),
) -> list[Line]:  # fmt: skip
    """One line per (model, version, shadow, what `by` names of APART, day), in that order."""
    relation = snapshot.relations.get(("predictions", endpoint))
    outcomes = snapshot.relations.get(("outcomes", endpoint))
    seen = scan.view([relation] if relation else [], "predictions", terms.declared)
    apart = ", ".join(f"{sql if name in by else 'NULL'} AS {name}" for name, sql in APART.items())
    selects = " UNION ALL ".join(
        f"""SELECT p.model, p.version, p.shadow, {apart}, p.time, p.cpu_ns, {terms.worth},
            CAST({day_sql or "NULL"} AS DATE) AS day, coalesce(o.told, false) AS known,
            coalesce(o.late, false) AS late, {_settled(terms)} AS settled
            FROM {item} AS p LEFT JOIN known AS o ON o.prediction_id = p.id"""
        for item in scan.branches(relation, seen, scan.fresh_name(("predictions", endpoint)))
    )
    known = told.join(outcomes, terms.declared, within_us=terms.within_us)
    rows = database.execute(f"WITH known AS ({known}), every AS ({selects}), {_SUMS}").fetchall()
    return [_line(row) for row in rows]


def _settled(terms: Terms) -> str:
    old = f"p.id < {literal(terms.young)}"
    return old if terms.matures is Matures.WINDOW else f"(coalesce(o.told, false) OR {old})"


def _line(row: tuple[Any, ...]) -> Line:
    facts: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    return Line(**facts | {name: int(facts[name]) for name in _WHOLE})


def _money(value: str) -> str:
    """Whole micros, half to even per row, then exact: no sum of floats."""
    return f"coalesce(sum(CAST(round_even({value} * 1e6, 0) AS HUGEINT)), 0)"


def _three(value: str) -> str:
    """How many, how much, and the squares."""
    return f"count({value}), {_money(value)}, coalesce(sum({value} * {value}), 0)"


_SUMS = f"""
amounted AS ({amounts("every")}),
valued AS (SELECT * REPLACE (if(settled, value, NULL) AS value, if(settled, baseline, NULL) AS baseline),
  if(known AND NOT settled, value, NULL) AS flying FROM amounted)
SELECT model, version, shadow, choice, revision, instead_of, day, count(*), count_if(known), count_if(settled),
  count_if(settled AND known AND value IS NULL), count_if(beyond), count_if(late),
  {_three("value")}, {_three("baseline")}, {_three("(value - baseline)")},
  count(flying), {_money("flying")}, {_money("fee")}, sum(cpu_ns), epoch_us(min(time)), epoch_us(max(time))
FROM valued GROUP BY ALL ORDER BY model, version, shadow, choice, revision, instead_of, day
"""
_NAMES = tuple(Line.__dataclass_fields__)
_WHOLE = {name for name in _NAMES if name.endswith(("_micros", "_ns"))}
