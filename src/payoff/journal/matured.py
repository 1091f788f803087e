"""Predictions whose worth is settled, in the order they were decided: what guards and experiments judge by."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from dataclasses import dataclass
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa

from payoff.journal import ids, scan
from payoff.journal.shape import literal
from payoff.journal.snapshot import Relation, Snapshot
from payoff.money import MICROS, MICROS_MAX

# NaN is greater than every number here, and what is null is not looked at
_BEYOND = f"coalesce(greatest(abs(value), abs(baseline)) > CAST({MICROS_MAX / MICROS!r} AS DOUBLE), false)"


@dataclass(frozen=True, slots=True)
class Matured:
    """The next matured predictions of an endpoint.

    `rows`: id, time, model, version, arm, shadow, value, baseline (float64, null if unknown), known (has an
    outcome), cpu_ns, beyond (its worth is no amount of money, see `amounts`); in id order. `held_by` is the first
    prediction after them that neither has an outcome nor is old enough to do without; `waiting` counts the predictions
    after it whose outcome is known already.
    """

    rows: pa.Table
    last_id: str | None
    held_by: str | None
    waiting: int


@dataclass(frozen=True, slots=True)
class Question:
    """What to look for: SQL texts over inputs, outputs, decision, outcome and outcome_value, and the limits."""

    endpoint: str
    after_id: str | None
    value_sql: str
    baseline_sql: str
    window_s: float
    now_us: int
    limit: int
    settle_s: float
    declared: scan.Declared


def find(database: duckdb.DuckDBPyConnection, snapshot: Snapshot, question: Question) -> Matured:
    """The longest run of matured predictions after `after_id`, at most `limit` (and one id's shadows more)."""
    relation = snapshot.relations.get(("predictions", question.endpoint))
    outcomes = snapshot.relations.get(("outcomes", question.endpoint))
    low, high = question.after_id or "", _reach(relation, question)
    found = database.sql(_sql(relation, outcomes, question, low, high)).to_arrow_table()
    rows = _whole_ids(cast(pa.Table, found), question.limit)
    young = np.asarray(rows["id"]) >= ids.floor(question.now_us - int(question.window_s * 1e6))
    held = np.flatnonzero(young & ~np.asarray(rows["known"]))
    first = int(held[0]) if len(held) else rows.num_rows
    held_by = rows["id"][first].as_py() if len(held) else None
    waiting = _waiting(database, outcomes, held_by, question.declared) if held_by else 0
    settled = rows.slice(0, first)
    last_id = settled["id"][first - 1].as_py() if first else question.after_id
    return Matured(settled, last_id, held_by, waiting)


def _reach(relation: Relation | None, question: Question) -> str:
    """The id before which all rows asked for lie: no younger ones may be looked at, and no more than needed are.

    Another worker may still be writing smaller ids than the newest, so the last `settle_s` are left for later.
    """
    settled = ids.floor(question.now_us - int(question.settle_s * 1e6))
    found = 0
    for file in sorted(relation.files if relation else (), key=lambda file: file.high):
        if file.low > (question.after_id or ""):
            found += file.rows
            if found > question.limit:
                return min(settled, file.high + "~")
    return settled


def _sql(relation: Relation | None, outcomes: Relation | None, question: Question, low: str, high: str) -> str:
    known = outcome_join(outcomes, question.declared, low, high)
    seen = scan.view([relation] if relation else [], "predictions", question.declared)
    files = [file for file in relation.files if file.high > low and file.low < high] if relation else []
    fresh = scan.fresh_name(("predictions", question.endpoint))
    selects = [
        f"""SELECT p.id, p.time, p.model, p.version, p.arm, p.shadow,
            CAST({question.value_sql} AS DOUBLE) AS value, CAST({question.baseline_sql} AS DOUBLE) AS baseline,
            o.prediction_id IS NOT NULL AS known, p.cpu_ns
            FROM {item} AS p LEFT JOIN known AS o ON o.prediction_id = p.id
            WHERE p.id > {literal(low)} AND p.id < {literal(high)}"""
        for item in scan.branches(relation, seen, fresh, files)
    ]
    every = amounts(f"({' UNION ALL '.join(selects)})")
    return f"WITH known AS ({known}) {every} ORDER BY id, shadow LIMIT {question.limit + 1}"


def amounts(item: str) -> str:
    """SQL for the rows of a FROM item, with value and baseline null, and `beyond` true, where either is no money.

    No money is what is not finite or has more micros than are counted exactly: one such row would drown all others.
    """
    return f"""SELECT * REPLACE (if(beyond, NULL, value) AS value, if(beyond, NULL, baseline) AS baseline)
        FROM (SELECT *, {_BEYOND} AS beyond FROM {item})"""


def outcome_join(outcomes: Relation | None, declared: scan.Declared, low: str = "", high: str = "~") -> str:
    """SQL for the last outcomes of the predictions between two ids: prediction_id, outcome, outcome_value."""
    items = outcome_items(outcomes, declared, low, high)
    where = f"prediction_id > {literal(low)} AND prediction_id < {literal(high)}"
    each = " UNION ALL ".join(f"SELECT {scan.LAST} FROM {item} WHERE {where}" for item in items)
    return f"SELECT prediction_id, outcome, value AS outcome_value FROM ({scan.last(f'({each})')})"


def outcome_items(outcomes: Relation | None, declared: scan.Declared, low: str = "", high: str = "~") -> list[str]:
    """FROM items with the outcomes of predictions between two ids, and maybe others."""
    seen = scan.view([outcomes] if outcomes else [], "outcomes", declared)
    files = [file for file in outcomes.files if file.key_high > low and file.key_low < high] if outcomes else []
    return scan.branches(outcomes, seen, scan.fresh_name(outcomes.kind) if outcomes else "", files)


def _whole_ids(rows: pa.Table, limit: int) -> pa.Table:
    """Without the last id if it may have been cut in two: a prediction and its shadows share one."""
    if rows.num_rows <= limit:
        return rows
    all_ids: Any = np.asarray(rows["id"])
    whole = int(np.searchsorted(all_ids, all_ids[-1]))
    return rows.slice(0, whole or rows.num_rows)


def _waiting(
    database: duckdb.DuckDBPyConnection, outcomes: Relation | None, held_by: str, declared: scan.Declared
) -> int:
    items = outcome_items(outcomes, declared, held_by)
    where = f"WHERE prediction_id > {literal(held_by)}"
    each = " UNION ALL ".join(f"SELECT prediction_id FROM {item} {where}" for item in items)
    return int(database.execute(f"SELECT count(DISTINCT prediction_id) FROM ({each})").fetchall()[0][0])
