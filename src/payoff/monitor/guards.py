"""Guards: when this verdict, give that order. What follows from the cases is decided here, without doing anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

from payoff.experiment.verdict import BEATS, LOSES, SAME, Case, facts
from payoff.experiment.words import explain
from payoff.journal.query import Journal
from payoff.money import MICROS, MICROS_MAX
from payoff.monitor import rails
from payoff.monitor.docket import Docket
from payoff.monitor.docket import key as case_key
from payoff.monitor.lives import ACTIVE, Brief
from payoff.records.endpoint import Arm, Revision, Role

RATIO_ERROR = 0.001  # of saying that the shares are not kept when they are
SHARE_LEAST = 0.001  # no share is halved below it
VALUED_LEAST = 20  # rows with a known value, before it is said that few of them can be compared


@dataclass(frozen=True, slots=True)
class Known:
    """What the watch knows of one endpoint at one look. `outcome_us` is when the newest outcome came; None: never."""

    endpoint: str
    past: Sequence[Revision]  # oldest first; the last one runs
    docket: Docket
    journal: Journal
    now_us: int
    outcome_us: int | None = None

    @property
    def current(self) -> Revision:
        return self.past[-1]


@dataclass(frozen=True, slots=True)
class Move:
    """An order that a guard gives. `arm` is "model:version": a name may mean another version a moment later.

    `details` are what the verb takes besides. What has a `key` is done once, also after a restart. `brief` is the
    question whose verdict it follows from, if it follows from one.
    """

    verb: str
    arm: str
    author: str
    reason: str
    evidence: dict[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    brief: Brief | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A finding: a verdict on which no order followed and why not, or something people should know."""

    key: str  # says it once
    text: str
    evidence: dict[str, Any]
    severity: str = "warning"
    brief: Brief | None = None


def moves(docket: Docket) -> list[Move]:
    """The orders that are due, kills first. Whoever gives one looks again before the next."""
    found = [follows(docket, brief) for brief in docket.briefs]
    given = [move for move in found if isinstance(move, Move)]
    return sorted(given, key=lambda move: move.verb != "kill")


def held(docket: Docket) -> list[Held]:
    """What verdicts amount to where no order follows: a warning is all that is asked for, or something blocks it."""
    found = [follows(docket, brief) for brief in docket.briefs]
    return [held for held in found if isinstance(held, Held)]


def follows(docket: Docket, brief: Brief) -> Move | Held | None:
    """What a verdict is followed by."""
    if brief.guard is None or not docket.case(brief).reached:
        return None
    if brief.question.kind == LOSES:
        return _harmed(docket, brief) if brief.arm.role in ACTIVE else None
    if brief.arm.role is not Role.CHALLENGER:
        return None
    if brief.guard.do == "warn":
        return _warned(docket, brief)
    blocked = promotion_blocks(docket, brief) if brief.question.kind == BEATS else []
    return _blocked(docket, brief, blocked) if blocked else _ordered(docket, brief)


def harm(
    do: str, arm: Arm, *, author: str, reason: str, evidence: dict[str, Any], key: str, brief: Brief | None = None
) -> Move | Held:
    """What follows harm: a kill, half of a challenger's share, or words. A champion has no share to halve.

    A share is halved, or a warning said, once for each `key`.
    """
    name = f"{arm.model}:{arm.version}"
    if do == "kill":
        return Move("kill", name, author, reason, evidence, brief=brief)
    half = arm.traffic / 2
    if do == "halve" and arm.role is Role.CHALLENGER and half >= SHARE_LEAST:
        return Move("ramp", name, author, reason, evidence, {"traffic": half}, key, brief)
    return Held(key, reason, evidence, "alarm", brief)


def promotion_blocks(docket: Docket, brief: Brief) -> list[str]:
    """What speaks against a promotion that the money speaks for, in words."""
    found = []
    if (losing := _loses(docket, brief)) is not None:
        found.append(f"it loses money itself. {explain(losing)}")
    if uneven(docket, brief.since):
        found.append("the calls do not fall to the arms in their shares, so no comparison can be trusted")
    if brief.guard is not None and _answers(docket, brief):
        mine, theirs = docket.rails.get(case_key(brief), (rails.Rails(), rails.Rails()))
        found += rails.blocks(mine, theirs, brief.guard.guardrails, brief.bar.error)
    return found


def promotes(brief: Brief) -> bool:
    """Does a promotion follow from this verdict, if nothing holds it up?"""
    return brief.question.kind == BEATS and brief.guard is not None


def uneven(docket: Docket, since: int) -> bool:
    """Is it proven that rows of revisions from `since` on do not fall to the sides in their shares?"""
    return docket.ratio(since) >= -log(RATIO_ERROR)


