"""One Delta Lake table of an endpoint: which files it has, and appending to it exactly once.

The files are written here, sorted by id, and committed as one Delta transaction together with the number of the
compaction that they come from. Beside each table lies a Parquet file without rows: its schema is the table's storage
schema, and queries read it along, so that every column is there whichever files they need.
"""

import json
import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.transaction import AddAction, RemoveAction

from payoff.clock import now_us
from payoff.journal import shape
from payoff.journal.decode import Kind

APP = "payoff-journal"  # the name under which compactions are numbered in Delta's log
ROW_GROUP = 65_536
_RANGES = ("id", "prediction_id")  # columns whose ranges are kept per file
_CONFIGURATION = {"delta.logRetentionDuration": "interval 1 days", "delta.checkpointInterval": "50"}


class File(NamedTuple):
    """One data file: its path, date, rows and bytes, and what ids lie in it (`key_*`: prediction ids of outcomes)."""

    path: str
    date: str
    rows: int
    size: int
    low: str
    high: str
    key_low: str
    key_high: str


class Table:
    """Delta table `kind` ("predictions", "outcomes") of an endpoint under `root` (HOME/tables)."""

    def __init__(self, root: Path, kind: Kind) -> None:
        self.path = root / kind[1] / kind[0]
        self.schema_path = root / kind[1] / ".schema" / "date=1970-01-01" / f"{kind[0]}.parquet"
        self.files: tuple[File, ...] = ()
        self.compaction = 0  # the number of the last compaction that is in the table
        self.storage = pa.schema([])
        self._delta: DeltaTable | None = None
        self._checkpoint = 0

    def refresh(self) -> None:
        """See the newest version of the table; cheap when there is none."""
        log = self.path / "_delta_log"
        checkpoint = _mtime_ns(log / "_last_checkpoint")
        if self._delta is None or checkpoint != self._checkpoint:
            if not (log.exists() and DeltaTable.is_deltatable(str(self.path))):
                return
            self._delta, self._checkpoint = DeltaTable(self.path), checkpoint
        elif (log / f"{self._delta.version() + 1:020d}.json").exists():
            self._delta.update_incremental()
        else:
            return
        self._see()

    def _see(self) -> None:
        if self._delta is None:
            return
        self.files = tuple(_files(self.path, self._delta))
        self.compaction = self._delta.transaction_version(APP) or 0
        self.storage = pq.read_schema(self.schema_path)

    @property
    def version(self) -> int:
        return self._delta.version() if self._delta else 0

    def append(self, chunks: Sequence[pa.Table], compaction: int) -> None:
        """Add rows, once: a second call with the same compaction number does nothing."""
        self.refresh()
        if self.compaction >= compaction:
            return
        delta = self._grown([chunk.schema for chunk in chunks])
        adds = self._write(pa.concat_tables(shape.conform(chunk, self.storage) for chunk in chunks).sort_by("id"))
        self._commit(delta, adds, CommitProperties(app_transactions=[Transaction(APP, compaction)]))

    def replace(self, files: Sequence[File]) -> None:
        """Merge some files of one date into one, sorted by id; what queries already read stays on the disk."""
        delta = self._grown([])
        read = [pq.ParquetFile(file.path).read() for file in files]
        merged = pa.concat_tables(shape.conform(table, self.storage) for table in read)
        adds = self._write(merged.sort_by("id"), data_change=False)
        now_ms = now_us() // 1000
        gone = [
            RemoveAction(str(Path(file.path).relative_to(self.path)), False, now_ms, file.size, {"date": file.date})
            for file in files
        ]
        self._commit(delta, [*adds, *gone], CommitProperties())

    def vacuum(self, retention_h: int) -> int:
        """Delete files that no version of the last hours needs, and leftovers of writes that never finished."""
        if self._delta is None:
            return 0
        gone = self._delta.vacuum(retention_h, dry_run=False, enforce_retention_duration=False, full=True)
        return len(gone)

    def _grown(self, incoming: Sequence[pa.Schema]) -> DeltaTable:
        """The table, made if need be, with room for the incoming columns."""
        known = self.storage = pq.read_schema(self.schema_path) if self.schema_path.exists() else pa.schema([])
        for schema in incoming:
            self.storage = pa.schema(shape.place(self.storage, schema))
        if self.storage != known:
            _write_parquet(self.storage.empty_table(), self.schema_path)
        columns = pa.schema([*self.storage, pa.field("date", pa.date32())])
        if self._delta is None:
            self.path.mkdir(parents=True, exist_ok=True)
            self._delta = DeltaTable.create(
                self.path, columns, mode="ignore", partition_by=["date"], configuration=_CONFIGURATION
            )
        if _names(columns) - _names(pa.schema(cast(Any, self._delta.schema().to_arrow()))):
            write_deltalake(self._delta, columns.empty_table(), mode="append", schema_mode="merge")
            self._delta.update_incremental()
        return self._delta

    def _write(self, rows: pa.Table, data_change: bool = True) -> list[AddAction]:
        now_ms = now_us() // 1000
        return [_add(file, self.path, now_ms, data_change) for file in write_by_date(rows, self.path)]

    def _commit(
        self, delta: DeltaTable, actions: Sequence[AddAction | RemoveAction], properties: CommitProperties
    ) -> None:
        delta.create_write_transaction([*actions], "append", delta.schema(), ["date"], commit_properties=properties)
        delta.update_incremental()
        self._see()
        log = self.path / "_delta_log"
        sync(log / f"{delta.version():020d}.json", log, self.path, self.path.parent, self.path.parent.parent)


