"""What predictions cost, added up where the rows are: computing time and fees by hour and version, shadows included."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from typing import NamedTuple

import duckdb

from payoff.clock import moment
from payoff.journal import scan
from payoff.journal.snapshot import Snapshot

_HOUR_US = 3_600_000_000


class Spent(NamedTuple):
    """The sums of one version in one role over one hour; the fallback has no version. Fees are rounded row by row."""

    hour_us: int  # when the hour began
    model: str
    version: int | None
    shadow: bool
    predictions: int
    cpu_ns: int
    fee_micros: int


def hours(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, endpoint: str, since_us: int, until_us: int, fee_sql: str,
    declared: scan.Declared,
) -> list[Spent]:  # fmt: skip
    """One line per (hour, model, version, shadow) of the predictions made in this time, in that order."""
    relation = snapshot.relations.get(("predictions", endpoint))
    seen = scan.view([relation] if relation else [], "predictions", declared)
    first, last = moment(since_us).date().isoformat(), moment(until_us).date().isoformat()
    files = [file for file in relation.files if first <= file.date <= last] if relation else []
    selects = " UNION ALL ".join(
        f"""SELECT epoch_us(p.time) AS at_us, p.model, p.version, p.shadow, p.cpu_ns, CAST({fee_sql} AS DOUBLE) AS fee
            FROM {item} AS p"""
        for item in scan.branches(relation, seen, scan.fresh_name(("predictions", endpoint)), files)
    )
    rows = database.execute(
        f"""SELECT at_us // {_HOUR_US} * {_HOUR_US} AS hour_us, model, version, shadow, count(*), sum(cpu_ns),
            coalesce(sum(CAST(round_even(fee * 1e6, 0) AS HUGEINT)), 0)
            FROM ({selects}) WHERE at_us >= {since_us} AND at_us < {until_us} GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    return [
        Spent(hour_us, model, version, shadow, predictions, int(cpu_ns), int(fees))
        for hour_us, model, version, shadow, predictions, cpu_ns, fees in rows
    ]
