"""What currencies were worth, day by day: how money that comes in another currency is booked. From HOME/rates.yaml:

source: European Central Bank, euro reference rates
one: EUR
is:
  2026-11-19: {USD: 1.0843, GBP: 0.8331}
  2026-11-20: {USD: 1.0871, GBP: 0.8325}

One EUR was 1.0843 USD on 19 November. A rate holds until the next one, for a week at most: markets close.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from payoff.errors import BadInput

FILE = "rates.yaml"
DAYS_MAX = 7  # how long a rate holds if no newer one comes
_RATE_MIN, _RATE_MAX = Decimal("1e-9"), Decimal("1e9")
_KEYS = ("source", "one", "is")
_SHAPE = "it holds `source: WHERE FROM`, `one: EUR` and, under `is`, a line per day such as `2026-11-20: {USD: 1.0871}`"


@dataclass(frozen=True, slots=True)
class Rates:
    """`of` has for every currency its days, in order, and how many of it one `one` was on each."""

    one: str = ""
    source: str = ""
    of: Mapping[str, tuple[tuple[date, ...], tuple[Fraction, ...]]] = field(default_factory=dict)

    @property
    def currencies(self) -> list[str]:
        """All currencies that have a rate, and the one they are told in."""
        return sorted({self.one, *self.of} - {""})

    def factor(self, sent: str, booked: str, day: date) -> Fraction | None:
        """How many `booked` one `sent` was on that day; None if nobody told."""
        if sent == booked:
            return Fraction(1)
        own, other = self._of_one(sent, day), self._of_one(booked, day)
        return None if own is None or other is None else other / own

    def missing(self, sent: str, booked: str, day: date) -> str:
        """Why there is no factor, and what to write."""
        if not self.one:
            return (
                f"the money is in {sent} and is booked in {booked}, and nobody told what {sent} is worth: write {FILE} "
                f"in the home; {_SHAPE}"
            )
        if not (len(sent) == 3 and sent.isascii() and sent.isalpha() and sent.isupper()):
            return f"{sent!r} is no currency; say its three letters, such as {booked}"
        lacks = next((each for each in (sent, booked) if self._of_one(each, day) is None), sent)
        line = f"how many {lacks} one {self.one} was, as in `{day}: {{{lacks}: 1.25}}` under `is` in {FILE}"
        if lacks not in self.of:
            return f"{FILE} has no {lacks}; it has: {', '.join(self.currencies)}; write {line}"
        return (
            f"{FILE} has no rate of {lacks} for {day} or the {DAYS_MAX} days before it; its rates of {lacks} are of "
            f"{self.of[lacks][0][0]} to {self.of[lacks][0][-1]}; write {line}"
        )

    def _of_one(self, currency: str, day: date) -> Fraction | None:
        if currency == self.one:
            return Fraction(1)
        days, rates = self.of.get(currency, ((), ()))
        place = bisect_right(days, day) - 1
        return rates[place] if place >= 0 and day - days[place] <= timedelta(days=DAYS_MAX) else None


def read(home: Path) -> Rates:
    """The rates of this home; none if it has no file. BadInput names what is wrong in it and what belongs there."""
    path = home / FILE
    try:
        facts = path.stat()
        return _read(path, facts.st_mtime_ns, facts.st_size)
    except FileNotFoundError:
        return Rates()


@lru_cache(maxsize=8)  # years of days take a second to read
def _read(path: Path, _mtime_ns: int, _size: int) -> Rates:
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise BadInput(f"{FILE} in the home cannot be read: {str(error)[:300]}; {_SHAPE}") from error
    if not isinstance(found, dict) or set(found) != set(_KEYS):
        raise BadInput(f"{FILE} in the home does not say all of {', '.join(_KEYS)}, and only that; {_SHAPE}")
    source, one, days = (found[key] for key in _KEYS)
    if not isinstance(source, str) or not source.strip():
        raise BadInput(f"source in {FILE} is {source!r}; say in words where the rates come from")
    if not isinstance(days, dict) or not days:
        raise BadInput(f"`is` in {FILE} has no days; {_SHAPE}")
    return Rates(_currency(one, "one"), source[:300], _series(days))


def _series(days: Mapping[Any, Any]) -> dict[str, tuple[tuple[date, ...], tuple[Fraction, ...]]]:
    found: dict[str, list[tuple[date, Fraction]]] = {}
    for day, rates in sorted(days.items(), key=lambda each: str(each[0])):
        if type(day) is not date or not isinstance(rates, dict):
            raise BadInput(f"`is` in {FILE} has {str(day)[:40]!r}: {str(rates)[:40]}; {_SHAPE}")
        for currency, rate in rates.items():
            found.setdefault(_currency(currency, str(day)), []).append((day, _rate(rate, f"{currency} on {day}")))
    return {name: (tuple(day for day, _ in all_), tuple(rate for _, rate in all_)) for name, all_ in found.items()}


def _currency(name: Any, where: str) -> str:
    if not isinstance(name, str) or len(name) != 3 or not name.isascii() or not name.isupper():
        raise BadInput(f"{FILE} has {str(name)[:40]!r} in {where}; a currency is three capital letters, such as USD")
    return name


def _rate(rate: Any, where: str) -> Fraction:
    try:
        found = Decimal(str(rate))
    except InvalidOperation:
        found = Decimal("NaN")
    if isinstance(rate, bool) or not found.is_finite() or not _RATE_MIN <= found <= _RATE_MAX:
        raise BadInput(f"{FILE} has {str(rate)[:40]!r} for {where}; a rate is a number above 0, such as 1.0871")
    return Fraction(found)