def kinds(root: Path) -> list[Kind]:
    """The tables there are under HOME/tables."""
    if not root.exists():
        return []
    endpoints = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    return [(kind, name) for name in endpoints for kind in ("predictions", "outcomes") if (root / name / kind).exists()]


def write_by_date(rows: pa.Table, root: Path, durable: bool = True) -> list[File]:
    """New files under `root`, one for each date (of `time`, in UTC) among the rows."""
    days = pc.cast(pc.cast(rows["time"], pa.timestamp("us")), pa.date32())
    found = []
    for day in cast(list[Any], pc.unique(days).sort().to_pylist()):
        path = root / f"date={day}" / f"{uuid.uuid4().hex}.parquet"
        part = rows.filter(pc.equal(days, pa.scalar(day, pa.date32())))
        _write_parquet(part, path, durable)
        ranges = [end for name in _RANGES for end in _range(part, name)]
        found.append(File(str(path), str(day), part.num_rows, path.stat().st_size, *ranges))
    return found


def _range(rows: pa.Table, name: str) -> tuple[str, str]:
    if name not in rows.column_names:
        return "", ""
    found = cast(Any, pc.min_max(rows[name])).as_py()
    return found["min"], found["max"]


def sync(*paths: Path) -> None:
    """Have files and folders reach the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_parquet(table: pa.Table, path: Path, durable: bool = True) -> None:
    """A whole file or none: written aside, synced, renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    pq.write_table(
        table, part, row_group_size=ROW_GROUP, compression="zstd",
        use_dictionary=cast(Any, _dictionary(table.schema)),
        column_encoding={name: "DELTA_BYTE_ARRAY" for name in _RANGES if name in table.column_names},
    )  # fmt: skip
    if durable:
        sync(part)
    part.rename(path)
    if durable:
        sync(path.parent)


def _dictionary(schema: pa.Schema) -> list[str]:
    """Every leaf column but the ids, which never repeat."""
    return [leaf for field in schema for leaf in _leaves(field) if leaf not in _RANGES]


def _leaves(field: shape.FieldOf, prefix: str = "") -> Iterable[str]:
    path = f"{prefix}{field.name}"
    if pa.types.is_struct(field.type):
        for child in shape.children(field.type):
            yield from _leaves(child, f"{path}.")
    elif pa.types.is_list(field.type):
        yield from _leaves(field.type.value_field.with_name("element"), f"{path}.list.")
    else:
        yield path


def _add(file: File, root: Path, now_ms: int, data_change: bool) -> AddAction:
    ranges = {"id": (file.low, file.high), "prediction_id": (file.key_low, file.key_high)}
    known = {name: each for name, each in ranges.items() if each[0]}
    stats = {
        "numRecords": file.rows,
        "minValues": {name: low for name, (low, _) in known.items()},
        "maxValues": {name: high for name, (_, high) in known.items()},
        "nullCount": dict.fromkeys(known, 0),
    }
    path = str(Path(file.path).relative_to(root))
    return AddAction(path, file.size, {"date": file.date}, now_ms, data_change, json.dumps(stats))


def _files(root: Path, delta: DeltaTable) -> Iterable[File]:
    adds = pa.table(delta.get_add_actions(flatten=True))
    names = ["path", "partition.date", "num_records", "size_bytes"]
    names += [f"{end}.{name}" for name in _RANGES for end in ("min", "max")]
    columns = [adds[name].to_pylist() if name in adds.column_names else [""] * adds.num_rows for name in names]
    for path, day, rows, size, *ranges in zip(*columns, strict=True):
        yield File(str(root / path), str(day), rows, size, *ranges)


def _names(schema: Iterable[shape.FieldOf], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for field in schema:
        found.add(f"{prefix}{field.name}")
        if pa.types.is_struct(field.type):
            found |= _names(shape.children(field.type), f"{prefix}{field.name}.")
    return found


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
