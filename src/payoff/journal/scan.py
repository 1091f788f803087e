"""A relation as SQL that DuckDB can read: Parquet files, and fresh rows as Arrow tables, in the columns queries see."""

# ruff: noqa: S608 - every name here is quoted, every value a literal of our own making, every expression compiled

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import pyarrow as pa

from payoff.journal import shape
from payoff.journal.decode import Kind
from payoff.journal.snapshot import Relation
from payoff.journal.tables import File
from payoff.records.signature import Field

Declared = Mapping[str, Sequence[Field]]  # group ("inputs", "outputs", "decision", "outcome") -> its columns
View = Mapping[str, pa.DataType]  # the columns queries see

_MOMENT = pa.timestamp("us", "UTC")
BASE: dict[str, dict[str, pa.DataType]] = {
    "predictions": {
        "id": pa.string(), "time": _MOMENT, "endpoint": pa.string(), "revision": pa.int64(), "arm": pa.string(),
        "model": pa.string(), "version": pa.int64(), "shadow": pa.bool_(), "key": pa.string(), "why": pa.string(),
        "violations": pa.list_(pa.string()), "latency_us": pa.int64(), "cpu_ns": pa.int64(), "choice": pa.string(),
        "share": pa.float64(), "instead_of": pa.string(), "propensity": pa.float64(),
    },
    "outcomes": {
        "id": pa.string(), "prediction_id": pa.string(), "time": _MOMENT, "endpoint": pa.string(),
        "value": pa.float64(), "happened": _MOMENT, "part": pa.string(), "amount": pa.float64(),
        "currency": pa.string(),
    },
}  # fmt: skip


def view(relations: Iterable[Relation], kind: str, declared: Declared | None = None) -> View:
    """The columns of some relations of one kind, seen as one; declared columns are there and of their types."""
    own = list(chain.from_iterable(relation.storage for relation in relations))
    decided: dict[str, pa.DataType] = dict(BASE[kind])
    for group, fields in (declared or {}).items():
        if group == "decision" and fields:
            decided["decision"] = shape.struct(fields).field(0).type
        elif fields and (group == "outcome") == (kind == "outcomes"):
            decided[group] = shape.struct(fields)
    seen = shape.logical(own, decided)
    missing = ("outcome",) if kind == "outcomes" else ("inputs", "outputs", "decision")
    return seen | {name: pa.string() for name in missing if name not in seen}


def branches(relation: Relation | None, seen: View, fresh: str, files: Sequence[File] | None = None) -> list[str]:
    """FROM items that together hold the rows of a relation, with their date: files (or some), and fresh rows.

    `fresh` is the name under which the fresh rows are registered. The items are plain scans wherever the columns lie
    as they are seen: DuckDB then reads only the struct fields that a query asks for.
    """
    if relation is None:
        return [f"(SELECT {shape.select([], seen)}, NULL::DATE AS date WHERE false)"]
    files = relation.files if files is None else files
    found = []
    if files:
        schema = [] if relation.schema_path is None else [str(relation.schema_path)]
        found.append(_item(relation.filed, seen, parquet([*schema, *(file.path for file in files)]), "date"))
    if relation.fresh.num_rows or not found:
        found.append(_item(relation.storage, seen, fresh, "CAST(time AS DATE) AS date"))
    return found


def whole(relation: Relation | None, seen: View, fresh: str) -> str:
    """All rows of a relation as one FROM item."""
    items = branches(relation, seen, fresh)
    columns = ", ".join([*map(shape.quoted, seen), "date"])
    return items[0] if len(items) == 1 else f"({' UNION ALL '.join(f'SELECT {columns} FROM {item}' for item in items)})"


def parquet(paths: Sequence[str]) -> str:
    """A scan of Parquet files that may not have all columns each."""
    return f"read_parquet([{', '.join(map(shape.literal, paths))}], union_by_name = true, hive_partitioning = true)"


def fresh_name(kind: Kind) -> str:
    """The name under which the fresh rows of a relation are registered."""
    return shape.quoted(f"fresh {kind[0]} {kind[1]}")


def _item(storage: pa.Schema, seen: View, source: str, date: str) -> str:
    if {field.name: field.type for field in storage} != dict(seen):
        return f"(SELECT {shape.select(list(storage), seen)}, {date} FROM {source})"
    return source if date == "date" else f"(SELECT *, {date} FROM {source})"
