"""Shares, durations and column types as people write them in a YAML file, and back."""

import re
from dataclasses import replace
from decimal import Decimal

from payoff.codecs.document import Place, among
from payoff.records.signature import Field, Type

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_WINDOW_MAX_S = 3_660 * 86_400  # ten years
_EXACT_MAX = 1e15  # whole numbers below are exact
_MEANT = {
    "text": ("string", "str", "varchar", "category"),
    "int64": ("int", "integer", "bigint", "long"),
    "float64": ("float", "double", "number", "numeric", "decimal"),
    "bool": ("boolean",),
    "timestamp": ("datetime", "time"),
}


def percent(share: float) -> str | float:
    """0.1 as "10%", exact: `Place.share` reads the same float back. A long row of zeros stays a number."""
    if 0 < share < 1e-6:
        return share
    text = format(Decimal(repr(share)) * 100, "f")
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def number(value: float) -> float | int:
    """A number as people write it: 20 for 20.0."""
    return int(value) if value.is_integer() and abs(value) < _EXACT_MAX else value


def whole(place: Place, least: int, most: int) -> int:
    """A whole number of at least and at most so many."""
    found = place.number()
    if not found.is_integer() or not least <= found <= most:
        raise place.wrong(f"expected a whole number from {least:,} to {most:,}, got {place.said()}")
    return int(found)


def seconds(place: Place) -> float:
    """A duration with its unit: 30s, 15m, 2h, 1d."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?) ?([dhms])", str(place.value))
    if match is None:
        raise place.wrong(f"expected a duration with its unit, such as 30s, 15m, 2h or 1d, got {place.said()}")
    long = float(match[1]) * _SECONDS[match[2]]
    if not 0 < long <= _WINDOW_MAX_S:
        raise place.wrong(f"{place.said()} is out of range; say more than 0s and at most 3660d")
    return long


def duration(long_s: float) -> str:
    """Seconds in the largest unit that divides them: 86400 as "1d"."""
    for unit, size in _SECONDS.items():
        if long_s >= size and long_s % size == 0:
            return f"{int(long_s // size)}{unit}"
    return f"{format(Decimal(repr(long_s)), 'f')}s"


def column(name: str, place: Place) -> Field:
    """A column of this name, always nullable: `date`, `int64`, `float32[3]`, `uint8[28x28]`."""
    match = re.fullmatch(r"(\w+)(?:\[(\d{1,6}(?:x\d{1,6}){0,3})\])?", place.text())
    if match is None or match[1] not in set(Type):
        raise place.wrong(_no_type(match[1] if match else str(place.value)))
    shape = tuple(int(size) for size in match[2].split("x")) if match[2] else ()
    return Field(name, Type(match[1]), shape, nullable=True)


def field(name: str, place: Place) -> Field:
    """A column as a signature has it: `int64` has a value in every row, `int64 or null` need not."""
    plain = place.text().removesuffix(" or null")
    return replace(column(name, replace(place, value=plain)), nullable=plain != place.text())


def written(field: Field) -> str:
    """A column's type as `column` reads it."""
    return f"{field.type}[{'x'.join(map(str, field.shape))}]" if field.shape else str(field.type)


def _no_type(text: str) -> str:
    kinds = [str(kind) for kind in Type]
    meant = next((kind for kind, words in _MEANT.items() if text.lower() in words), None)
    return f"no column type {text[:40]!r}{among(meant or text, kinds)}"
