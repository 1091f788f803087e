"""Predictions whose worth is settled, in the order they were decided: what guards and experiments judge by."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from dataclasses import dataclass
from typing import Any, cast

import duckdb
import numpy as np
import pyarrow as pa

from payoff.journal import ids, scan, told
from payoff.journal.shape import literal
from payoff.journal.snapshot import Relation, Snapshot
from payoff.journal.terms import Terms, amounts
from payoff.records.endpoint import Matures

# rows of before these were recorded lack them
_FACTS = """p.id, p.time, p.revision, p.model, p.version, p.arm, p.shadow, coalesce(p.choice, '') AS choice,
    coalesce(p.share, 1) AS share, coalesce(p.propensity, 1) AS propensity, coalesce(p.instead_of, '') AS instead_of,
    coalesce(len(p.violations), 0) > 0 AS violated, p.cpu_ns, p.latency_us"""


@dataclass(frozen=True, slots=True)
class Matured:
    """The next matured predictions of an endpoint.

    `rows`, in id order: id, time, revision, model, version, arm, shadow, choice, share, propensity, instead_of,
    violated, cpu_ns, latency_us, value and baseline (float64, null if unknown), fee (float64), covariate (float64, null
    if unknown), known (has an outcome that counts), late (has one that came too late to count), beyond (its worth is no
    amount of money, see `payoff.journal.terms.amounts`). `held_by` is the first prediction after them that is not
    settled; `waiting` counts the predictions after it of which something was told already.
    """

    rows: pa.Table
    last_id: str | None
    held_by: str | None
    waiting: int


@dataclass(frozen=True, slots=True)
class Question:
    """Of which endpoint, after which prediction, on which terms, how many; the last `settle_s` are not looked at."""

    endpoint: str
    after_id: str | None
    terms: Terms
    limit: int
    settle_s: float


def find(database: duckdb.DuckDBPyConnection, snapshot: Snapshot, question: Question) -> Matured:
    """The longest run of matured predictions after `after_id`, at most `limit` (and one id's shadows more)."""
    relation = snapshot.relations.get(("predictions", question.endpoint))
    outcomes = snapshot.relations.get(("outcomes", question.endpoint))
    terms, low, high = question.terms, question.after_id or "", _reach(relation, question)
    held_by = _first_young(database, relation, question, high) if terms.matures is Matures.WINDOW else None
    found = database.sql(_sql(relation, outcomes, question, low, held_by or high)).to_arrow_table()
    rows = _whole_ids(cast(pa.Table, found), question.limit)
    if terms.matures is not Matures.WINDOW:
        rows, held_by = _until_held(rows, terms)
    waiting = _waiting(database, outcomes, held_by, terms) if held_by else 0
    return Matured(rows, rows["id"][-1].as_py() if rows.num_rows else question.after_id, held_by, waiting)


def _until_held(rows: pa.Table, terms: Terms) -> tuple[pa.Table, str | None]:
    """The rows before the first that is young and has no outcome, and its id."""
    held = np.flatnonzero((np.asarray(rows["id"]) >= terms.young) & ~np.asarray(rows["known"]))
    return (rows.slice(0, int(held[0])), rows["id"][int(held[0])].as_py()) if len(held) else (rows, None)


def _first_young(
    database: duckdb.DuckDBPyConnection, relation: Relation | None, question: Question, high: str
) -> str | None:
    """The first prediction whose window has not passed."""
    low = max(question.terms.young, question.after_id or "")
    selects = [
        f"SELECT min(id) AS id FROM {item} WHERE id >= {literal(low)} AND id < {literal(high)}"
        for item in _between(relation, question, low, high)
    ]
    found: str | None = database.execute(f"SELECT min(id) FROM ({' UNION ALL '.join(selects)})").fetchall()[0][0]
    return found


def _reach(relation: Relation | None, question: Question) -> str:
    """The id before which all rows asked for lie: no younger ones may be looked at, and no more than needed are.

    Another worker may still be writing smaller ids than the newest, so the last `settle_s` are left for later.
    """
    settled = ids.floor(question.terms.now_us - int(question.settle_s * 1e6))
    found = 0
    for file in sorted(relation.files if relation else (), key=lambda file: file.high):
        if file.low > (question.after_id or ""):
            found += file.rows
            if found > question.limit:
                return min(settled, file.high + "~")
    return settled


def _sql(relation: Relation | None, outcomes: Relation | None, question: Question, low: str, high: str) -> str:
    terms = question.terms
    known = told.join(outcomes, terms.declared, low, high, terms.within_us)
    selects = [
        f"""SELECT {_FACTS}, {terms.worth}, CAST({terms.covariate} AS DOUBLE) AS covariate,
            coalesce(o.told, false) AS known, coalesce(o.late, false) AS late
            FROM {item} AS p LEFT JOIN known AS o ON o.prediction_id = p.id
            WHERE p.id > {literal(low)} AND p.id < {literal(high)}"""
        for item in _between(relation, question, low, high)
    ]
    every = amounts(f"({' UNION ALL '.join(selects)})")
    return f"WITH known AS ({known}) {every} ORDER BY id, shadow LIMIT {question.limit + 1}"


def _between(relation: Relation | None, question: Question, low: str, high: str) -> list[str]:
    """FROM items with the predictions between two ids, and maybe others."""
    seen = scan.view([relation] if relation else [], "predictions", question.terms.declared)
    files = [file for file in relation.files if file.high >= low and file.low < high] if relation else []
    return scan.branches(relation, seen, scan.fresh_name(("predictions", question.endpoint)), files)


def _whole_ids(rows: pa.Table, limit: int) -> pa.Table:
    """Without the last id if it may have been cut in two: a prediction and its shadows share one."""
    if rows.num_rows <= limit:
        return rows
    all_ids: Any = np.asarray(rows["id"])
    whole = int(np.searchsorted(all_ids, all_ids[-1]))
    return rows.slice(0, whole or rows.num_rows)


def _waiting(database: duckdb.DuckDBPyConnection, outcomes: Relation | None, held_by: str, terms: Terms) -> int:
    return int(database.execute(told.after(outcomes, terms.declared, held_by)).fetchall()[0][0])
