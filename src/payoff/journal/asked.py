"""What was asked and what became of it, row by row: for putting the same rows to another version."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making

from typing import cast

import duckdb
import pyarrow as pa

from payoff.journal import scan, told
from payoff.journal.shape import literal
from payoff.journal.snapshot import Snapshot


def asked(
    database: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    endpoint: str,
    after_id: str,
    declared: scan.Declared,
    within_us: int | None,
) -> pa.Table:
    """id, inputs, decision, outcome and outcome_value of every answered prediction after an id, in order.

    With `within_us` only what happened so soon counts, as in payoff.journal.matured.
    """
    relation = snapshot.relations.get(("predictions", endpoint))
    seen = scan.view([relation] if relation else [], "predictions", declared)
    files = [file for file in relation.files if file.high > after_id] if relation else []
    known = told.join(snapshot.relations.get(("outcomes", endpoint)), declared, after_id, "~", within_us)
    selects = " UNION ALL ".join(
        f"""SELECT p.id, p.inputs, p.decision, o.outcome, o.outcome_value
            FROM {item} AS p LEFT JOIN known AS o ON o.prediction_id = p.id
            WHERE p.id > {literal(after_id)} AND NOT p.shadow"""
        for item in scan.branches(relation, seen, scan.fresh_name(("predictions", endpoint)), files)
    )
    return cast(pa.Table, database.sql(f"WITH known AS ({known}) FROM ({selects}) ORDER BY id").to_arrow_table())
