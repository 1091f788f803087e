"""Constants as they are written: numbers, dates, timestamps."""

import datetime
import math
import re

import numpy as np

from payoff.expressions.tree import Literal
from payoff.records import Type

DATES = {"DATE": Type.DATE, "TIMESTAMPNTZ": Type.TIMESTAMP, "TIMESTAMP": Type.TIMESTAMP}
_DIGITS = re.compile("0*[0-9]{1,20}")  # 2^64 has 20


def number(text: str) -> Literal | None:
    """Digits alone are a whole number, exact up to 2^64 - 1; anything else is a float. None if it is no finite one."""
    if _DIGITS.fullmatch(text):
        literal = whole(int(text))
        if literal is not None:
            return literal
    try:
        value = float(text)
    except ValueError:
        return None
    return Literal(value, Type.FLOAT64) if math.isfinite(value) else None


def whole(value: int) -> Literal | None:
    """int64 where it fits, else uint64, else None."""
    if -(2**63) <= value < 2**63:
        return Literal(value, Type.INT64)
    return Literal(value, Type.UINT64) if 0 <= value < 2**64 else None


def negative(node: Literal) -> Literal:
    """Minus a constant is a constant; minus null is null."""
    if node.value is None:
        return node
    value = -node.value
    literal = whole(value) if isinstance(value, int) else None
    return literal or Literal(float(value), Type.FLOAT64)


def date(text: str, kind: str) -> Literal | None:
    """date '2008-05-05' or timestamp '2008-05-05 10:30:00.5', years 1 to 9999, in UTC; None if it is none."""
    try:
        if DATES[kind] is Type.DATE:
            return Literal(np.datetime64(datetime.date.fromisoformat(text), "D"), Type.DATE)
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo else Literal(np.datetime64(moment, "us"), Type.TIMESTAMP)