def mismatch(docket: Docket, revision: Revision) -> Held | None:
    """What to say when the sample ratio is off under the endpoint's present shares."""
    if revision.number not in docket.shares or not uneven(docket, revision.number):
        return None
    sides = docket.shares[revision.number].sides
    counts = {side or "fallback": docket.counts.get((revision.number, side), 0) for side in sides}
    total = sum(counts.values())
    told = ", ".join(
        f"{name} {count / total:.1%} instead of {share:.1%}"
        for (name, count), share in zip(counts.items(), sides.values(), strict=True)
    )
    return Held(
        f"sample ratio since revision {revision.number}",
        f"The calls of {revision.endpoint} do not fall to the arms in their shares: {told} of {total:,} predictions. "
        f"Shares that are kept look like this in at most 1 of {1 / RATIO_ERROR:,.0f} watches. Something loses calls or "
        "sends them elsewhere; nobody is promoted until that is found.",
        {"counts": counts, "shares": {name: sides[name if name != "fallback" else ""] for name in counts},
         "log_e": docket.ratio(revision.number)},
    )  # fmt: skip


def idle(docket: Docket, revision: Revision) -> str | None:
    """What to say when no model answers any more and none is known to be better than the fallback; else None."""
    if any(arm.role in ACTIVE for arm in revision.arms):
        return None
    cases = [
        docket.case(brief)
        for brief in docket.briefs
        if brief.question.kind == LOSES and brief.question.against == "fallback" and docket.case(brief).tested
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


def incomparable(docket: Docket) -> Held | None:
    """What to say of guards for which values are known, but for most not what the fallback would have earned."""
    for brief in docket.briefs:
        case, question = docket.case(brief), brief.question
        valued = sum(
            own.n for (number, side), own in docket.tally.items() if side == question.name and number >= brief.since
        )
        if brief.guard is None or question.against != "fallback" or case.reached or valued < VALUED_LEAST:
            continue
        if case.tested < valued / 2:
            return Held(
                f"not comparable: {question.name} since revision {brief.since}",
                f"the guard '{brief.guard.when}' cannot judge {question.name} against the fallback: the value of "
                f"{valued:,} predictions is known, and of {case.tested:,} what the fallback would have earned. Money "
                "that is sent says nothing about another decision: send the columns that the value reads as well, or "
                "say 'against: holdout' or 'against: nothing'",
                {"valued": valued, "compared": case.tested},
            )
    return None


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


def standing(brief: Brief) -> str:
    """A question and the life it is asked about, in words: what follows from its verdict follows once."""
    return f"{brief.question.name} {brief.question.text} since revision {brief.since}"


def _harmed(docket: Docket, brief: Brief) -> Move | Held:
    guard, case = brief.guard, docket.case(brief)
    assert guard is not None  # noqa: S101 - only guarded briefs come here
    words = explain(case, brief.bar.shared)
    return harm(
        guard.do,
        brief.arm,
        author=_author(brief),
        reason=words,
        evidence=_evidence(brief, case),
        key=standing(brief),
        brief=brief,
    )


def _ordered(docket: Docket, brief: Brief) -> Move:
    guard, case = brief.guard, docket.case(brief)
    assert guard is not None  # noqa: S101
    name = f"{brief.arm.model}:{brief.arm.version}"
    words = explain(case, brief.bar.shared)
    return Move(guard.do, name, _author(brief), words, _evidence(brief, case), brief=brief)


def _warned(docket: Docket, brief: Brief) -> Held:
    case = docket.case(brief)
    return Held(standing(brief), explain(case, brief.bar.shared), _evidence(brief, case), "warning", brief)


def _blocked(docket: Docket, brief: Brief, blocks: Sequence[str]) -> Held:
    question, case = brief.question, docket.case(brief)
    evidence = {"beats": facts(case), "blocked": list(blocks)}
    if (losing := _loses(docket, brief)) is not None:
        evidence["loses"] = facts(losing)
    words = f"{question.name} {question.text}, but is not promoted: {'; '.join(blocks)}"
    return Held(f"{standing(brief)}: {_about(blocks)}", words, evidence, "warning", brief)


def _about(blocks: Sequence[str]) -> str:
    """The blocks without their figures, so that the same is not said again and again."""
    return "; ".join(block.split(". ")[0] for block in blocks)


def _loses(docket: Docket, brief: Brief) -> Case | None:
    """The verdict that this brief's version loses money against what it would be without it, if it was reached."""
    for other in docket.briefs:
        same = (other.arm.model, other.arm.version) == (brief.arm.model, brief.arm.version)
        if same and other.question.kind == LOSES and other.rival is None and docket.case(other).reached:
            return docket.case(other)
    return None


def _answers(docket: Docket, brief: Brief) -> bool:
    """Does the champion answer? One that was killed sets no standard."""
    champion = docket.past[-1].arm(Role.CHAMPION) if docket.past else None
    return champion is not None and (champion.model, champion.version) == brief.rival


def _author(brief: Brief) -> str:
    assert brief.guard is not None  # noqa: S101
    return f"guard: {brief.guard.when}"


def _evidence(brief: Brief, case: Case) -> dict[str, Any]:
    return {"guard": _plain(brief), **facts(case)}


def _plain(brief: Brief) -> dict[str, Any]:
    guard = brief.guard
    assert guard is not None  # noqa: S101
    return {
        "when": guard.when,
        "against": brief.question.against,
        "error": guard.error,
        "shared_by": brief.bar.shared,
        "gain_cap": guard.gain_cap,
        "block": guard.block,
        "false_stop_every": guard.false_stop_every if brief.question.kind == LOSES else None,
        "within": guard.within if brief.question.kind == SAME else None,
        "guardrails": dict(guard.guardrails),
        "do": guard.do,
        "since_revision": brief.since,
    }
