"""What things cost: list prices to start with, or the house's own from HOME/prices.yaml.

cpu_core_hour: 0.045        # of one core
memory_gb_hour: 0.005       # of one GB, which is 2^30 bytes here
gpu_hour: 1.20
currency: EUR               # without it, prices are taken one to one in each endpoint's currency
source: our own machines, 2026
fixed:                      # by the month, spread over its hours
  - {what: licence, per_month: 500}
  - {what: scorecard feed, per_month: 60, endpoint: term-deposit}
fees:                       # of one prediction, in the same money
  credit-bureau: 0.04
  assistant: inputs.tokens * 0.000002 + outputs.tokens * 0.000008
share_by: direct cost       # or decisions: who bears what is idle, overhead and fixed
machines:                   # what is different on one of them, by its host name
  gpu-1: {cpu_core_hour: 0.06, cores: 8, memory_gb: 32, gpus: 1}
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from payoff.errors import BadInput
from payoff.money import MICROS

FILE = "prices.yaml"
HOUR_NS = 3_600_000_000_000
HOUR_S = 3_600
GB = 1 << 30
_MICROS_MAX = 10**12  # a million units per core-hour is a typing error
_MONTH_MICROS_MAX = 10**15
_LISTED_MAX = 1_000


class ShareBy(StrEnum):
    """Who bears what nobody used: in proportion to what each version cost directly, or to what it answered."""

    DIRECT_COST = "direct cost"
    DECISIONS = "decisions"


@dataclass(frozen=True, slots=True)
class Fixed:
    """What is paid by the month whatever happens, for one endpoint or, with None, for all of them."""

    what: str
    month_micros: int
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """Whole micros of a unit of money per hour of one core, of one GB (2^30 bytes), of one GPU, and their source.

    `cores`, `memory_bytes` and `gpus` are what the machine counts as having, where that is not what it says of itself.
    `fees` are SQL texts by model. `currency` None: one to one in whatever currency an endpoint has.
    """

    cpu_core_hour_micros: int = 31_611
    source: str = "list price of GCP us-central1 in USD, taken one to one, as of November 2026"
    memory_gb_hour_micros: int = 4_237
    gpu_hour_micros: int = 950_000
    currency: str | None = None
    fixed: tuple[Fixed, ...] = ()
    fees: Mapping[str, str] = field(default_factory=dict)
    share_by: ShareBy = ShareBy.DIRECT_COST
    cores: int | None = None
    memory_bytes: int | None = None
    gpus: int | None = None
    machines: Mapping[str, "Prices"] = field(default_factory=dict)  # whole prices, by host name

    def on(self, machine: str) -> "Prices":
        """The prices on a machine: what is said of it, and the others' where nothing is."""
        return self.machines.get(machine, self)

    def words(self, currency: str) -> str:
        """The assumption about CPU time, for a statement."""
        price = _amount(self.cpu_core_hour_micros)
        return f"compute is {price} {self.currency or currency} per core-hour of measured CPU time ({self.source})"

    def assumptions(self, currency: str) -> tuple[str, ...]:
        """All of them, for the books."""
        unit = self.currency or currency
        found = [
            f"a core-hour costs {_amount(self.cpu_core_hour_micros)}, a GB-hour of memory "
            f"{_amount(self.memory_gb_hour_micros)}, a GPU-hour {_amount(self.gpu_hour_micros)} {unit} ({self.source})",
            f"what is idle, payoff's own overhead and fixed costs are shared by {self.share_by}",
        ]
        found += [_fixed_words(one, unit) for one in self.fixed]
        found += [f"a prediction of {model} has a fee of {sql} {unit}" for model, sql in sorted(self.fees.items())]
        return (*found, *(f"on {name}: {one.source}" for name, one in sorted(self.machines.items())))


def read(home: Path) -> Prices:
    """The prices of this home: its file's, or the list's. BadInput names the line's key and what it should hold."""
    path = home / FILE
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Prices()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(
            f"{FILE} in the home cannot be read: {str(error)[:300]}; it needs lines such as `cpu_core_hour: 0.045`"
        ) from error
    if not isinstance(found, dict) or not found:
        raise BadInput(f"{FILE} in the home has no price; write a line such as `cpu_core_hour: 0.045`, or remove it")
    return _prices(found)


def _prices(found: dict[Any, Any]) -> Prices:
    _known(found, (*_KEYS, *_HOUSE_KEYS), "")
    said: dict[str, Any] = {_KEYS[key][0]: _KEYS[key][1](key, found[key]) for key in _KEYS if key in found}
    said |= {key: read_as(key, found[key]) for key, read_as in _HOUSE_KEYS.items() if key in found}
    machines = said.pop("machines", {})
    prices = Prices(**{"source": f"{FILE} of this home"} | said)
    return replace(prices, machines={name: replace(prices, **own) for name, own in machines.items()})


def _known(found: Mapping[Any, Any], keys: tuple[str, ...], where: str) -> None:
    for key in found:
        if key not in keys:
            raise _wrong(where or FILE, f"has {str(key)[:80]!r}", f"it may have: {', '.join(keys)}")


