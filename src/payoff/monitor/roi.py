"""What an endpoint's versions earned and cost, against what its fallback would have, in figures and in words.

Realised rows are money; watched rows say what would have been. They are shown side by side and never added up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from payoff.experiment.verdict import BEATS, LOSES, Case
from payoff.experiment.words import explain, in_short
from payoff.ledger.statement import Line, Statement, Total
from payoff.money import MICROS, Money
from payoff.monitor.lives import Brief
from payoff.records.endpoint import Policy, Revision, Role

FALLBACK = "fallback"
GONE = "gone"  # a version that is no arm of the endpoint any more
_ORDER = [*Role, GONE, FALLBACK]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the statement with what the version is on the endpoint and what is known about it.

    `role` is a Role, "gone" or "fallback". `verdict` is short, `explanation` whole sentences.
    """

    line: Line
    role: str
    verdict: str = ""
    explanation: str = ""
    e_value: float | None = None
    threshold: float | None = None
    tested: int = 0

    @property
    def name(self) -> str:
        return FALLBACK if self.line.model is None else f"{self.line.model} v{self.line.version}"


@dataclass(frozen=True, slots=True)
class Roi:
    """One endpoint's statement.

    `fallback_alone` is what the fallback would have earned on all matured predictions; None: nobody knows.
    `prediction_id` and `outcome_id` say how far the guards have come: every outcome up to the second was there when
    they last looked.
    """

    endpoint: str
    currency: str
    at_us: int
    revision: int
    answered: tuple[Row, ...]
    watched: tuple[Row, ...]
    total: Total
    fallback_alone: Money | None
    bill: Money
    shadow_cost: Money
    conclusion: str
    assumptions: tuple[str, ...]
    prediction_id: str | None = None
    outcome_id: str | None = None


def compose(
    revision: Revision,
    found: Statement,
    cases: Sequence[tuple[Brief, Case]],
    at_us: int,
    judged: tuple[str | None, str | None] = (None, None),
) -> Roi:
    """The statement of an endpoint with roles, verdicts and words."""
    lines = found.realised
    alone = _alone(lines, found.currency)
    return Roi(
        endpoint=revision.endpoint,
        currency=found.currency,
        at_us=at_us,
        revision=revision.number,
        answered=_rows(revision, lines, cases),
        watched=_rows(revision, found.counterfactual, cases),
        total=found.total,
        fallback_alone=alone,
        bill=found.bill,
        shadow_cost=found.shadow_cost,
        conclusion=conclude(revision, found, alone),
        assumptions=assumptions(revision.policy, found),
        prediction_id=judged[0],
        outcome_id=judged[1],
    )


def conclude(revision: Revision, found: Statement, alone: Money | None) -> str:
    """The one thing that finance people need to hear."""
    if not found.total.matured and not any(line.matured for line in found.counterfactual):
        return "Nothing is known yet: no outcome of a prediction has come in."
    if alone is None:
        return f"{found.total.matured:,} predictions with a known outcome earned {found.total.net} after compute."
    best = _best(revision, found)
    if best is None:
        return f"No model has answered or watched yet; the fallback earned {found.total.net} after compute."
    name, gain, matured = best
    if gain.micros > 0:
        return f"{name} earned {gain} more than the fallback would have on the same {matured:,} predictions."
    return (
        f"No model earns more than the fallback on {revision.endpoint}: deciding {_decides(revision.policy)} every "
        f"time would have earned {alone} on the {found.total.matured:,} predictions whose outcome is known; "
        f"they earned {found.total.net}. "
        f"The best model, {name}, is {-gain} behind on the {matured:,} it was asked about."
    )


def assumptions(policy: Policy, found: Statement) -> tuple[str, ...]:
    """On what the figures rest, in words."""
    told = [f"a decision is worth: {policy.value}" if policy.value else "nobody said what a decision is worth"]
    if "decision" in policy.fallback:
        told.append(
            f"the fallback decides {_decides(policy)} every time; what it would have earned is read from the same "
            "outcomes, which is right where outcomes are reported whatever was decided"
        )
    told.append("predictions without a known outcome count in the cost and not in the value")
    return (*told, *found.assumptions)


