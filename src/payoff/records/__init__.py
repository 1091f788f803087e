"""The shared nouns: frozen, typed, no behaviour beyond arithmetic on themselves."""

from payoff.records.columns import Column, Columns, concat, length, take
from payoff.records.endpoint import Arm, Guard, Otherwise, Policy, Revision, Role, Rule
from payoff.records.events import Finding, Order, Verdict
from payoff.records.model import Served, Version
from payoff.records.signature import Field, Signature, Type

__all__ = [
    "Arm", "Column", "Columns", "Field", "Finding", "Guard", "Order", "Otherwise", "Policy", "Revision", "Role", "Rule",
    "Served", "Signature", "Type", "Verdict", "Version", "concat", "length", "take",
]  # fmt: skip