def _wrong(key: str, problem: str, expected: str) -> BadInput:
    inside = key if key == FILE else f"{key} in {FILE}"
    return BadInput(f"{inside} of the home {problem}; {expected}")


def _number(key: str, value: Any, most: int, unit: str) -> Decimal:
    """A number of 0 or more with at most six decimals, in micros."""
    try:
        micros = Decimal(str(value)) * MICROS
    except InvalidOperation:
        micros = Decimal("NaN")
    if isinstance(value, bool) or not micros.is_finite() or not 0 <= micros <= most or micros % 1:
        raise _wrong(key, f"is {str(value)[:80]!r}", f"it is {unit}, 0 or more, with up to six decimals")
    return micros


def _price(key: str, value: Any) -> int:
    return int(_number(key, value, _MICROS_MAX, "a price in units per hour, such as 0.031611"))


def _memory(key: str, value: Any) -> int:
    return int(_number(key, value, 10**12, "a number of GB (2^30 bytes)") * GB / MICROS)


def _count(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1_000_000:
        raise _wrong(key, f"is {str(value)[:80]!r}", "it is a whole number, 0 or more")
    return value


def _source(key: str, value: Any) -> str:
    if not isinstance(value, str | int | date) or isinstance(value, bool):
        raise _wrong(key, f"is {str(value)[:80]!r}", "say in words where the prices come from, and when")
    return str(value)[:300]


def _currency(key: str, value: Any) -> str:
    if not (isinstance(value, str) and len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()):
        raise _wrong(key, f"is {str(value)[:80]!r}", "it is three capital letters, such as EUR")
    return value


def _share_by(key: str, value: Any) -> ShareBy:
    if value not in list(ShareBy):
        raise _wrong(key, f"is {str(value)[:80]!r}", f"it is one of: {', '.join(ShareBy)}")
    return ShareBy(value)


def _fixed(key: str, value: Any) -> tuple[Fixed, ...]:
    expected = "it is a list of lines such as {what: licence, per_month: 500, endpoint: NAME}, the endpoint if only one"
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value) or len(value) > _LISTED_MAX:
        raise _wrong(key, f"is {str(value)[:80]!r}", expected)
    found = []
    for one in value:
        _known(one, ("what", "per_month", "endpoint"), key)
        what, endpoint = one.get("what"), one.get("endpoint")
        if not isinstance(what, str) or not what or not isinstance(endpoint, str | None) or "per_month" not in one:
            raise _wrong(key, f"has {str(one)[:80]}", expected)
        unit = "an amount of money, such as 500"
        micros = int(_number(f"per_month of {what[:40]!r}", one["per_month"], _MONTH_MICROS_MAX, unit))
        found.append(Fixed(what[:200], micros, endpoint))
    return tuple(found)


def _fees(key: str, value: Any) -> dict[str, str]:
    """By model; what the SQL reads is checked where the model's columns are known (`ledger.fees`)."""
    expected = "it has lines such as `MODEL: 0.002` or `MODEL: inputs.tokens * 0.000002`"
    if not isinstance(value, dict) or len(value) > _LISTED_MAX:
        raise _wrong(key, f"is {str(value)[:80]!r}", expected)
    for model, sql in value.items():
        if not isinstance(model, str) or isinstance(sql, bool) or not isinstance(sql, str | int | float):
            raise _wrong(key, f"has {str(model)[:80]}: {str(sql)[:80]}", expected)
    return {model: str(sql) for model, sql in value.items()}


def _machines(key: str, value: Any) -> dict[str, dict[str, Any]]:
    """What is said of each machine, to be laid over the rest."""
    if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
        raise _wrong(key, f"is {str(value)[:80]!r}", "it has lines such as HOSTNAME: {cpu_core_hour: 0.06}")
    keys = {**_KEYS, **_MACHINE_KEYS}
    found: dict[str, dict[str, Any]] = {}
    for name, said in value.items():
        _known(said, tuple(keys), f"{key}.{str(name)[:80]}")
        found[str(name)] = {keys[each][0]: keys[each][1](each, one) for each, one in said.items()}
    return found


def _amount(micros: int) -> str:
    return f"{micros / MICROS:.6f}".rstrip("0").rstrip(".")


def _fixed_words(one: Fixed, unit: str) -> str:
    whose = f" for {one.endpoint}" if one.endpoint else ""
    return f"{one.what}{whose} costs {_amount(one.month_micros)} {unit} a month, in equal parts for each of its hours"


_Reads = Callable[[str, Any], Any]
_KEYS: dict[str, tuple[str, _Reads]] = {
    "cpu_core_hour": ("cpu_core_hour_micros", _price),
    "memory_gb_hour": ("memory_gb_hour_micros", _price),
    "gpu_hour": ("gpu_hour_micros", _price),
    "source": ("source", _source),
}
_MACHINE_KEYS: dict[str, tuple[str, _Reads]] = {
    "cores": ("cores", _count),
    "memory_gb": ("memory_bytes", _memory),
    "gpus": ("gpus", _count),
}
_HOUSE_KEYS: dict[str, _Reads] = {
    "currency": _currency,
    "fixed": _fixed,
    "fees": _fees,
    "share_by": _share_by,
    "machines": _machines,
}
