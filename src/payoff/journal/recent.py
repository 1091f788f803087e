"""What was answered since an id, added up by the second and the arm: what hard limits are held against."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import duckdb
import pyarrow as pa
import pyarrow.compute

from payoff.journal import ids, scan
from payoff.journal.shape import literal
from payoff.journal.snapshot import Relation, Snapshot

_ARM = "coalesce(nullif(instead_of, ''), arm)"  # what the fallback answered for an arm counts as the arm's
_OWN = "NOT shadow AND coalesce(choice, '') <> 'holdout'"


@dataclass(frozen=True, slots=True)
class Span:
    """Predictions of an endpoint after one id and before another."""

    endpoint: str
    after_id: str
    before_id: str


def added(
    database: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    span: Span,
    measures: Sequence[str],
    declared: scan.Declared,
) -> pa.Table:
    """Per second, revision and arm: `rows`, and m0, m1, ... the sum of each measure, SQL of a number, null as 0."""
    sums = "".join(f", coalesce(sum(CAST({sql} AS DOUBLE)), 0) AS m{n}" for n, sql in enumerate(measures))
    each = f"SELECT epoch_us(time) // 1000000 AS second, revision, {_ARM} AS arm, count(*) AS rows{sums}"
    parts = " UNION ALL ".join(f"{each} FROM {item} GROUP BY ALL" for item in _items(snapshot, span, declared))
    again = "".join(f", sum(m{n}) AS m{n}" for n in range(len(measures)))
    whole = f"SELECT second, revision, arm, sum(rows) AS rows{again} FROM ({parts}) GROUP BY ALL ORDER BY second"
    return cast(pa.Table, database.sql(whole).to_arrow_table())


def busiest(database: duckdb.DuckDBPyConnection, snapshot: Snapshot, span: Span) -> list[tuple[int, str, str, int]]:
    """For every revision and arm the key that came most often, and how often: (revision, arm, key, rows)."""
    items = _items(snapshot, span, {})
    parts = " UNION ALL ".join(f"SELECT revision, {_ARM} AS arm, key FROM {item} AND key IS NOT NULL" for item in items)
    sql = f"""SELECT revision, arm, key, count(*) AS rows FROM ({parts}) GROUP BY revision, arm, key
        QUALIFY row_number() OVER (PARTITION BY revision, arm ORDER BY rows DESC, key) = 1"""
    found: list[tuple[Any, ...]] = database.execute(sql).fetchall()
    return [(int(revision), str(arm), str(key), int(rows)) for revision, arm, key, rows in found]


def between(relation: Relation | None) -> tuple[int, int] | None:
    """When the first and the last row were made, in microseconds; None where there are none."""
    if relation is None or not relation.rows:
        return None
    fresh = relation.fresh["id"]
    ends = [end for file in relation.files for end in (file.low, file.high)]
    if len(fresh):
        least = cast(Any, pyarrow.compute.min_max(fresh)).as_py()
        ends += [least["min"], least["max"]]
    return ids.time_us(min(ends)), ids.time_us(max(ends))


def behind(database: duckdb.DuckDBPyConnection, snapshot: Snapshot, endpoint: str, rows: int, before_id: str) -> str:
    """An id with so many answered predictions after it and before another id; "" if there are fewer."""
    relation = snapshot.relations.get(("predictions", endpoint))
    seen = scan.view([relation] if relation else [], "predictions", {})
    items = scan.branches(relation, seen, scan.fresh_name(("predictions", endpoint)))
    each = " UNION ALL ".join(f"SELECT id FROM {item} WHERE NOT shadow AND id < {literal(before_id)}" for item in items)
    found = database.execute(f"SELECT id FROM ({each}) ORDER BY id DESC LIMIT 1 OFFSET {rows}").fetchone()
    return "" if found is None else str(found[0])


def _items(snapshot: Snapshot, span: Span, declared: scan.Declared) -> list[str]:
    """FROM items with a WHERE that leaves the rows of the span which an arm answered, or was answered for."""
    relation = snapshot.relations.get(("predictions", span.endpoint))
    seen = scan.view([relation] if relation else [], "predictions", declared)
    files = [f for f in relation.files if f.high > span.after_id and f.low < span.before_id] if relation else []
    items = scan.branches(relation, seen, scan.fresh_name(("predictions", span.endpoint)), files)
    where = f"id > {literal(span.after_id)} AND id < {literal(span.before_id)} AND {_OWN}"
    return [f"{item} WHERE {where}" for item in items]
