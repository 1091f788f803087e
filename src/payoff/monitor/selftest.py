"""The guards of an endpoint, tried on its own recorded decisions with nothing to be found in them."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.deploy.guards import BEATS as BEATS_CHAMPION
from payoff.deploy.guards import NO_DIFFERENCE
from payoff.errors import BadInput
from payoff.experiment.selftest import RUNS, Found, selftest
from payoff.experiment.verdict import BEATS, LOSES, SAME, Case, Question
from payoff.monitor.lives import Brief, briefs
from payoff.monitor.matured import HOLDOUT, Matured
from payoff.monitor.power import judged, money
from payoff.records.endpoint import Guard, Revision, Role

HALVES = (0.5, 0.5)
_KINDS = {BEATS_CHAMPION: BEATS, NO_DIFFERENCE: SAME}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tried:
    """One guard, what it was tried on, in words, and what came of it."""

    guard: Guard
    question: Question
    on: str
    found: Found

    @property
    def text(self) -> str:
        """The result as a sentence."""
        one = self.found
        end = "clearly more: do not trust this guard here" if one.clearly_more else "its error is kept"
        return (
            f"{self.guard.when} ({self.guard.do}): {one.false} of {one.runs} runs over {one.rows:,} decisions would "
            f"have been false verdicts, {one.false / one.runs:.2%}; at most {one.allowed:.2%} may be: {end}"
        )


def tried(past: Sequence[Revision], rows: Matured, runs: int = RUNS) -> list[Tried]:
    """Every guard that gives verdicts, under its own error and cap. BadInput where there is none, or too few rows."""
    asked = [one for one in briefs(past) if one.guard is not None]
    found = [_tried(past, rows, one, runs) for one in asked]
    kinds = {one.question.kind for one in asked}
    champion = past[-1].arm(Role.CHAMPION)
    for guard in past[-1].policy.guards if champion else ():
        kind = _KINDS.get(guard.when)
        if kind is not None and kind not in kinds and champion is not None:
            question = Question(
                kind, champion.model, champion.version, "the same again", guard.gain_cap, past[-1].policy.currency,
                randomised=True, within=guard.within,
            )  # fmt: skip
            own = rows.take((rows.arm == question.name) & ~rows.shadow & ~rows.explored)
            result = selftest(Case(question, guard.error), own.worth - own.cost, HALVES, runs)
            found.append(Tried(guard, question, f"random halves of the decisions of {question.name}", result))
    if not found:
        raise BadInput(f"{past[-1].endpoint} has no guard that gives verdicts, and a value; there is nothing to test")
    return found


def plain(endpoint: str, found: Sequence[Tried]) -> dict[str, Any]:
    """As JSON."""
    return {
        "endpoint": endpoint,
        "passed": not any(one.found.clearly_more for one in found),
        "guards": [
            asdict(one.found)
            | {
                "guard": one.guard.when, "do": one.guard.do, "question": one.question.text, "on": one.on,
                "version": one.question.name, "clearly_more": one.found.clearly_more, "text": one.text,
            }
            for one in found
        ],
    }  # fmt: skip


def _tried(past: Sequence[Revision], rows: Matured, brief: Brief, runs: int) -> Tried:
    question, bar = brief.question, brief.bar
    assert brief.guard is not None  # noqa: S101 - only those are tried
    case = Case(question, bar.error, bar.every if question.kind == LOSES else None)
    recorded = money(brief, judged(past, rows, brief))
    whose = f"{question.name} and {'the hold-out' if question.against == HOLDOUT else question.against}"
    if question.randomised:
        return Tried(brief.guard, question, f"random halves of {whose}", selftest(case, recorded, HALVES, runs))
    on = f"{question.name} against {question.against}, moved so that on average nothing is lost"
    return Tried(brief.guard, question, on, selftest(case, recorded, None, runs))
