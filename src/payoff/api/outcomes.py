"""The path that takes what really happened: checked, journaled and flushed before the reply."""

from typing import Any

import numpy as np
from litestar import Request, post
from litestar.concurrency import sync_to_thread
from numpy.typing import NDArray

from payoff.api.engines import Engines, House
from payoff.codecs import formats
from payoff.errors import BadInput
from payoff.journal import ids
from payoff.journal.frame import Learned, Stream
from payoff.money import MICROS, MICROS_MAX
from payoff.records import Column, Columns, Field, Policy, Type, names, take

ID = Field("prediction_id", Type.TEXT)
VALUE = Field("value", Type.FLOAT64, nullable=True)
UNKNOWN_SHOWN = 20


@post("/endpoints/{endpoint:str}/outcomes", status_code=200)
async def outcomes(request: Request[Any, Any, Any], house: House, endpoint: str) -> dict[str, Any]:
    """Says what really happened: rows with `prediction_id`, the endpoint's outcome columns and, if known, `value`.

    JSON records or columns, JSON lines, CSV, Arrow, Parquet. Late, repeated and corrected outcomes are fine: the last
    one of a prediction counts. Those of unknown predictions are left out and listed; the others are taken. `value` is
    money in units of the endpoint's currency and overrules its value expression. When the reply comes they are kept.
    """
    body = await request.body()
    content_type = request.headers.get("content-type", "application/json")
    return await sync_to_thread(_take, house, names.check(endpoint, "endpoint"), body, content_type)


def _take(house: Engines, endpoint: str, body: bytes, content_type: str) -> dict[str, Any]:
    fields = asked(house.registry.current(endpoint).policy)
    columns = formats.by_content_type(content_type).decode(body, fields)
    check_money(columns[VALUE.name])
    check_said({name: column for name, column in columns.items() if name != ID.name})
    told = columns.pop(ID.name).values
    ids.parse(told.tolist())  # a text that is no id at all is a wrong input, not an unknown prediction
    known = house.journal.known_ids(endpoint, told.tolist())
    mine = np.fromiter((one in known for one in told), bool, len(told))
    return {
        "endpoint": endpoint,
        "accepted": int(mine.sum()),
        "unknown": int((~mine).sum()),
        "unknown_ids": list(dict.fromkeys(told[~mine].tolist()))[:UNKNOWN_SHOWN],
        "outcome_id": _keep(house, endpoint, fields, told[mine].tolist(), take(columns, mine)) if mine.any() else None,
    }


def asked(policy: Policy) -> tuple[Field, ...]:
    """The columns that outcomes of an endpoint have."""
    return (ID, *(field for field in policy.outcome if field.name not in (ID.name, VALUE.name)), VALUE)


def check_money(column: Column) -> None:
    """BadInput, with the row, for what is no amount of money: not finite, or beyond what micros count exactly."""
    valid = np.ones(len(column), bool) if column.valid is None else column.valid
    wrong = np.flatnonzero(valid & ~(np.abs(column.values) * MICROS <= MICROS_MAX))
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"row {row} (the first is 0): value is {column.values[row]}, which is no amount of money; "
            f"expected a number up to {MICROS_MAX // MICROS:,} units, or nothing"
        )


def check_said(columns: Columns) -> None:
    """BadInput, with the row, for an outcome without truth and without money: it would only hide an earlier one."""
    valid = [column.valid for column in columns.values() if column.valid is not None]
    if len(valid) < len(columns):
        return  # a column that has a value in every row
    silent = np.flatnonzero(~np.any(valid, axis=0))
    if len(silent):
        raise BadInput(
            f"row {int(silent[0])} (the first is 0) says nothing; expected a value in {' or '.join(columns)}"
        )


def _keep(house: Engines, endpoint: str, fields: tuple[Field, ...], told: list[str], columns: Columns) -> str:
    """Journals the outcomes and returns the id of the last."""
    truth = [field for field in fields if field.name not in (ID.name, VALUE.name)]
    stream = Stream("outcomes", endpoint, columns=(*(("outcome", field) for field in truth), ("value", VALUE)))
    high, low = ids.parse(told)
    with house.writing:
        own_high, own_low = house.ids.take(len(told))
        at_us: NDArray[np.int64] = np.full(len(told), house.clock(), np.int64)
        truths = {field.name: columns[field.name] for field in truth}
        house.outcomes.note(
            stream, Learned(len(told), own_high, own_low, at_us, high, low, truths, columns[VALUE.name])
        )
        house.outcomes.flush()
    house.watch.nudge()
    return ids.text(own_high[-1:], own_low[-1:])[0]


HANDLERS = [outcomes]
