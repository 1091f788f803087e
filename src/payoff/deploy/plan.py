"""What an order makes of an endpoint: pure functions from the revision that runs to the next one.

Each returns the current revision itself if nothing would change; else one with the next number. Time, author and reason
come in with `By`; nothing here does I/O.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from payoff.deploy import phase
from payoff.deploy.which import Which, called, find, seat
from payoff.errors import BadInput, Conflict, NotFound
from payoff.records.endpoint import Arm, Policy, Revision, Role
from payoff.records.model import Version
from payoff.records.share import share

ARMS_MAX = 16
GUARD = "guard: "  # how the author of an order by a guard begins
TRAFFIC = 0.10  # a challenger's share if nobody says
_ORDER = [Role.CHAMPION, Role.CHALLENGER, Role.SHADOW]


@dataclass(frozen=True, slots=True)
class By:
    """Who orders, why, and when."""

    author: str
    reason: str
    at_us: int

    @property
    def is_guard(self) -> bool:
        """Whether nobody is behind it: a guard stops and promotes, but never brings back what was killed."""
        return self.author.startswith(GUARD)


def deploy_as(
    current: Revision | None,
    endpoint: str,
    version: Version,
    by: By,
    role: str | None = None,
    traffic: float | str | None = None,
) -> Revision:
    """The version joins as champion (in place of the old one), challenger (with a share of traffic, 0 to 1) or shadow.

    Without a role: champion, or challenger if a share is given. The first version of an endpoint is its champion. A
    challenger nobody gave a share to starts with a tenth, or on the first step of the endpoint's ramp.
    A version that is there already moves to the role if the table of moves lets it.
    """
    goal = _goal(current, endpoint, version, role, traffic)
    if current is None:
        return _first(endpoint, (_arm("champion", goal, version),), Policy(), by)
    there = next((arm for arm in current.arms if (arm.model, arm.version) == (version.model, version.number)), None)
    if there is not None:
        phase.move(there, f"deploy as {goal}")
    if goal is Role.CHAMPION:
        if there is not None and there.role is Role.CHAMPION:
            return current
        return _next(current, _crowned(current, there or _arm("champion", goal, version)), by)
    others = [arm for arm in current.arms if arm is not there]
    joins = _joining(there or _arm("", goal, version), goal, traffic, others, current.policy)
    return _next(current, [joins if arm is there else arm for arm in current.arms] + [joins] * (there is None), by)


def promote(current: Revision, by: By, arm: Which = None) -> Revision:
    """The challenger or shadow becomes the champion; the old champion, killed or not, leaves."""
    moved = find(current, arm, "promote")
    phase.move(moved, "promote")
    return _next(current, _crowned(current, moved), by)


def ramp(current: Revision, by: By, traffic: float | str, arm: Which = None) -> Revision:
    """The challenger answers this share of the traffic, 0 to 1, from now on."""
    moved = find(current, arm, "ramp")
    phase.move(moved, "ramp")
    return _changed(current, moved, replace(moved, traffic=share_of(traffic)), by)


def allocate(current: Revision, by: By, shares: Mapping[str, float | str]) -> Revision:
    """Each of these challengers answers its share of the traffic, 0 to 1, from now on; the champion the rest."""
    wanted: dict[str, float] = {}
    for which, traffic in shares.items():
        moved = find(current, which, "allocate")
        phase.move(moved, "allocate")
        if moved.name in wanted:
            raise BadInput(f"{called(moved)} is named twice; say one share for each challenger")
        wanted[moved.name] = share_of(traffic)
    if not wanted:
        raise BadInput("say which challengers get which share, as in {challenger: 20%}; the champion gets the rest")
    arms = [replace(arm, traffic=wanted.get(arm.name, arm.traffic)) for arm in current.arms]
    return _next(current, arms, by)


def kill(current: Revision, by: By, arm: Which = None) -> Revision:
    """The arm (the champion if nobody says) answers no more; the fallback answers its share. A shadow just leaves."""
    moved = find(current, arm, "kill")
    role = phase.move(moved, "kill")
    return _changed(current, moved, None if role is None else replace(moved, role=role, was=moved.role), by)


def revive(current: Revision, by: By, arm: Which = None) -> Revision:
    """A killed arm is back in the role it had. Needs a reason: somebody, or a guard, killed it for one."""
    moved = find(current, arm, "revive")
    role = phase.move(moved, "revive")
    if by.is_guard:
        raise Conflict(f"{called(moved)} was killed; a guard never lets it answer again, a person with a reason may")
    if not by.reason.strip():
        raise BadInput(f"say why {called(moved)} may answer again: revive needs a reason")
    return _changed(current, moved, replace(moved, role=role or Role.CHAMPION, was=None), by)


def retire(current: Revision, by: By, arm: Which = None) -> Revision:
    """A challenger, a shadow or a killed challenger leaves the endpoint."""
    moved = find(current, arm, "retire")
    phase.move(moved, "retire")
    if seat(moved) is Role.CHAMPION:
        raise Conflict(
            f"{called(moved)} was killed as the champion and leaves when another is; "
            "promote or deploy one, or revive it"
        )
    return _changed(current, moved, None, by)


def apply(current: Revision | None, endpoint: str, arms: Iterable[Arm], policy: Policy, by: By) -> Revision:
    """The endpoint as a file says it, except that what was killed stays killed: only revive brings it back."""
    dead = {(arm.model, arm.version): arm for arm in current.arms if arm.role is Role.KILLED} if current else {}
    kept = [_still_dead(arm, dead.get((arm.model, arm.version))) for arm in arms]
    if current is None:
        return _first(endpoint, kept, policy, by)
    return _next(current, kept, by, policy)


def rollback(history: Sequence[Revision], by: By, to: int | None = None) -> Revision:
    """Arms and policy of revision `to`, as a new revision; `history` is every revision in order, the last one runs.

    Without `to`: the latest one that differs from what runs and lets no killed version answer. With `to`, a version
    that is killed by now may answer again, but like revive that needs a reason.
    """
    current = history[-1]
    old = _latest_safe(history) if to is None else _numbered(history, to)
    risen = _risen(old, _dead(history))
    if risen and by.is_guard:
        raise Conflict(f"revision {old.number} lets {_names(risen)} answer, killed since; a guard never does that")
    if risen and not by.reason.strip():
        raise BadInput(f"revision {old.number} lets {_names(risen)} answer, killed since; that needs a reason")
    reason = by.reason or f"back to revision {old.number}"
    return _next(current, old.arms, replace(by, reason=reason), old.policy)


def passed_over(history: Sequence[Revision], old: Revision) -> list[int]:
    """The revisions between `old` and the current one that a rollback left out because they run a killed version."""
    dead = _dead(history)
    return [past.number for past in history[:-1] if past.number > old.number and _risen(past, dead)]


def _goal(
    current: Revision | None, endpoint: str, version: Version, role: str | None, traffic: float | str | None
) -> Role:
    if role not in (None, *_ORDER):
        raise BadInput(f"cannot deploy as {role!r}; a version is deployed as champion, challenger or shadow")
    if current is None and role not in (None, Role.CHAMPION):
        raise Conflict(
            f"{endpoint} has no champion that {version.model} v{version.number} could be {role} to; "
            "deploy a champion first"
        )
    goal = Role(role) if role else Role.CHALLENGER if traffic is not None and current is not None else Role.CHAMPION
    if traffic is not None and goal is not Role.CHALLENGER:
        raise BadInput(f"only a challenger has a share of the traffic; a {goal} has none to set")
    return goal


def _arm(name: str, role: Role, version: Version) -> Arm:
    return Arm(name, role, version.model, version.number, version.served)


def _joining(arm: Arm, role: Role, traffic: float | str | None, others: Sequence[Arm], policy: Policy) -> Arm:
    """The arm in its new role, with a name that fits: its own if it has one, else the role's, numbered if taken.

    Where challengers climb by themselves, a new one starts on the first step.
    """
    own = arm.name and (arm.role is role or not re.fullmatch(rf"{arm.role}(-\d+)?", arm.name))
    name = arm.name if own else _free(role, {other.name for other in others})
    first = TRAFFIC if policy.ramp is None else policy.ramp.steps[0]
    kept = arm.traffic if arm.role is role and arm.name else first
    share = 0.0 if role is Role.SHADOW else share_of(traffic) if traffic is not None else kept
    return replace(arm, name=name, role=role, traffic=share)


def _free(role: Role, taken: set[str]) -> str:
    return next(name for n in range(1, ARMS_MAX + 2) if (name := str(role) if n == 1 else f"{role}-{n}") not in taken)


def _crowned(current: Revision, heir: Arm) -> list[Arm]:
    """The arms with `heir` on the champion's seat, under the seat's name."""
    old = next((arm for arm in current.arms if seat(arm) is Role.CHAMPION), None)
    crowned = replace(heir, name=old.name if old else "champion", role=Role.CHAMPION, traffic=0.0, was=None)
    return [crowned, *(arm for arm in current.arms if arm is not old and arm is not heir)]


def share_of(traffic: float | str) -> float:
    """The share of the traffic that people mean by 0.1 or "10%"."""
    found = share(traffic)
    if found is None:
        raise BadInput(f"{traffic!r} is no share of the traffic; write 10% or 0.1")
    return found


def _still_dead(arm: Arm, dead: Arm | None) -> Arm:
    if dead is None or arm.role is Role.KILLED:
        return arm
    was = dead.was if arm.role is Role.SHADOW else arm.role
    return replace(arm, role=Role.KILLED, was=was, traffic=dead.traffic if arm.role is Role.SHADOW else arm.traffic)


def _changed(current: Revision, old: Arm, new: Arm | None, by: By) -> Revision:
    swapped = [new if arm is old else arm for arm in current.arms]
    return _next(current, [arm for arm in swapped if arm is not None], by)


def _first(endpoint: str, arms: Iterable[Arm], policy: Policy, by: By) -> Revision:
    return Revision(endpoint, 1, by.at_us, by.author, by.reason, _sound(arms), policy)


def _next(current: Revision, arms: Iterable[Arm], by: By, policy: Policy | None = None) -> Revision:
    sound, policy = _sound(arms), current.policy if policy is None else policy
    if sound == current.arms and policy == current.policy:
        return current
    return Revision(current.endpoint, current.number + 1, by.at_us, by.author, by.reason, sound, policy)


def _sound(arms: Iterable[Arm]) -> tuple[Arm, ...]:
    """The arms in order of their seats, if they make an endpoint: one champion, alive or killed, shares that fit."""
    sound = tuple(sorted(arms, key=lambda arm: _ORDER.index(seat(arm))))
    if len(sound) > ARMS_MAX:
        raise Conflict(f"{len(sound)} arms are too many; the limit is {ARMS_MAX}: retire one first")
    champions = [arm for arm in sound if seat(arm) is Role.CHAMPION]
    if len(champions) != 1:
        raise BadInput(f"an endpoint has one champion; here are {_names(champions) or 'none'}")
    for what, counts in (
        ("arm", Counter(arm.name for arm in sound)),
        ("version", Counter(f"{arm.model} v{arm.version}" for arm in sound)),
    ):
        if twice := [name for name, n in counts.items() if n > 1]:
            raise BadInput(f"{what} {twice[0]} is there twice; each {what} may be on an endpoint once")
    if round(sum(arm.traffic for arm in sound), 9) > 1:
        shares = ", ".join(f"{called(arm)} {arm.traffic:.6g}" for arm in sound if arm.traffic)
        raise Conflict(f"the challengers' shares add up to more than 1 (100 %): {shares}; ramp one down first")
    return sound


def _dead(history: Sequence[Revision]) -> set[tuple[str, int]]:
    """The versions that were killed when last seen on the endpoint."""
    last = {(arm.model, arm.version): arm.role for revision in history for arm in revision.arms}
    return {version for version, role in last.items() if role is Role.KILLED}


def _risen(revision: Revision, dead: set[tuple[str, int]]) -> list[Arm]:
    alive = [arm for arm in revision.arms if arm.role in (Role.CHAMPION, Role.CHALLENGER)]
    return [arm for arm in alive if (arm.model, arm.version) in dead]


def _latest_safe(history: Sequence[Revision]) -> Revision:
    current, dead = history[-1], _dead(history)
    different = [past for past in history[-2::-1] if (past.arms, past.policy) != (current.arms, current.policy)]
    safe = [past for past in different if not _risen(past, dead)]
    answering = [past for past in safe if past.arm(Role.CHAMPION) is not None]
    if safe:  # one in which a model answers, if there is any: going back is no kill
        return (answering or safe)[0]
    if not different:
        raise Conflict(f"nothing to roll back to: {current.endpoint} never ran anything else")
    raise Conflict(
        f"nothing safe to roll back to: every earlier revision lets a killed version answer ("
        f"{_names(_risen(different[0], dead))} in revision {different[0].number}); "
        "name the revision with a reason, or revive the version"
    )


def _numbered(history: Sequence[Revision], number: int) -> Revision:
    for revision in history:
        if revision.number == number:
            return revision
    raise NotFound(
        f"{history[-1].endpoint} has no revision {number}; there are {history[0].number} to {history[-1].number}"
    )


def _names(arms: Iterable[Arm]) -> str:
    return ", ".join(called(arm) for arm in arms)
