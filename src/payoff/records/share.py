"""A share of the traffic as people write it: 10%, "0.1", .1; one reader for files, orders and flags."""

import re
from decimal import Decimal
from typing import Any

_SHARE = re.compile(r"\s*((?:\d{1,9}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE]-?\d{1,3})?)\s*(%?)\s*")
_PART_MAX = 1e9


def share(value: Any) -> float | None:
    """A share, 0 to 1, from 0.1, "0.1", ".1", "10%" or " 10 % "; None if it is none."""
    found = part(value)
    return found if found is not None and found <= 1 else None


def part(value: Any) -> float | None:
    """The same, but it may be more than the whole: "150%" is 1.5. None if it is none, or less than 0."""
    if isinstance(value, str):
        match = _SHARE.fullmatch(value)
        value = float(Decimal(match[1]) / (100 if match[2] else 1)) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _PART_MAX:
        return None
    return float(value)
