"""What is asked about an endpoint's versions now, and since which revision: pure reading of its history.

A version's evidence starts when it first comes to the endpoint, and anew when it is revived after a kill, or when what
a decision is worth changes: whoever looks at the figures first and then chooses what to measure chooses the verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from payoff.deploy.guards import BEATS as BEATS_CHAMPION
from payoff.deploy.guards import LOSES as LOSES_MONEY
from payoff.deploy.which import seat
from payoff.experiment.verdict import BEATS, LOSES, Question
from payoff.records.endpoint import Arm, Guard, Policy, Revision, Role

ERROR = 0.05  # of a verdict nobody set a guard on: it is shown and acts on nothing


@dataclass(frozen=True, slots=True)
class Brief:
    """A question, the arm it is about, and whose rows count: those of revisions from `since` on, and before `until`.

    `guard` is who acts on the verdict, if anybody. `rival` is the version to beat.
    """

    question: Question
    arm: Arm
    since: int
    until: int | None = None
    guard: Guard | None = None
    rival: tuple[str, int] | None = None


def briefs(history: Sequence[Revision]) -> list[Brief]:
    """Everything that is asked under the last revision of this history, oldest first; nothing if no value is known."""
    current = history[-1]
    if current.policy.value is None:
        return []
    return [brief for arm in current.arms for brief in (*_losing(history, arm), *_beating(history, arm))]


def _losing(history: Sequence[Revision], arm: Arm) -> list[Brief]:
    since, until = life(history, arm)
    if since is None:
        return []
    policy = history[-1].policy
    guards: list[Guard | None] = [guard for guard in policy.guards if guard.when == LOSES_MONEY]
    found = []
    for guard in guards or [None]:
        against = guard.against if guard else "fallback" if "decision" in policy.fallback else "nothing"
        question = _question(LOSES, arm, against, guard, policy)
        found.append(Brief(question, arm, max(since, _worth_since(history, until)), until, guard))
    return found


def _beating(history: Sequence[Revision], arm: Arm) -> list[Brief]:
    current = history[-1]
    champion = next((other for other in current.arms if seat(other) is Role.CHAMPION), None)
    since, _ = life(history, arm)
    if arm.role is not Role.CHALLENGER or champion is None or since is None:
        return []
    since = max(since, _worth_since(history, None))
    return [
        Brief(
            _question(BEATS, arm, f"{champion.model} v{champion.version}", guard, current.policy),
            arm,
            since,
            guard=guard,
            rival=(champion.model, champion.version),
        )
        for guard in current.policy.guards
        if guard.when == BEATS_CHAMPION
    ]


def _question(kind: str, arm: Arm, against: str, guard: Guard | None, policy: Policy) -> Question:
    stated = next((other.gain_cap for other in policy.guards if other.gain_cap is not None), None)
    error, cap = (guard.error, guard.gain_cap) if guard else (ERROR, stated)
    return Question(kind, arm.model, arm.version, against, error, cap, policy.currency)


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


def _worth_since(history: Sequence[Revision], until: int | None) -> int:
    """The revision since which a decision is worth what it is worth now, or was before `until`."""
    alive = [revision for revision in history if until is None or revision.number < until]
    since = alive[-1].number
    for earlier, later in zip(alive[-2::-1], alive[::-1], strict=False):
        if _worth(earlier.policy) != _worth(later.policy):
            return later.number
        since = earlier.number
    return since


def _worth(policy: Policy) -> tuple[object, ...]:
    return policy.value, policy.decision, policy.currency, sorted(policy.fallback.items(), key=str)
