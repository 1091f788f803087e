"""The shared nouns: frozen, typed, no behaviour beyond arithmetic on themselves."""

from payoff.records.columns import Column, Columns, concat, length, take
from payoff.records.endpoint import (
    Allocate,
    Arm,
    Cache,
    Explore,
    Guard,
    Matures,
    NoOutcome,
    Otherwise,
    Policy,
    Ramp,
    Revision,
    Role,
    Rule,
)
from payoff.records.events import Finding, Order, Verdict
from payoff.records.model import Served, Version
from payoff.records.signature import Field, Signature, Type

__all__ = [
    "Allocate", "Arm", "Cache", "Column", "Columns", "Explore", "Field", "Finding", "Guard", "Matures", "NoOutcome",
    "Order", "Otherwise", "Policy", "Ramp", "Revision", "Role", "Rule", "Served", "Signature", "Type", "Verdict",
    "Version", "concat", "length", "take",
]  # fmt: skip
