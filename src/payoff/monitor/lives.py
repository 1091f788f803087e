"""What is asked about an endpoint's versions now, and since which revision: pure reading of its history.

A version's evidence starts when it first comes to the endpoint, and anew when it is revived after a kill, when what a
decision is worth changes, or when something else is asked about it (another cap, another champion to beat): whoever
looks at the figures first and then chooses what to measure chooses the verdict. The error rate is not part of what is
asked: a guard's error is divided between the versions that it could act on, and as they come and go the same evidence
is held against another bar.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from payoff.deploy.guards import BEATS as BEATS_CHAMPION
from payoff.deploy.guards import LOSES as LOSES_MONEY
from payoff.deploy.guards import NO_DIFFERENCE
from payoff.deploy.which import seat
from payoff.experiment.verdict import BEATS, ERROR, LOSES, SAME, Question
from payoff.records.endpoint import Arm, Guard, Policy, Revision, Role

FALSE_STOP_EVERY = 1_000_000  # decisions, where nobody set a guard: that verdict is shown and acts on nothing
RAMP_ERROR = 0.01  # of the verdict that stops a climb: the challenger loses money against the champion
ACTIVE = (Role.CHAMPION, Role.CHALLENGER)
_KINDS = {BEATS_CHAMPION: BEATS, NO_DIFFERENCE: SAME}


@dataclass(frozen=True, slots=True)
class Bar:
    """What the evidence is held against for rows of the revisions from `since` on.

    `error` is this version's share of its guard's, which `shared` versions divide; `every` the detector's run length.
    """

    since: int
    error: float = ERROR
    every: float | None = None
    shared: int = 1


@dataclass(frozen=True, slots=True)
class Brief:
    """A question, the arm it is about, and whose rows count: those of revisions from `since` on, and before `until`.

    `guard` is who acts on the verdict, if anybody. `rival` is the version it is compared with. `bars` are in order.
    `answered`: only rows that it answered itself count, for the outcome depends on the decision.
    """

    question: Question
    arm: Arm
    since: int
    until: int | None = None
    guard: Guard | None = None
    rival: tuple[str, int] | None = None
    bars: tuple[Bar, ...] = (Bar(0),)
    answered: bool = False

    @property
    def bar(self) -> Bar:
        """The last one."""
        return self.bars[-1]


def briefs(history: Sequence[Revision]) -> list[Brief]:
    """Everything that is asked under the last revision of this history, oldest first; nothing if no value is known."""
    current = history[-1]
    if current.policy.value is None:
        return []
    return [brief for arm in current.arms for brief in (*_losing(history, arm), *_comparing(history, arm))]


def _losing(history: Sequence[Revision], arm: Arm) -> list[Brief]:
    since, until = life(history, arm)
    if since is None:
        return []
    alive = _before(history, until)
    found = []
    for guard in _guards(alive[-1].policy, LOSES_MONEY) or (None,):
        against = _against(alive[-1].policy, guard)
        question, asked = _asked(alive, partial(_losing_question, arm=arm, against=against))
        first = max(since, _worth_since(alive), asked)
        bars = _bars(alive, first, partial(_loses_bar, against=against))
        found.append(
            Brief(question, arm, first, until, guard, None, bars, alive[-1].policy.outcome_depends_on_decision)
        )
    return found


def _comparing(history: Sequence[Revision], arm: Arm) -> list[Brief]:
    """Challenger and champion: does it beat it, does it make no difference, and on a ramp, does it lose against it?"""
    current = history[-1]
    champion, (since, _) = _champion(current), life(history, arm)
    if arm.role is not Role.CHALLENGER or champion is None or since is None:
        return []
    asked_for = [(_KINDS[guard.when], guard) for guard in current.policy.guards if guard.when in _KINDS]
    ramp: list[tuple[str, Guard | None]] = [(LOSES, None)] if current.policy.ramp else []
    return [_comparison(history, arm, champion, since, kind, guard) for kind, guard in (*asked_for, *ramp)]


def _comparison(
    history: Sequence[Revision], arm: Arm, champion: Arm, since: int, kind: str, guard: Guard | None
) -> Brief:
    question, asked = _asked(history, partial(_comparing_question, arm=arm, kind=kind))
    first = max(since, _worth_since(history), asked)
    bars = _bars(history, first, partial(_compares_bar, kind=kind))
    depends = history[-1].policy.outcome_depends_on_decision
    return Brief(question, arm, first, None, guard, (champion.model, champion.version), bars, depends)


def _losing_question(revision: Revision, arm: Arm, against: str) -> Question | None:
    """Does it lose money against this, as this revision asks it."""
    policy = revision.policy
    guards = _guards(policy, LOSES_MONEY)
    guard = next((guard for guard in guards if guard.against == against), None)
    if (guards and guard is None) or _against(policy, guard) != against:
        return None
    cap = guard.gain_cap if guard else _stated_cap(policy)
    block = guard.block if guard else 1
    return Question(LOSES, arm.model, arm.version, against, cap, policy.currency, against == "holdout", block=block)


def _comparing_question(revision: Revision, arm: Arm, kind: str) -> Question | None:
    """How does this challenger compare with the champion, as this revision asks it; None if it does not ask."""
    policy, champion = revision.policy, _champion(revision)
    found = next((one for one in revision.arms if _name(one) == _name(arm)), None)
    guard = next((guard for guard in policy.guards if _KINDS.get(guard.when) == kind), None)
    asks = policy.ramp if kind == LOSES else guard
    if champion is None or found is None or found.role is not Role.CHALLENGER or not asks:
        return None
    cap = guard.gain_cap if kind == BEATS and guard else _stated_cap(policy) if kind == LOSES else None
    return Question(
        kind,
        arm.model,
        arm.version,
        _name(champion),
        cap,
        policy.currency,
        policy.outcome_depends_on_decision,
        guard.within if guard else None,
        guard.block if guard else 1,
    )


def _loses_bar(revision: Revision, against: str) -> Bar:
    guard = next((guard for guard in _guards(revision.policy, LOSES_MONEY) if guard.against == against), None)
    if guard is None:
        return Bar(revision.number, ERROR, FALSE_STOP_EVERY)
    shared = max(1, sum(arm.role in ACTIVE for arm in revision.arms))
    return Bar(revision.number, guard.error / shared, guard.false_stop_every, shared)


def _compares_bar(revision: Revision, kind: str) -> Bar:
    guard = next((guard for guard in revision.policy.guards if _KINDS.get(guard.when) == kind), None)
    shared = max(1, sum(arm.role is Role.CHALLENGER for arm in revision.arms))
    return Bar(revision.number, (guard.error if guard else RAMP_ERROR) / shared, None, shared)


def _bars(history: Sequence[Revision], since: int, bar: Callable[[Revision], Bar]) -> tuple[Bar, ...]:
    """The bars of the revisions from `since` on, each where it changed."""
    found: list[Bar] = []
    for revision in history:
        if revision.number >= since and (not found or replace(bar(revision), since=found[-1].since) != found[-1]):
            found.append(bar(revision))
    return tuple(found)


def _asked(history: Sequence[Revision], asks: Callable[[Revision], Question | None]) -> tuple[Question, int]:
    """What the last revision asks, and the first of those up to it that ask the same."""
    since, now = history[-1].number, asks(history[-1])
    assert now is not None  # noqa: S101 - only what is asked comes here
    for revision in reversed(history):
        if asks(revision) != now:
            break
        since = revision.number
    return now, since


def _against(policy: Policy, guard: Guard | None) -> str:
    if guard is not None:
        return guard.against
    if policy.outcome_depends_on_decision:
        return "holdout" if policy.holdout else "nothing"
    return "fallback" if "decision" in policy.fallback else "nothing"


def _guards(policy: Policy, when: str) -> tuple[Guard, ...]:
    return tuple(guard for guard in policy.guards if guard.when == when)


def _stated_cap(policy: Policy) -> float | None:
    return next((guard.gain_cap for guard in policy.guards if guard.gain_cap is not None), None)


def _champion(revision: Revision) -> Arm | None:
    return next((arm for arm in revision.arms if seat(arm) is Role.CHAMPION), None)


def _name(arm: Arm) -> str:
    return f"{arm.model} v{arm.version}"


def life(history: Sequence[Revision], arm: Arm) -> tuple[int | None, int | None]:
    """The revision at which the version's present life began, and the one that killed it, if one did."""
    since = until = last = None
    for revision in history:
        found = next((a for a in revision.arms if (a.model, a.version) == (arm.model, arm.version)), None)
        if found is None:
            continue
        if found.role is Role.KILLED:
            until = revision.number if last is not Role.KILLED else until
        elif since is None or last is Role.KILLED:
            since, until = revision.number, None
        last = found.role
    return since, until


def _before(history: Sequence[Revision], until: int | None) -> list[Revision]:
    return [revision for revision in history if until is None or revision.number < until]


def _worth_since(history: Sequence[Revision]) -> int:
    """The revision since which a decision is worth what it is worth at the end of this history."""
    since = history[-1].number
    for earlier, later in zip(history[-2::-1], history[::-1], strict=False):
        if _worth(earlier.policy) != _worth(later.policy):
            return later.number
        since = earlier.number
    return since


def _worth(policy: Policy) -> tuple[object, ...]:
    """What the money of a row depends on."""
    return (
        policy.value,
        policy.decision,
        policy.currency,
        sorted(policy.fallback.items(), key=str),
        policy.outcome_depends_on_decision,
        policy.matures,
        policy.no_outcome,
    )
