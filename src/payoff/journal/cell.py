"""The process that runs one untrusted SELECT (see sandbox.py): takes a request on stdin, answers on stdout.

The answer is a line of JSON, then the rows as an Arrow stream.
"""

import os
import resource
import sys
from dataclasses import replace
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, cast

import duckdb
import orjson
import pyarrow as pa

from payoff.errors import BadInput, Busy, PayoffError, TooLarge
from payoff.journal import guard, tables, views
from payoff.journal.snapshot import Relation, Snapshot, Snapshots
from payoff.store.files import told

_ANSWER_BYTES_MAX = 64 << 20
_OVERHEAD_BYTES = 3 << 30  # address space of the interpreter, the libraries and the threads' stacks


class _WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas if it can: half a second, for nothing that happens here."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def main() -> None:
    """Answer one request."""
    sys.meta_path.insert(0, _WithoutPandas())
    request = orjson.loads(sys.stdin.buffer.read())
    try:
        table, truncated = answer(**request)
        raw = orjson.dumps({"truncated": truncated}) + b"\n" + _stream(table)
    except PayoffError as error:
        raw = orjson.dumps({"kind": type(error).__name__, "error": str(error)}) + b"\n"
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()
    os._exit(0)  # whatever threads a stopped query left behind


def answer(
    home: str, scratch: str, text: str, rows_max: int, seconds_max: float, memory_bytes_max: int
) -> tuple[pa.Table, bool]:
    """The rows, at most `rows_max` and 64 MiB of them, and whether there were more."""
    os.chdir(home)  # paths are relative from here on: no message names the home
    taken = Snapshots(Path()).take()
    with told("copying the fresh rows for the query"):
        snapshot = _on_disk(taken, Path(scratch).relative_to(home))
    database = locked_down(snapshot, seconds_max, memory_bytes_max)
    _limit_process(seconds_max, memory_bytes_max)
    try:
        return _run(database, guard.check(database, text), rows_max)
    except duckdb.InterruptException as error:
        raise Busy(f"the query ran longer than {seconds_max:g} s and was stopped; ask for less") from error
    except (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError) as error:
        raise TooLarge(f"the query needed more than {memory_bytes_max >> 20} MiB; select less of the rows") from error
    except (duckdb.Error, pa.ArrowException, UnicodeError, OverflowError) as error:
        raise BadInput(guard.first_line(error)) from error


def _run(database: duckdb.DuckDBPyConnection, text: str, rows_max: int) -> tuple[pa.Table, bool]:
    reader = cast(pa.RecordBatchReader, database.sql(text).to_arrow_reader(2048))
    batches: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in reader:
        size += batch.nbytes
        if size > _ANSWER_BYTES_MAX:
            return pa.Table.from_batches(batches, reader.schema), True
        batches.append(batch.slice(0, rows_max - rows))
        rows += batch.num_rows
        if rows > rows_max:
            return pa.Table.from_batches(batches, reader.schema), True
    return pa.Table.from_batches(batches, reader.schema), False


def _on_disk(snapshot: Snapshot, scratch: Path) -> Snapshot:
    """Fresh rows as files too, so that DuckDB reads all rows in one way, and only the columns it needs."""
    return replace(snapshot, relations={k: _written(each, scratch) for k, each in snapshot.relations.items()})


def _written(relation: Relation, scratch: Path) -> Relation:
    if not relation.fresh.num_rows:
        return relation
    files = tables.write_by_date(relation.fresh, scratch / "-".join(relation.kind), durable=False)
    return replace(relation, files=(*relation.files, *files), filed=relation.storage, fresh=relation.fresh.slice(0, 0))


def locked_down(snapshot: Snapshot, seconds_max: float, memory_bytes_max: int) -> duckdb.DuckDBPyConnection:
    """A database with the views over a snapshot, and no way to anything else."""
    database = views.open_database(Path("run"), memory_bytes_max)
    views.register(database, snapshot.relations.values())
    paths = [file.path for each in snapshot.relations.values() for file in each.files]
    paths += [str(each.schema_path) for each in snapshot.relations.values() if each.schema_path]
    settings: dict[str, Any] = {
        "temp_directory": "",
        "allowed_paths": paths,
        "threads": 2,
        "max_execution_time": int(seconds_max * 1000),
        "autoload_known_extensions": False,
        "allow_community_extensions": False,
        "enable_external_access": False,
    }
    for name, value in settings.items():
        database.execute(f"SET GLOBAL {name} = {value!r}")
    views.create(database, snapshot)
    database.execute("SET GLOBAL lock_configuration = true")
    return database


def _limit_process(seconds_max: float, memory_bytes_max: int) -> None:
    space = memory_bytes_max + _OVERHEAD_BYTES
    seconds = int(seconds_max * 2) + 10  # of CPU time, over two threads
    for what, limit in (
        (resource.RLIMIT_AS, space), (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        resource.setrlimit(what, (limit, limit))


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


if __name__ == "__main__":
    main()
