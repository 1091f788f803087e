"""Verdicts that stay valid however often one looks: does a version lose money, does a challenger beat the champion?

Rows are folded in the order of the decisions, as they mature. A case keeps a few numbers, whatever the traffic: the
betting test's wealth, what the cap was learned from, sums for the words. A verdict once reached stands: it is the case
at the row at which the evidence sufficed, and later rows change nothing.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.records.events import Verdict
from payoff.stats.betting import STAKES, Bets, evidence, fold, losses
from payoff.stats.caps import Seen, caps
from payoff.stats.intervals import Sums

Floats = NDArray[np.float64]

LOSES = "loses money"
BEATS = "beats"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one version, fixed before its first row.

    `kind` is LOSES or BEATS. `against` is "fallback", "nothing", or the version to beat ("term-deposit v1"). `cap` is
    the most that one decision counts in favour of staying as we are, in units; None: learned, see stats/caps.
    """

    kind: str
    model: str
    version: int
    against: str
    error: float
    cap: float | None = None
    currency: str = "EUR"

    @property
    def text(self) -> str:
        """As it stands in a Verdict."""
        return f"{BEATS} {self.against}" if self.kind == BEATS else f"{LOSES} against {self.against}"

    @property
    def name(self) -> str:
        return f"{self.model} v{self.version}"


@dataclass(frozen=True, slots=True)
class Rows:
    """Matured decisions in order, arrays of shape (n,).

    `money` is the difference that is judged, compute included, in units: version minus fallback, or challenger minus
    champion. `swing` is the same without compute. NaN where the outcome or the value is not known: such rows are
    counted and left out.
    """

    ids: NDArray[Any]
    money: Floats
    swing: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: Any) -> "Rows":
        """The rows that a slice or a mask picks."""
        return Rows(self.ids[index], self.money[index], self.swing[index])


@dataclass(frozen=True, slots=True)
class Case:
    """A question and all that was learned about it. `credited` sums money after capping, `raw` before."""

    question: Question
    bets: Bets = field(default_factory=Bets)
    seen: Seen = field(default_factory=Seen)
    credited: Sums = field(default_factory=Sums)
    raw: Sums = field(default_factory=Sums)
    unknown: int = 0
    first_id: str | None = None
    last_id: str | None = None
    log_e_max: float = 0.0
    reached: bool = False

    @property
    def cap(self) -> float:
        """The cap of the next decision; infinite while a learned one is not there yet."""
        return self.seen.cap if self.question.cap is None else self.question.cap

    def verdict(self) -> Verdict:
        """The case as it stands, reached or not."""
        return Verdict(
            model=self.question.model,
            version=self.question.version,
            question=self.question.text,
            tested=self.bets.n,
            e_value=self.bets.e_value,
            threshold=1 / self.question.error,
            mean=self.credited.mean,
            last_prediction_id=self.last_id,
        )


def judge(case: Case, rows: Rows) -> Case:
    """The case after these rows, or at the one among them that reached the verdict."""
    if case.reached or not len(rows):
        return case
    known = np.isfinite(rows.money) & np.isfinite(rows.swing)
    told = rows.take(known)
    sign = -1.0 if case.question.kind == BEATS else 1.0  # a challenger wins where staying as we are loses
    seen, cap = _caps(case, sign * told.swing)
    found = fold(case.bets, losses(sign * told.money, cap), case.question.error)
    if found.first is not None and found.first + 1 < len(told):
        return judge(case, rows.take(slice(0, int(np.flatnonzero(known)[found.first]) + 1)))
    return replace(
        case,
        bets=found.bets,
        seen=seen,
        credited=case.credited + Sums.of(sign * np.minimum(sign * told.money, cap)),
        raw=case.raw + Sums.of(told.money),
        unknown=case.unknown + len(rows) - len(told),
        first_id=case.first_id or (str(told.ids[0]) if len(told) else None),
        last_id=str(told.ids[-1]) if len(told) else case.last_id,
        log_e_max=max(case.log_e_max, found.log_e_max),
        reached=found.first is not None,
    )


def _caps(case: Case, swings: Floats) -> tuple[Seen, Floats]:
    seen, learned = caps(case.seen, swings)
    return seen, learned if case.question.cap is None else np.full(len(swings), case.question.cap)


def facts(case: Case) -> dict[str, Any]:
    """Everything needed to compute the verdict again, for the audit trail; plain numbers and texts."""
    question = case.question
    return {
        "question": question.text,
        "model": question.model,
        "version": question.version,
        "reached": case.reached,
        "tested": case.bets.n,
        "unknown": case.unknown,
        "mean": case.credited.mean,
        "mean_uncapped": case.raw.mean,
        "currency": question.currency,
        "error": question.error,
        "threshold": 1 / question.error,
        "e_value": case.bets.e_value,
        "e_value_max": evidence(case.log_e_max),
        "cap": None if np.isinf(case.cap) else case.cap,
        "cap_is": "learned" if question.cap is None else "stated",
        "stakes": list(STAKES),
        "log_wealth": list(case.bets.logs),
        "first_prediction_id": case.first_id,
        "last_prediction_id": case.last_id,
    }
