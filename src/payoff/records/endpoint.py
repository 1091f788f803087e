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
    """When this verdict or finding, give that order; deploy/file lists what `when` may say and what may follow.

    For verdicts: `error` is the chance, over all looks for ever, of acting on a version that does not deserve it,
    shared by all versions that are asked about at the same time; `against` is "fallback", "nothing" or "holdout";
    `gain_cap` the most that one decision may be credited with, in units of the currency; `block` how many decisions in
    a row are judged as one amount, where good and bad ones come in runs; `false_stop_every` how many
    decisions, on average, lie between two false stops of a version that was good before. `within` is the money per
    decision that does not matter; `guardrails` how much worse a challenger may be: {"latency": 0.2, "errors": 0.01}.

    For limits: `above` is the most that is fine, `over_s` the time it is counted over, `of` an SQL expression or a
    column that says of what.
    """

    when: str
    do: str
    error: float = 0.05
    against: str = "fallback"
    gain_cap: float | None = None
    false_stop_every: int = 1_000_000
    within: float | None = None
    guardrails: dict[str, float] = field(default_factory=dict)
    above: float | None = None
    over_s: float | None = None
    of: str | None = None
    block: int = 1


@dataclass(frozen=True, slots=True)
class Explore:
    """A `share` of the rows, 0 to 1, is decided at random, each of `among` equally likely."""

    share: float
    among: tuple[Any, ...] = (True, False)


@dataclass(frozen=True, slots=True)
class Ramp:
    """Challengers climb these shares by themselves, and cost at most `loss_budget` units before they are out.

    A step lasts at least `step_decisions` matured decisions of the challenger and `step_s` seconds.
    """

    steps: tuple[float, ...] = (0.01, 0.05, 0.10, 0.25, 0.50, 1.0)
    loss_budget: float = 0.0
    step_decisions: int = 200
    step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Allocate:
    """Shares follow what the arms earn (Thompson sampling over money), each arm at least `floor`, anew `every_s`."""

    floor: float = 0.05
    every_s: float = 3_600.0


@dataclass(frozen=True, slots=True)
class Cache:
    """Equal rows are given a model's answer again for `for_s` seconds; of each arm a worker keeps at most so many."""

    for_s: float
    entries: int = 10_000
    bytes_max: int = 64 << 20


class Matures(StrEnum):
    """When a prediction counts."""

    OUTCOME = "outcome"  # when its outcome is known, or its window has passed
    WINDOW = "window"  # when its window has passed, with what happened in it


class NoOutcome(StrEnum):
    """What a prediction is worth whose window passed without an outcome."""

    UNKNOWN = "unknown"  # nobody knows: it is left out, and counted
    COUNTS = "counts"  # nothing happened: the value is what the expression says without an outcome


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
    matures: Matures = Matures.OUTCOME
    no_outcome: NoOutcome = NoOutcome.UNKNOWN  # COUNTS only where predictions mature with their window
    outcome_depends_on_decision: bool = False  # True: on the road not taken nobody learns what would have happened
    holdout: float = 0.0  # share of the traffic, 0 to 1, that the fallback decides, to compare with
    explore: Explore | None = None
    covariate: str | None = None  # SQL over inputs.*: what was known before and goes with the value (CUPED)
    ramp: Ramp | None = None
    allocate: Allocate | None = None
    cache: Cache | None = None


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
