"""Guards: when this verdict, give that order. What follows from the cases is decided here, without doing anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from payoff.experiment.verdict import BEATS, LOSES, Case, facts
from payoff.experiment.words import explain
from payoff.money import MICROS, MICROS_MAX
from payoff.monitor.docket import Docket
from payoff.monitor.lives import Brief
from payoff.records.endpoint import Revision, Role

ACTIVE = (Role.CHAMPION, Role.CHALLENGER)


@dataclass(frozen=True, slots=True)
class Move:
    """An order that a guard gives. `arm` is "model:version": a name may mean another version a moment later."""

    verb: str
    arm: str
    author: str
    reason: str
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """A verdict on which no order followed, and why not."""

    key: str  # says it once
    text: str
    evidence: dict[str, Any]


def moves(docket: Docket) -> list[Move]:
    """The orders that are due, kills first. Whoever gives one looks again before the next."""
    due = [brief for brief in docket.briefs if brief.guard and docket.case(brief).reached]
    kills = [brief for brief in due if brief.question.kind == LOSES and brief.arm.role in ACTIVE]
    promotions = [
        brief
        for brief in due
        if brief.question.kind == BEATS and brief.arm.role is Role.CHALLENGER and not _loses(docket, brief)
    ]
    return [_move(brief, docket.case(brief)) for brief in (*kills, *promotions)]


def held(docket: Docket) -> list[Held]:
    """Promotions that are refused because the challenger itself loses money against the fallback."""
    found = []
    for brief in docket.briefs:
        loses = _loses(docket, brief) if brief.question.kind == BEATS and brief.guard else None
        if loses is not None and docket.case(brief).reached:
            question = brief.question
            found.append(
                Held(
                    f"{question.name} {question.text} since revision {brief.since}",
                    f"{question.name} {question.text}, but is not promoted: it loses money itself. {explain(loses)}",
                    {"beats": facts(docket.case(brief)), "loses": facts(loses)},
                )
            )
    return found


def idle(docket: Docket, revision: Revision) -> str | None:
    """What to say when no model answers any more and none is known to be better than the fallback; else None."""
    if any(arm.role in ACTIVE for arm in revision.arms):
        return None
    cases = [
        docket.case(brief)
        for brief in docket.briefs
        if brief.question.kind == LOSES and brief.question.against == "fallback" and docket.case(brief).bets.n
    ]
    if not cases or any(case.raw.mean > 0 for case in cases):
        return None
    less = (f"{case.question.name} {-case.raw.mean:,.2f} {case.question.currency}" for case in cases)
    return (
        f"no model on {revision.endpoint} is worth its keep; less than the fallback earned, per prediction: "
        f"{', '.join(less)}. The fallback answers until a model beats it."
    )


def blind(briefs: Sequence[Brief], fallback_known: bool) -> str | None:
    """What to say when a guard cannot judge, because nobody knows what the fallback would have earned; else None."""
    asked = [brief for brief in briefs if brief.guard and brief.question.against == "fallback"]
    if fallback_known or not asked:
        return None
    return (
        "the guard 'loses money' cannot judge against the fallback: the value depends on the decision and the fallback "
        "has none; say 'fallback: {decision: ...}', or 'against: nothing'"
    )


def absurd(endpoint: str, beyond: int, currency: str) -> Held | None:
    """What to say of predictions whose worth is more than money can be: said anew when ten times as many are."""
    if not beyond:
        return None
    one = beyond == 1
    return Held(
        f"absurd: {10 ** (len(str(beyond)) - 1)} or more",
        f"{beyond:,} {'outcome' if one else 'outcomes'} on {endpoint} {'gives' if one else 'give'} a value beyond "
        f"{MICROS_MAX // MICROS:,} {currency} and {'is' if one else 'are'} left out, as if not known; correct "
        f"{'it' if one else 'them'}, or the value expression",
        {"predictions": beyond},
    )


def _loses(docket: Docket, brief: Brief) -> Case | None:
    """The verdict that this brief's version loses money against the fallback, if it was reached."""
    for other in docket.briefs:
        same = (other.arm.model, other.arm.version) == (brief.arm.model, brief.arm.version)
        question = other.question
        if same and question.kind == LOSES and question.against == "fallback" and docket.case(other).reached:
            return docket.case(other)
    return None


def _move(brief: Brief, case: Case) -> Move:
    guard = brief.guard
    assert guard is not None  # noqa: S101 - only guarded briefs come here
    return Move(
        verb=guard.do,
        arm=f"{brief.arm.model}:{brief.arm.version}",
        author=f"guard: {guard.when}",
        reason=explain(case),
        evidence={"guard": _plain(brief), **facts(case)},
    )


def _plain(brief: Brief) -> dict[str, Any]:
    guard = brief.guard
    assert guard is not None  # noqa: S101
    return {
        "when": guard.when,
        "against": guard.against,
        "error": guard.error,
        "gain_cap": guard.gain_cap,
        "do": guard.do,
        "since_revision": brief.since,
    }
