"""Paths that ask the journal: SQL, the latest predictions, and what the versions earned."""

import math
import time
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from litestar import Request, Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.params import Parameter

from payoff.api.engines import House
from payoff.api.lists import Limit
from payoff.errors import BadInput
from payoff.journal import ids
from payoff.records import names

if TYPE_CHECKING:
    import pyarrow

ARROW = "application/vnd.apache.arrow.stream"
ROWS = 10_000
ROWS_MAX = 1_000_000
BeforeId = Annotated[str | None, Parameter(description="Only those before this prediction, for the next page.")]


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """SQL for DuckDB over the views predictions, shadows and outcomes."""

    sql: str
    limit: int = ROWS


@post("/sql", status_code=200)
async def sql(request: Request[Any, Any, Any], house: House, data: Question) -> Response[Any]:
    """Runs one question in a locked-down, read-only DuckDB: no files, no network, no settings.

    JSON with columns and rows; with `Accept: application/vnd.apache.arrow.stream` an Arrow stream.
    """
    if not 1 <= data.limit <= ROWS_MAX:
        raise BadInput(f"limit is {data.limit}; expected 1 to {ROWS_MAX:,}")
    is_arrow = ARROW in request.headers.get("accept", "")

    def act() -> Response[Any]:
        began = time.perf_counter()
        found = house.journal.sql(data.sql, data.limit)
        if is_arrow:
            headers = {"x-payoff-truncated": str(found.truncated).lower()}
            return Response(_stream(found.table), media_type=ARROW, headers=headers)
        seconds = round(time.perf_counter() - began, 4)
        return Response(as_json(found.table) | {"truncated": found.truncated, "seconds": seconds})

    return await sync_to_thread(act)


@get("/endpoints/{endpoint:str}/predictions", sync_to_thread=True)
def predictions(house: House, endpoint: str, limit: Limit = 100, before: BeforeId = None) -> dict[str, Any]:
    """The latest predictions of an endpoint, newest first, shadows too, each with its last outcome."""
    name = house.registry.current(names.check(endpoint, "endpoint")).endpoint
    table = house.journal.predictions(name, limit, None if before is None else _page(before))
    return {"endpoint": name, "predictions": _records(table)}


def _page(before: str) -> str:
    """The id that a page ends before; BadInput for a text that is none, which would sort anywhere."""
    try:
        ids.parse([before])
    except BadInput as error:
        raise BadInput(
            f"before is {before[:60]!r}, which is no prediction id; expected the id of the last prediction on a page"
        ) from error
    return before


def as_json(table: "pyarrow.Table") -> dict[str, Any]:
    """Columns with their types, and rows as lists of plain values."""
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    return {"columns": columns, "rows": [list(row) for row in _rows(table)]}


def _records(table: "pyarrow.Table") -> list[dict[str, Any]]:
    return [dict(zip(table.column_names, row, strict=True)) for row in _rows(table)]


def _rows(table: "pyarrow.Table") -> Iterator[tuple[Any, ...]]:
    return zip(*([plain(one) for one in _values(column)] for column in table.columns), strict=True)


def _values(column: Any) -> list[Any]:
    """The values of an Arrow column; one by one where Python has no word for some of them."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_value(one) for one in column]


def _value(scalar: Any) -> Any:
    import pyarrow as pa

    if not scalar.is_valid:
        return None
    if isinstance(scalar, pa.StructScalar):
        return {name: _value(one) for name, one in scalar.items()}
    if isinstance(scalar, pa.ListScalar):
        items: Any = scalar.values
        if isinstance(scalar, pa.MapScalar):
            return [(_value(one["key"]), _value(one["value"])) for one in items]
        return [_value(one) for one in items]
    try:
        return scalar.as_py()
    except (OverflowError, ValueError):
        return _far(scalar)


def _far(scalar: Any) -> str | None:
    """A day or a time that Python's calendar does not reach, as ISO 8601; None for infinity."""
    number, is_day = scalar.value, not hasattr(scalar.type, "unit")
    if abs(number) >= (1 << 31 if is_day else 1 << 63) - 1:  # DuckDB's infinity
        return None
    text = str(np.datetime64(number, "D" if is_day else scalar.type.unit))
    return text if is_day or scalar.type.tz is None else f"{text}+00:00"


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinity become null, times ISO 8601, bytes hexadecimal."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)


def _stream(table: "pyarrow.Table") -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


HANDLERS = [sql, predictions]
