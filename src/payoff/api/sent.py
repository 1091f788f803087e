"""Outcome rows as a caller sent them: read, and what is wrong with each, in words."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.clock import iso, moment
from payoff.codecs import formats
from payoff.codecs.cells import FIRST_US, LAST_US
from payoff.codecs.codec import Codec
from payoff.errors import BadInput
from payoff.journal import frame, ids
from payoff.ledger import rates
from payoff.money import MICROS, MICROS_MAX, micros, price_micros
from payoff.records import Column, Field, Policy, Type, take

ID = Field("prediction_id", Type.TEXT)
VALUE, PART, CURRENCY = frame.VALUE[1], frame.PART[1], frame.CURRENCY[1]
AT = Field("at", Type.TIMESTAMP, nullable=True)
AT_MICROS = Field("at", Type.INT64, nullable=True)
CLOCKS_US = 60_000_000  # by how much two clocks may differ
PART_CHARS_MAX = 100

UNREADABLE = "cannot be read"
SILENT = "says nothing"
NO_MONEY = "no amount of money"
FUTURE = "from the future"
EARLY = "before the prediction"
NO_RATE = "no rate for the currency"
UNKNOWN = "unknown prediction"

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sent:
    """The rows of one call. `high` and `low` are their prediction ids; `value` is money in `currency`, null: ours."""

    told: NDArray[Any]
    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    truths: dict[str, Column]
    value: Column
    at: Column
    part: Column
    currency: Column

    def __len__(self) -> int:
        return len(self.told)

    def take(self, rows: Bools) -> "Sent":
        """The rows that a mask picks."""
        columns = (column.take(rows) for column in (self.value, self.at, self.part, self.currency))
        return Sent(self.told[rows], self.high[rows], self.low[rows], take(self.truths, rows), *columns)


@dataclass(frozen=True, slots=True)
class Wrong:
    """Rows refused for one reason, and the words for each."""

    reason: str
    rows: Bools
    words: Callable[[int], str]


def asked(policy: Policy) -> tuple[Field, ...]:
    """The columns that outcomes of an endpoint have: its truth's, and those that every endpoint takes.

    A truth of the name `at`, `part` or `currency` is a truth.
    """
    return _asked(policy.outcome)


@lru_cache(maxsize=256)
def _asked(outcome: tuple[Field, ...]) -> tuple[Field, ...]:
    truths = tuple(field for field in outcome if field.name not in (ID.name, VALUE.name))
    names = {field.name for field in truths}
    return (ID, *truths, VALUE, *(field for field in (AT, PART, CURRENCY) if field.name not in names))


def read(body: bytes, content_type: str, policy: Policy) -> Sent:
    """The rows of a body; BadInput names the row and the column that cannot be read."""
    fields = asked(policy)
    columns = _decoded(formats.by_content_type(content_type), body, fields)
    told = columns.pop(ID.name).values
    own = {
        field.name: columns.pop(field.name) if field in fields else _nothing(field, len(told))
        for field in (AT, PART, CURRENCY)
    }
    _check_parts(own[PART.name])
    value = columns.pop(VALUE.name)
    high, low = ids.parse(told.tolist())  # a text that is no id at all is a wrong input, not an unknown prediction
    return Sent(told, high, low, columns, value, own[AT.name], own[PART.name], own[CURRENCY.name])


def _decoded(codec: Codec, body: bytes, fields: tuple[Field, ...]) -> dict[str, Column]:
    """The columns; `at` may be told in words or, in all rows, in whole microseconds since 1970."""
    try:
        return codec.decode(body, fields)
    except BadInput as error:
        if AT not in fields or "'at'" not in str(error):
            raise
        try:
            columns = codec.decode(body, tuple(AT_MICROS if field is AT else field for field in fields))
        except BadInput:
            raise error from None
    return columns | {AT.name: _moments(columns[AT.name])}


def _moments(column: Column) -> Column:
    wrong = np.flatnonzero(valid(column) & ((column.values < FIRST_US) | (column.values > LAST_US)))
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"column 'at', row {row} (the first is 0): {column.values[row]} is no time; expected microseconds since "
            "1970, or a text like '2008-05-05T10:30:00Z'"
        )
    return Column(column.values.view(Type.TIMESTAMP.dtype), column.valid)


def _check_parts(column: Column) -> None:
    for row in np.flatnonzero(valid(column)).tolist():
        if not 0 < len(column.values[row]) <= PART_CHARS_MAX:
            raise BadInput(
                f"column 'part', row {row} (the first is 0): a part has a name of 1 to {PART_CHARS_MAX} characters; "
                "leave it empty (null) for the whole"
            )


def _nothing(field: Field, rows: int) -> Column:
    return Column(np.zeros(rows, field.type.dtype), np.zeros(rows, bool))


def valid(column: Column) -> Bools:
    """Where there is a value."""
    return np.ones(len(column), bool) if column.valid is None else column.valid


def wrongs(sent: Sent, now_us: int) -> Iterator[Wrong]:
    """What can be seen to be wrong with rows by themselves."""
    spoken = [valid(column) for column in (*sent.truths.values(), sent.value)]
    names = " or ".join([*sent.truths, VALUE.name])
    yield Wrong(SILENT, ~np.any(spoken, axis=0), lambda row: f"says nothing; expected a value in {names}")
    at_us, has_at = sent.at.values.view(np.int64), valid(sent.at)
    yield no_money(sent.value)
    yield Wrong(
        FUTURE,
        has_at & (at_us > now_us + CLOCKS_US),
        lambda row: f"at is {_said(int(at_us[row]))}, which is to come: it is {iso(now_us)} here; say when it happened",
    )
    made_us = ids.times_us(sent.high)
    yield Wrong(
        EARLY,
        has_at & (at_us < made_us - CLOCKS_US),
        lambda row: (
            f"at is {_said(int(at_us[row]))}, which is before its prediction of {_said(int(made_us[row]))}; an outcome "
            "follows its prediction: is it the right prediction_id, and is at in UTC, or whole microseconds since 1970?"
        ),
    )


def no_money(value: Column) -> Wrong:
    """Which amounts are none: not finite, or beyond what micros count exactly."""
    return Wrong(
        NO_MONEY,
        valid(value) & ~(np.abs(value.values) <= MICROS_MAX / MICROS),
        lambda row: (
            f"value is {value.values[row]}, which is no amount of money; "
            f"expected a number up to {MICROS_MAX // MICROS:,} units, or nothing"
        ),
    )


def exchanged(sent: Sent, booked: str, table: rates.Rates, now_us: int) -> tuple[Column, list[Wrong]]:
    """The money in the currency that the endpoint books in, at the rate of the day it happened; and what has none."""
    foreign = valid(sent.currency) & valid(sent.value) & (sent.currency.values != booked) & ~no_money(sent.value).rows
    if not foreign.any():
        return sent.value, []
    values, lacking = sent.value.values.copy(), dict[int, str]()
    at_us = np.where(valid(sent.at), sent.at.values.view(np.int64), now_us)
    for (currency, day), rows in _by_day(sent.currency.values, at_us, np.flatnonzero(foreign)).items():
        factor = table.factor(currency, booked, day)
        if factor is None:
            lacking |= dict.fromkeys(rows, table.missing(currency[:20], booked, day))
        else:
            own = micros(values[rows]).tolist()
            values[rows] = [price_micros(each, factor.numerator, factor.denominator) / MICROS for each in own]
    found = Column(values, sent.value.valid)
    none = np.isin(np.arange(len(sent)), list(lacking))
    return found, [Wrong(NO_RATE, none, lambda row: lacking[row]), no_money(found)]


def _by_day(
    currency: NDArray[Any], at_us: NDArray[np.int64], rows: NDArray[np.intp]
) -> Mapping[tuple[str, date], list[int]]:
    """The rows of each currency and day."""
    found: dict[tuple[str, date], list[int]] = {}
    days: dict[int, date] = {}
    for row in rows.tolist():
        number = int(at_us[row]) // 86_400_000_000
        day = days.setdefault(number, moment(number * 86_400_000_000).date())
        found.setdefault((str(currency[row]), day), []).append(row)
    return found


def _said(at_us: int) -> str:
    """A time in words, whatever its year."""
    return f"{np.datetime64(at_us, 'us')}Z"
