"""What happened: outcomes, orders, findings, verdicts, postings."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """The only way anything moves. `evidence` is what the author, a person or a guard, knew when giving it.

    `chain` is the sha256 over the order, the revision it made and the `chain` of the order before it: whoever changes
    one entry of the audit trail, or takes one out, breaks all that follow.
    """

    id: int
    endpoint: str
    verb: str  # deploy, apply, promote, ramp, rollback, kill, revive
    at_us: int
    author: str  # a person's name, or "guard: loses money"
    reason: str
    before: int | None  # revision
    after: int  # revision
    evidence: dict[str, Any] = field(default_factory=dict)
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a monitor found, and how bad it is: info, warning, alarm."""

    id: int
    endpoint: str
    at_us: int
    monitor: str
    severity: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A statistical conclusion that stays valid however often one looks.

    `e_value` is evidence against "this version does not lose" (or "does not beat"): it reaches `threshold` = 1/error by
    chance at most `error` of the time, over all looks together. Of the test "after a change" it is how many decisions
    it takes on average until chance alone comes to as much, and `threshold` how many are asked for.
    """

    model: str
    version: int
    question: str  # "loses money against fallback", "beats term-deposit v1"
    tested: int  # matured predictions in the statistic
    e_value: float
    threshold: float
    mean: float  # money per prediction, capped, in units
    last_prediction_id: str | None
    test: str = ""  # which test spoke: "since launch", "after a change"; "" while none has

    @property
    def reached(self) -> bool:
        return self.e_value >= self.threshold
