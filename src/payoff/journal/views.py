"""The views people query: predictions, shadows, outcomes (last corrections) and outcome_log, of one endpoint or all."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import duckdb
import pyarrow as pa

from payoff.journal import scan, told
from payoff.journal.shape import literal, quoted
from payoff.journal.snapshot import Relation, Snapshot
from payoff.journal.tables import File

_TAKEN = frozenset({"main", "temp", "system", "information_schema", "pg_catalog"})  # schemas that DuckDB has


def open_database(home: Path, memory_bytes_max: int) -> duckdb.DuckDBPyConnection:
    """An empty DuckDB in memory that sees no variables of Python code and counts days in UTC."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory_bytes_max >> 20}MiB",
        "temp_directory": str(home / "run" / "duckdb"),
        "python_enable_replacements": False,
        "parquet_metadata_cache": True,  # no file ever changes
        "autoinstall_known_extensions": False,
    }
    database = duckdb.connect(":memory:", config=config)
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    return database


def register(database: duckdb.DuckDBPyConnection, relations: Iterable[Relation]) -> None:
    """Make fresh rows readable under their names; none are rows too, where no file is asked for."""
    for relation in relations:
        database.register(scan.fresh_name(relation.kind).strip('"'), relation.fresh)


def create(database: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    """All views: in `main` over all endpoints, and for each endpoint in a schema of its name."""
    relations = list(snapshot.relations.values())
    _create(database, "main", relations)
    for endpoint in sorted({relation.kind[1] for relation in relations} - _TAKEN):
        database.execute(f"CREATE SCHEMA {quoted(endpoint)}")
        _create(database, endpoint, [relation for relation in relations if relation.kind[1] == endpoint])


def newest(
    database: duckdb.DuckDBPyConnection, snapshot: Snapshot, endpoint: str, limit: int, before: str | None
) -> pa.Table:
    """The newest predictions before an id, newest first, with their last outcome and its value."""
    relation = snapshot.relations.get(("predictions", endpoint))
    below = before or "~"
    low = _lowest_needed(relation, limit, below)
    files = [file for file in relation.files if low <= file.high and file.low < below] if relation else []
    items = scan.branches(relation, _seen(relation), scan.fresh_name(("predictions", endpoint)), files)
    columns = ", ".join(map(quoted, _seen(relation)))
    picked = " UNION ALL ".join(
        f"SELECT {columns} FROM {item} WHERE id >= {literal(low)} AND id < {literal(below)}" for item in items
    )
    known = told.join(snapshot.relations.get(("outcomes", endpoint)), {}, low[:-1])
    found = database.sql(
        f"""WITH picked AS (FROM ({picked}) ORDER BY id DESC, shadow LIMIT {limit}), known AS ({known})
        SELECT picked.*, o.outcome, o.outcome_value FROM picked LEFT JOIN known AS o ON o.prediction_id = picked.id
        ORDER BY picked.id DESC, shadow"""
    ).to_arrow_table()
    return cast(pa.Table, found)


def count(database: duckdb.DuckDBPyConnection, snapshot: Snapshot, endpoint: str) -> dict[str, int]:
    """How many predictions, shadows and outcomes there are."""
    relation = snapshot.relations.get(("predictions", endpoint))
    outcomes = snapshot.relations.get(("outcomes", endpoint))
    shadows = 0
    if relation:
        source = scan.whole(relation, _seen(relation), scan.fresh_name(relation.kind))
        shadows = int(database.execute(f"SELECT count(*) FROM {source} WHERE shadow").fetchall()[0][0])
    answered = relation.rows - shadows if relation else 0
    return {"predictions": answered, "shadows": shadows, "outcomes": outcomes.rows if outcomes else 0}


def known_ids(database: duckdb.DuckDBPyConnection, relation: Relation | None, some: Sequence[str]) -> set[str]:
    """Which ids are there; looks only into files whose range of ids has one of them."""
    found = _among(database, relation, some, "id", "id")
    return {str(one) for table in found for one in table["id"].to_pylist()}


def told_parts(
    database: duckdb.DuckDBPyConnection, relation: Relation | None, some: Sequence[str]
) -> set[tuple[str, str | None]]:
    """Of which parts of these predictions an outcome is there: (prediction id, part)."""
    part = "part" if relation is not None and "part" in relation.storage.names else "CAST(NULL AS VARCHAR) AS part"
    found = _among(database, relation, some, "prediction_id", f"prediction_id, {part}")
    return {pair for one in found for pair in zip(*(column.to_pylist() for column in one.columns), strict=True)}


def _among(
    database: duckdb.DuckDBPyConnection, relation: Relation | None, some: Sequence[str], key: str, columns: str
) -> Iterator[pa.Table]:
    """Some columns of the rows whose key is one of these, each row at least once."""
    if relation is None or not some:
        return
    wanted = sorted(set(some))
    files = [file.path for file in relation.files if _has_any(wanted, file, key)]
    database.register("wanted", pa.table({"id": pa.array(wanted, pa.string())}))
    sources = [scan.fresh_name(relation.kind)] if relation.fresh.num_rows else []
    sources += [scan.parquet([*_schema(relation), *files])] if files else []
    span = f"{key} BETWEEN {literal(wanted[0])} AND {literal(wanted[-1])}"
    for source in sources:
        sql = f"SELECT DISTINCT {columns} FROM {source} WHERE {span} AND {key} IN (SELECT id FROM wanted)"
        yield cast(pa.Table, database.sql(sql).to_arrow_table())


def _has_any(wanted: Sequence[str], file: File, key: str) -> bool:
    """Whether one of some sorted ids lies in a file's range."""
    low, high = (file.low, file.high) if key == "id" else (file.key_low, file.key_high)
    return bisect_left(wanted, low) < bisect_right(wanted, high)


def _schema(relation: Relation) -> list[str]:
    """The file that has every column, for files that may lack some."""
    return [] if relation.schema_path is None else [str(relation.schema_path)]


def _create(database: duckdb.DuckDBPyConnection, schema: str, relations: Sequence[Relation]) -> None:
    answered = _union([each for each in relations if each.kind[0] == "predictions"], "predictions")
    kept = [each for each in relations if each.kind[0] == "outcomes"]
    outcomes = _union(kept, "outcomes")
    for name, sql in (
        ("predictions", f"FROM {answered} WHERE NOT shadow"),
        ("shadows", f"FROM {answered} WHERE shadow"),
        ("outcome_log", f"FROM {outcomes}"),
        ("outcomes", told.last(outcomes, scan.view(kept, "outcomes"))),
    ):
        database.execute(f"CREATE VIEW {quoted(schema)}.{name} AS {sql}")


def _union(relations: Sequence[Relation], kind: str) -> str:
    seen = scan.view(relations, kind)
    if not relations:
        return scan.whole(None, seen, "")
    columns = ", ".join([*map(quoted, seen), "date"])
    items = [scan.whole(relation, seen, scan.fresh_name(relation.kind)) for relation in relations]
    return items[0] if len(items) == 1 else f"({' UNION ALL '.join(f'SELECT {columns} FROM {item}' for item in items)})"


def _seen(relation: Relation | None) -> scan.View:
    return scan.view([relation] if relation else [], "predictions")


def _lowest_needed(relation: Relation | None, limit: int, below: str) -> str:
    """An id from which on there are rows enough."""
    found = 0
    for file in sorted(relation.files if relation else (), key=lambda file: file.low, reverse=True):
        found += file.rows if file.high < below else 0
        if found >= limit:
            return file.low
    return "0"
