"""Plain Python values, as JSON gives them, to a Column: strict, in bulk, and only slow when something is wrong.

A null is `valid` False; what stands there is NaN in float columns, "" in text, and zero elsewhere.
In a nullable float tensor a single null element is a NaN inside a valid row: models that know missing values take
NaN, and only a row that is null as a whole is a null row.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.codecs.checks import first_bad, refuse
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

# From here on a float64 rounds to infinity in float32: the largest float32 and half a step.
FLOAT32_END = 3.4028235677973366e38
# From here on a float64 may stand for a whole number next to it, which is what the caller wrote.
EXACT_END = 2**53

_DATE = re.compile(r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP = re.compile(
    r"(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0{0,3})?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_INTEGER, _NUMBER = frozenset({int}), frozenset({int, float})
NULL = type(None)
# Exact types on purpose: to Python a bool is an int, to a caller it is not.
TAKES: dict[Type, frozenset[type]] = {
    **{kind: _INTEGER if kind.is_integer else _NUMBER for kind in Type if kind.is_number},
    Type.BOOL: frozenset({bool}),
    **dict.fromkeys((Type.TEXT, Type.DATE, Type.TIMESTAMP), frozenset({str})),
}


class Misfit(ValueError):
    """Some value is not what the type takes; whoever knows the rows finds out which."""


def column(field: Field, values: Sequence[Any]) -> Column:
    """Values of a field, one per row (nested lists for a tensor), to a Column; BadInput names the first wrong one."""
    try:
        return _column(field, values)
    except (Misfit, ValueError, TypeError, OverflowError):
        row = first_bad(lambda start, stop: _fits(field, values[start:stop]), len(values))
        refuse(field, row, values[row], _reason(field, values[row]))


def _column(field: Field, values: Sequence[Any]) -> Column:
    if field.nullable and None in values:
        valid = np.array([value is not None for value in values], bool)
        return spread(field, _dense(field, [value for value in values if value is not None]), valid)
    return Column(_dense(field, values))


def _dense(field: Field, values: Sequence[Any]) -> NDArray[Any]:
    if not field.shape:
        return scalars(field.type, values)
    flat = flatten(values, field.shape)
    shape = (len(values), *field.shape)
    if not (field.nullable and field.type.is_float and None in flat):
        return scalars(field.type, flat).reshape(shape)
    there = np.array([value is not None for value in flat], bool)
    elements = np.full(len(flat), np.nan, field.type.dtype)
    elements[there] = scalars(field.type, [value for value in flat if value is not None])
    return elements.reshape(shape)


def flatten(values: Sequence[Any], shape: tuple[int, ...]) -> list[Any]:
    """The elements of rows of nested lists, where every list is as long as the shape says."""
    level = list(values)
    for size in shape:
        if not ({*map(type, level)} <= {list} and {*map(len, level)} <= {size}):
            raise Misfit
        level = list(chain.from_iterable(level))
    return level


def scalars(kind: Type, values: Sequence[Any]) -> NDArray[Any]:
    """Values of one type to an array of its dtype; raises Misfit, ValueError or OverflowError if any does not fit."""
    types = {*map(type, values)}
    if not types <= TAKES[kind]:
        if kind.is_integer and types <= _NUMBER:
            return _whole(kind, values)
        raise Misfit
    if kind is Type.FLOAT32 and not narrow(values):
        raise Misfit
    if kind is Type.DATE:
        return _dates(values)
    if kind is Type.TIMESTAMP:
        return _timestamps(values)
    return np.array(values, kind.dtype)


def narrow(values: Sequence[float]) -> bool:
    """Whether float32 holds all of these finite numbers."""
    return not values or (min(values) > -FLOAT32_END and max(values) < FLOAT32_END)


def _whole(kind: Type, values: Sequence[float]) -> NDArray[Any]:
    if not all(type(value) is int or (value.is_integer() and abs(value) < EXACT_END) for value in values):
        raise Misfit
    return np.array([*map(int, values)], kind.dtype)


def _dates(values: Sequence[str]) -> NDArray[Any]:
    if not all(map(_DATE.fullmatch, values)):
        raise Misfit
    return np.array(values, Type.DATE.dtype)


def _timestamps(values: Sequence[str]) -> NDArray[Any]:
    if not all(map(_TIMESTAMP.fullmatch, values)):
        raise Misfit
    return np.array([*map(_micros, values)], np.int64).view(Type.TIMESTAMP.dtype)


def _micros(text: str) -> int:
    said = datetime.fromisoformat(text)
    since = (said if said.tzinfo else said.replace(tzinfo=UTC)) - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    if not FIRST_US <= micros <= LAST_US:  # an offset can move the first and the last day out of the calendar
        raise Misfit
    return micros


FIRST_US, LAST_US = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, as text can write them


def blank(kind: Type) -> Any:
    """What stands where there is a null."""
    return np.nan if kind.is_float else "" if kind is Type.TEXT else np.zeros((), kind.dtype)[()]


def spread(field: Field, dense: NDArray[Any], valid: NDArray[np.bool_]) -> Column:
    """The values that there are, put back between the nulls."""
    values = np.full((len(valid), *field.shape), blank(field.type), field.type.dtype)
    values[valid] = dense
    return Column(values, valid)


def nulls(field: Field, rows: int) -> Column:
    """A column without any value, for a field that may be missing."""
    return spread(field, np.empty((0, *field.shape), field.type.dtype), np.zeros(rows, bool))


def settle(field: Field, column: Column) -> Column:
    """What NaN means: a null in a nullable float column, a refusal in one that is not."""
    if not field.type.is_float:
        return column
    missing = np.isnan(column.values)
    if not missing.any():
        return column
    if not field.nullable:
        row = int(np.argmax(missing.reshape(len(missing), -1).any(axis=1)))
        refuse(field, row, float("nan"), "a missing value")
    return column if field.shape else Column(column.values, ~missing)


def listed(column: Column) -> list[Any]:
    """The values as plain Python: nested lists for tensors, None for nulls, `date` and `datetime` for times."""
    values: list[Any] = column.values.tolist()
    if column.valid is None:
        return values
    return [value if valid else None for value, valid in zip(values, column.valid.tolist(), strict=True)]


def _fits(field: Field, values: Sequence[Any]) -> bool:
    try:
        _column(field, values)
    except (Misfit, ValueError, TypeError, OverflowError):
        return False
    return True


def _reason(field: Field, value: Any) -> str:
    """Why not, where the value itself does not say it."""
    if value is None:
        return ""
    if field.shape:
        return _tensor_reason(field, value)
    if isinstance(value, bool) and field.type.is_number:
        return "which is not a number"
    if isinstance(value, str) and field.type.is_number:
        return "which is text"
    return ""


def _tensor_reason(field: Field, value: Any) -> str:
    try:
        flat = flatten([value], field.shape)
    except Misfit:
        return f"which is not {' lists of '.join(map(str, field.shape))} values in lists"
    element = Field(field.name, field.type)
    bad = first_bad(lambda start, stop: _fits(element, flat[start:stop]), prod(field.shape))
    return f"in which element {bad} is {'null' if flat[bad] is None else repr(flat[bad])[:40]}"
