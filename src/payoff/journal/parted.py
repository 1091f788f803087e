"""Which part each prediction belongs to, by an expression over what was known of it: for reports by segment."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from typing import cast

import duckdb
import pyarrow as pa

from payoff.journal import scan
from payoff.journal.snapshot import Snapshot


def parts(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, endpoint: str, sql: str, declared: scan.Declared
) -> pa.Table:
    """id and part, a text or null, of every prediction that was answered; in no order."""
    relation = snapshot.relations.get(("predictions", endpoint))
    seen = scan.view([relation] if relation else [], "predictions", declared)
    selects = " UNION ALL ".join(
        f"SELECT id, CAST({sql} AS VARCHAR) AS part FROM {item} WHERE NOT shadow"
        for item in scan.branches(relation, seen, scan.fresh_name(("predictions", endpoint)))
    )
    return cast(pa.Table, database.sql(selects).to_arrow_table())
