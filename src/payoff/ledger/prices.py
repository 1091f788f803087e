"""What compute costs: a list price to start with, or the house's own from HOME/prices.yaml.

cpu_core_hour: 0.045
source: our own machines, 2026
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from payoff.errors import BadInput
from payoff.money import MICROS

FILE = "prices.yaml"
HOUR_NS = 3_600_000_000_000
_MICROS_MAX = 10**12  # a million units per core-hour is a typing error


@dataclass(frozen=True, slots=True)
class Prices:
    """Whole micros of a unit of the endpoint's currency per hour of one core, and where that number comes from."""

    cpu_core_hour_micros: int = 31_611
    source: str = "list price of GCP us-central1 in USD, taken one to one, as of November 2026"

    def words(self, currency: str) -> str:
        """The assumption, for a statement."""
        price = f"{self.cpu_core_hour_micros / MICROS:.6f}".rstrip("0").rstrip(".")
        return f"compute is {price} {currency} per core-hour of measured CPU time ({self.source})"


def read(home: Path) -> Prices:
    """The prices of this home: its file's, or the list's. BadInput names the line's key and what it should hold."""
    path = home / FILE
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Prices()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(
            f"{FILE} in the home cannot be read: {str(error)[:300]}; it needs `cpu_core_hour: NUMBER`"
        ) from error
    return _prices(found)


def _prices(found: Any) -> Prices:
    if not isinstance(found, dict) or "cpu_core_hour" not in found:
        raise BadInput(f"{FILE} in the home has no price; write `cpu_core_hour: NUMBER`, or remove the file")
    for key in found:
        if key not in ("cpu_core_hour", "source"):
            raise BadInput(f"{FILE} in the home has {str(key)[:80]!r}; it may have: cpu_core_hour, source")
    source = found.get("source", f"{FILE} of this home")
    if not isinstance(source, str | int | date):
        raise BadInput(f"source in {FILE} is {str(source)[:80]!r}; say in words where the price comes from")
    return Prices(_micros(found["cpu_core_hour"]), str(source)[:300])


def _micros(price: Any) -> int:
    try:
        micros = Decimal(str(price)) * MICROS
    except InvalidOperation:
        micros = Decimal("NaN")
    if isinstance(price, bool) or not micros.is_finite() or not 0 <= micros <= _MICROS_MAX or micros % 1:
        raise BadInput(
            f"cpu_core_hour in {FILE} is {str(price)[:80]!r}; it is a price in units per hour of one core, "
            "0 or more, with up to six decimals, such as 0.031611"
        )
    return int(micros)
