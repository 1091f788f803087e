"""A stable address that answers, and its configuration: an immutable, numbered revision."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from payoff.records.model import Served
from payoff.records.signature import Field


class Role(StrEnum):
    """What an arm does on its endpoint."""

    CHAMPION = "champion"  # answers
    CHALLENGER = "challenger"  # answers its share of the traffic
    SHADOW = "shadow"  # is asked, recorded, and never answers
    KILLED = "killed"  # answers no more; goes on in the shadow, so that its would-be decisions stay known


@dataclass(frozen=True, slots=True)
class Arm:
    """One version on an endpoint. `traffic` is the challenger's share, 0 to 1; `was` the role before a kill."""

    name: str
    role: Role
    model: str
    version: int
    served: Served
    traffic: float = 0.0
    was: Role | None = None


class Otherwise(StrEnum):
    """What happens to a row that breaks a rule."""

    FLAG = "flag"
    FALLBACK = "fallback"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition every row must meet; null counts as not met."""

    check: str
    otherwise: Otherwise = Otherwise.FLAG


@dataclass(frozen=True, slots=True)
class Guard:
    """When this verdict, give that order.

    `when` is "loses money" or "challenger beats champion"; `against` is "fallback" or "nothing"; `error` the chance,
    over all looks for ever, of acting on a version that does not deserve it; `gain_cap` the most that one decision may
    be credited with, in units of the currency.
    """

    when: str
    do: str
    error: float = 0.05
    against: str = "fallback"
    gain_cap: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What an endpoint decides, values and forbids: everything in a revision but its arms."""

    decision: str | None = None  # SQL over inputs.* and outputs.*
    value: str | None = None  # SQL over inputs.*, outputs.*, decision, outcome.*
    currency: str = "EUR"
    fallback: dict[str, Any] = field(default_factory=dict)  # decision: constant, and constants for outputs
    rules: tuple[Rule, ...] = ()
    guards: tuple[Guard, ...] = ()
    route_by: str | None = None  # the column whose value keeps a customer on one arm; None: random
    context: tuple[Field, ...] = ()  # recorded columns that no model takes
    outcome: tuple[Field, ...] = ()  # what outcomes carry
    outcome_window_s: float = 86_400.0  # how long a missing outcome may hold back those after it


@dataclass(frozen=True, slots=True)
class Revision:
    """Endpoint `endpoint`, configuration number `number`. A kill is a revision too, and so is a rollback."""

    endpoint: str
    number: int
    created_at_us: int
    author: str
    reason: str
    arms: tuple[Arm, ...]
    policy: Policy = Policy()

    def arm(self, role: Role) -> Arm | None:
        """The first arm in this role."""
        return next((arm for arm in self.arms if arm.role is role), None)
