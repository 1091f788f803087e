"""The books as rows that cost tools read: FOCUS 1.2, the FinOps Open Cost and Usage Specification.

A row is one kind of cost of one version in one period. All mandatory columns are there, and of the others those about
which there is something to say. Prices are the house's, without discounts, so that the four costs are the same. Unit
prices are left out: quantity times price has more digits than the micros that are booked. Columns of our own begin with
`x_`, as the specification has it; `x_Predictions` stands in the row of the computing time, so that sums are right.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import itemgetter

from payoff.clock import moment
from payoff.ledger.bill import Payer, Use
from payoff.ledger.periods import By, Part, period
from payoff.ledger.prices import GB, HOUR_NS, HOUR_S
from payoff.money import MICROS

NO_CURRENCY = "XXX"  # ISO 4217 for none
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "EffectiveCost", "InvoiceIssuerName",
    "ListCost", "PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ResourceId",
    "ResourceName", "ResourceType", "ServiceCategory", "ServiceName", "ServiceSubcategory", "SubAccountId", "Tags",
    "x_CostKind", "x_Endpoint", "x_Machine", "x_Model", "x_ModelVersion", "x_Predictions", "x_Watched",
)  # fmt: skip
_OURS = "payoff"
_NULLS = dict.fromkeys(COLUMNS, "")
_Quantity = Callable[[Use], float]
_USED: dict[str, tuple[str, str, _Quantity]] = {
    "cpu": ("CPU time", "Core-Hours", lambda use: use.cpu_ns / HOUR_NS),
    "memory": ("Memory", "GiB-Hours", lambda use: use.memory_byte_s / GB / HOUR_S),
    "gpu": ("GPU time", "GPU-Hours", lambda use: use.gpu_ns / HOUR_NS),
    "fees": ("Fees of others", "Predictions", lambda use: float(use.predictions)),
}
_SHARED = {
    "idle": "Share of what nobody used of the machine",
    "overhead": "Share of what payoff's own processes used",
    "fixed": "Share of fixed costs by the month",
}


def rows(parts: Iterable[Part], currency: str) -> list[dict[str, str]]:
    """One row per part and kind of cost, with all COLUMNS as text; null is empty. Costs of nothing are left out."""
    return [
        _row(part, kind, currency)
        for part in parts
        for kind in (*_USED, *_SHARED)
        if getattr(part.cost, kind) or (kind == "cpu" and part.use.predictions)
    ]


def text(rows: Iterable[dict[str, str]]) -> str:
    """The rows as CSV, with the names of the columns first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(itemgetter(*COLUMNS), rows))
    return out.getvalue()


def _row(part: Part, kind: str, currency: str) -> dict[str, str]:
    month = period(part.period.since_us, By.MONTH)
    cost = units(getattr(part.cost, kind))
    is_fixed = kind == "fixed"
    return _NULLS | {
        "BilledCost": cost, "ContractedCost": cost, "EffectiveCost": cost, "ListCost": cost,
        "BillingAccountId": _OURS, "BillingAccountName": _OURS, "SubAccountId": part.payer.endpoint,
        "BillingCurrency": currency if len(currency) == 3 else NO_CURRENCY,
        "BillingPeriodStart": _iso(month.since_us), "BillingPeriodEnd": _iso(month.until_us),
        "ChargePeriodStart": _iso(part.period.since_us), "ChargePeriodEnd": _iso(part.period.until_us),
        "ChargeCategory": "Purchase" if is_fixed else "Usage",
        "ChargeFrequency": "Recurring" if is_fixed else "Usage-Based",
        "ChargeDescription": f"{_SHARED[kind] if kind in _SHARED else _USED[kind][0]}, {name(part.payer)}",
        "PricingCategory": "Standard",
        "InvoiceIssuerName": _OURS, "ProviderName": _OURS, "PublisherName": _OURS, "ServiceName": _OURS,
        "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Machine Learning",
    } | _amounts(part, kind) | _resource(part.payer) | _own(part, kind)  # fmt: skip


def _amounts(part: Part, kind: str) -> dict[str, str]:
    if kind in _SHARED:
        hours = (part.period.until_us - part.period.since_us) / 1e6 / HOUR_S
        return {"PricingQuantity": _decimal(hours), "PricingUnit": "Hours"}
    _, unit, quantity = _USED[kind]
    much = _decimal(quantity(part.use))
    return {"ConsumedQuantity": much, "ConsumedUnit": unit, "PricingQuantity": much, "PricingUnit": unit}


@lru_cache(4096)
def _resource(payer: Payer) -> dict[str, str]:
    if payer.is_nobody:
        return {"ResourceId": payer.endpoint or _OURS, "ResourceName": name(payer), "ResourceType": "Machine"}
    who = f"{payer.model}@{payer.version}" if payer.model else "fallback"
    kind = "Model Version" if payer.model else "Fallback"
    return {"ResourceId": f"{payer.endpoint}/{who}", "ResourceName": name(payer), "ResourceType": kind}


def _own(part: Part, kind: str) -> dict[str, str]:
    predictions = str(part.use.predictions) if kind == "cpu" else ""
    return {**_tagged(part.payer, kind), "x_Machine": part.machine, "x_Predictions": predictions}


@lru_cache(4096)
def _tagged(payer: Payer, kind: str) -> dict[str, str]:
    own = {
        "endpoint": payer.endpoint, "model": payer.model or "", "version": str(payer.version or ""),
        "role": "watched" if payer.shadow else "answered", "kind": kind,
    }  # fmt: skip
    return {
        "Tags": json.dumps({key: value for key, value in own.items() if value}, sort_keys=True),
        "x_CostKind": kind, "x_Endpoint": payer.endpoint, "x_Model": own["model"], "x_ModelVersion": own["version"],
        "x_Watched": str(payer.shadow).lower(),
    }  # fmt: skip


def name(payer: Payer) -> str:
    """Who it is, for people."""
    if payer.is_nobody:
        return f"nobody on {payer.endpoint}" if payer.endpoint else "nobody"
    who = f"{payer.model} v{payer.version}" if payer.model else "fallback"
    return f"{who} on {payer.endpoint}{', watching' if payer.shadow else ''}"


def units(micros: int) -> str:
    """Whole micros as units with six decimals, exactly."""
    return f"{'-' if micros < 0 else ''}{abs(micros) // MICROS}.{abs(micros) % MICROS:06d}"


def _decimal(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


@lru_cache(4096)
def _iso(at_us: int) -> str:
    return moment(at_us).strftime("%Y-%m-%dT%H:%M:%SZ")
