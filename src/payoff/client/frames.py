"""The user's frames to Arrow and back: the same kind comes out that went in.

Nothing heavy is imported before it is seen.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payoff.errors import BadInput

if TYPE_CHECKING:
    import pyarrow

REQUEST_BYTES_MAX = 8 << 20  # what one request carries; the doors take 64 MiB
REQUEST_ROWS_MAX = 50_000
CALL_ROWS_MAX = 10_000  # of a request that a model answers: other callers wait for it


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame as an Arrow table, and how to make the same kind of frame from another."""

    table: "pyarrow.Table"
    back: Callable[["pyarrow.Table"], Any]


def take(frame: Any) -> Taken:
    """pandas, polars, pyarrow, what has the Arrow PyCapsule interface; dicts in a list; lists or arrays in a dict;
    arrays and tensors: one of two dimensions has a column per feature, one of more is one column, `x`.

    Raises BadInput naming the column that has no Arrow type, or the kind of frame nobody knows.
    """
    import pyarrow as pa

    try:
        return _take(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise BadInput(f"a column mixes types or has one that Arrow does not know: {error}") from error


def _take(frame: Any) -> Taken:
    import pyarrow as pa

    room = type(frame).__module__.partition(".")[0]
    if room == "pandas" and hasattr(frame, "columns"):
        return _from_pandas(frame)
    if isinstance(frame, pa.Table):
        return Taken(frame, lambda table: table)
    if isinstance(frame, dict) and frame and all(isinstance(values, list) for values in frame.values()):
        return Taken(pa.table(frame), lambda table: table.to_pydict())
    if isinstance(frame, dict) and frame and all(is_array(values) for values in frame.values()):
        return Taken(_tensors(frame), lambda table: table)
    if isinstance(frame, dict):
        return Taken(_rows([frame]), lambda table: table.to_pylist()[0])
    if isinstance(frame, list) and all(isinstance(row, dict) for row in frame):
        return Taken(_rows(frame), lambda table: table.to_pylist())
    if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__"):
        return Taken(pa.table(frame), _to_polars if room == "polars" else lambda table: table)
    if is_array(frame) and frame.ndim >= 2:
        return Taken(_tensors(spread(frame)), lambda table: table)
    raise BadInput(
        f"cannot read rows from a {type(frame).__module__}.{type(frame).__qualname__}; "
        "give a pandas or polars DataFrame, a pyarrow Table or a list of dicts"
    )


def is_array(value: Any) -> bool:
    """An array of NumPy's or a tensor of PyTorch's, with rows."""
    return type(value).__module__.partition(".")[0] in ("numpy", "torch") and getattr(value, "ndim", 0) >= 1


def spread(array: Any) -> dict[str, Any]:
    """A matrix as its columns x0, x1, ...; an array of more dimensions as one column."""
    return {f"x{i}": array[:, i] for i in range(array.shape[1])} if array.ndim == 2 else {"x": array}


def to_numpy(array: Any) -> Any:
    """The array itself, or what a tensor holds."""
    return array.detach().cpu().numpy() if hasattr(array, "detach") else array


def _tensors(arrays: dict[str, Any]) -> "pyarrow.Table":
    """A column per array; the shape of a row as lists of fixed length."""
    import pyarrow as pa

    columns = {}
    for name, array in arrays.items():
        values = to_numpy(array)
        column = pa.array(values.reshape(-1))
        for size in reversed(values.shape[1:]):
            column = pa.FixedSizeListArray.from_arrays(column, int(size))
        columns[str(name)] = column
    return pa.table(columns)


def _from_pandas(frame: Any) -> Taken:
    import pyarrow as pa

    names = [str(name) for name in frame.columns]
    table = pa.Table.from_pandas(frame.set_axis(names, axis=1), preserve_index=False).replace_schema_metadata(None)

    def back(answer: "pyarrow.Table") -> Any:
        made = answer.to_pandas()
        made.index = frame.index
        return made

    return Taken(table, back)


def _rows(rows: list[dict[str, Any]]) -> "pyarrow.Table":
    """pyarrow takes the columns from the first row only; here every row may name some."""
    import pyarrow as pa

    if not rows:
        raise BadInput("there is no row to send")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({str(name): pa.array([row.get(name) for row in rows]) for name in names})


def _to_polars(table: "pyarrow.Table") -> Any:
    import importlib

    return importlib.import_module("polars").from_arrow(table)


def to_pandas(table: "pyarrow.Table") -> Any:
    """A pandas frame where pandas is installed; the Arrow table itself otherwise."""
    try:
        import pandas  # noqa: F401
    except ImportError:
        return table
    return table.to_pandas()


def pieces(table: "pyarrow.Table", rows_max: int | None = None) -> Iterator["pyarrow.Table"]:
    """The rows in parts that fit into one request each."""
    fit = table.num_rows * REQUEST_BYTES_MAX // max(1, table.nbytes)
    step = max(1, min(fit, REQUEST_ROWS_MAX, rows_max or REQUEST_ROWS_MAX))
    for start in range(0, max(1, table.num_rows), step):
        yield table.slice(start, step)


def line(row: Mapping[str, Any]) -> bytes:
    """A row as a line of JSON; dates and times as ISO text, NaN as null."""
    import orjson

    try:
        return orjson.dumps(dict(row), option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:
        raise BadInput(f"a row cannot be written as JSON: {error}") from error


def stream(table: "pyarrow.Table") -> bytes:
    """An Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def read(body: bytes) -> "pyarrow.Table":
    """The table in an Arrow IPC stream."""
    import pyarrow as pa

    with pa.ipc.open_stream(body) as reader:
        return reader.read_all()