def plain(roi: Roi) -> dict[str, Any]:
    """As JSON: amounts in units of the currency."""
    return {
        "endpoint": roi.endpoint,
        "currency": roi.currency,
        "at_us": roi.at_us,
        "revision": roi.revision,
        "versions": [_plain(row) for row in roi.answered],
        "watched": [_plain(row) for row in roi.watched],
        "total": {
            "answered": roi.total.answered,
            "matured": roi.total.matured,
            "value": _units(roi.total.value),
            "cost": _units(roi.total.cost),
            "net": _units(roi.total.net),
        },
        "fallback_alone": _units(roi.fallback_alone),
        "bill": _units(roi.bill),
        "shadow_cost": _units(roi.shadow_cost),
        "note": roi.conclusion,
        "assumptions": list(roi.assumptions),
        "judged_through": {"prediction_id": roi.prediction_id, "outcome_id": roi.outcome_id},
    }


def _plain(row: Row) -> dict[str, Any]:
    line = row.line
    return {
        "model": line.model,
        "version": line.version,
        "role": str(row.role),
        "answered": line.answered,
        "matured": line.matured,
        "in_flight": line.in_flight,
        "value": _units(line.value),
        "cost": _units(line.cost),
        "net": _units(line.net),
        "low": _units(line.low),
        "high": _units(line.high),
        "vs_fallback": _units(line.against_fallback),
        "vs_low": _units(line.against_low),
        "vs_high": _units(line.against_high),
        "verdict": row.verdict,
        "explanation": row.explanation,
        "e_value": row.e_value,
        "threshold": row.threshold,
        "tested": row.tested,
    }


def _units(amount: Money | None) -> float | None:
    return None if amount is None else amount.micros / MICROS


def _rows(revision: Revision, lines: Sequence[Line], cases: Sequence[tuple[Brief, Case]]) -> tuple[Row, ...]:
    rows = [_row(revision, line, cases) for line in lines]
    return tuple(sorted(rows, key=lambda row: (_ORDER.index(row.role), row.line.model or "", row.line.version or 0)))


def _row(revision: Revision, line: Line, cases: Sequence[tuple[Brief, Case]]) -> Row:
    if line.model is None:
        return Row(line, FALLBACK)
    who = line.model, line.version
    role = next((arm.role for arm in revision.arms if (arm.model, arm.version) == who), GONE)
    mine = [case for _, case in cases if (case.question.model, case.question.version) == who]
    loses = next((case for case in mine if case.question.kind == LOSES), None)
    told = [case for case in mine if case is loses or (case.question.kind == BEATS and case.reached)]
    return Row(
        line,
        role,
        "; ".join(in_short(case) for case in told),
        " ".join(explain(case) for case in told),
        loses.bets.e_value if loses else None,
        1 / loses.question.error if loses else None,
        loses.bets.n if loses else 0,
    )


def _best(revision: Revision, found: Statement) -> tuple[str, Money, int] | None:
    """The version on the endpoint that is most ahead of the fallback, over all it was asked, with its lead and rows."""
    leads, zero = [], Money(0, found.currency)
    for arm in revision.arms:
        lines = [
            line
            for line in (*found.realised, *found.counterfactual)
            if (line.model, line.version) == (arm.model, arm.version) and line.matured
        ]
        if lines:
            lead = _sum([line.against_fallback or zero for line in lines], found.currency)
            leads.append((lead, f"{arm.model} v{arm.version}", sum(line.matured for line in lines)))
    if not leads:
        return None
    lead, name, matured = max(leads)
    return name, lead, matured


def _alone(lines: Sequence[Line], currency: str) -> Money | None:
    """What the fallback would have earned on all rows of these lines; None if nobody knows."""
    known = [line.fallback for line in lines if line.fallback is not None]
    return _sum(known, currency) if len(known) == len(lines) else None


def _decides(policy: Policy) -> str:
    decision = policy.fallback.get("decision")
    return str(decision).lower() if isinstance(decision, bool) else repr(decision)


def _sum(amounts: Sequence[Money], currency: str) -> Money:
    return sum(amounts, Money(0, currency))
