"""Sample rows in a file of the caller's, as an Arrow table: what a model is checked with before it may answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from payoff.errors import BadInput, TooLarge

if TYPE_CHECKING:
    import pyarrow

BYTES_MAX = 64 << 20
SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet", ".arrow", ".feather")


def read(path: Path, filename: str) -> "pyarrow.Table":
    """The rows; how they are written is told by the file's name. BadInput says what does not fit."""
    import pyarrow as pa

    suffix = Path(filename).suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInput(f"the sample is called {filename[:80]!r}; its name has to end in one of {', '.join(SUFFIXES)}")
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise BadInput(f"the sample {filename[:80]!r} is empty; give some 100 rows of what the model is asked")
    if size_bytes > BYTES_MAX:
        raise TooLarge(f"the sample is larger than {BYTES_MAX >> 20} MiB; some 100 rows are enough")
    try:
        return _read(path, suffix)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError) as error:
        raise BadInput(f"the sample {filename[:80]!r} cannot be read as {suffix[1:]}: {error}") from error


def _read(path: Path, suffix: str) -> "pyarrow.Table":
    if suffix == ".csv":
        from pyarrow import csv

        return csv.read_csv(path)
    if suffix == ".parquet":
        from pyarrow import parquet

        return parquet.read_table(path.open("rb"))
    if suffix in (".arrow", ".feather"):
        return _ipc(path.read_bytes())
    return _records(path.read_bytes(), suffix)


def _ipc(body: bytes) -> "pyarrow.Table":
    import pyarrow as pa

    reader = pa.ipc.open_file(body) if body.startswith(b"ARROW1") else pa.ipc.open_stream(body)
    return reader.read_all()


def _records(body: bytes, suffix: str) -> "pyarrow.Table":
    import orjson
    import pyarrow as pa

    said: Any = orjson.loads(body) if suffix == ".json" else [orjson.loads(line) for line in body.splitlines() if line]
    if isinstance(said, dict) and len(said) == 1 and next(iter(said)) in ("rows", "columns"):
        (said,) = said.values()
    if isinstance(said, dict):
        return pa.table({name: values if isinstance(values, list) else [values] for name, values in said.items()})
    if not isinstance(said, list) or not all(isinstance(row, dict) for row in said):
        raise ValueError("expected a list of records, or an object with a list per column")
    names = list(dict.fromkeys(name for row in said for name in row))
    return pa.table({name: pa.array([row.get(name) for row in said]) for name in names})
