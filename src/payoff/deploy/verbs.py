"""From the words of an order to the next revision: what each verb takes, and which checks it must pass."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from payoff.codecs.document import among
from payoff.deploy import phase, plan
from payoff.deploy.check import check
from payoff.deploy.file import EndpointFile, FileArm, parse
from payoff.deploy.plan import By
from payoff.deploy.which import Which
from payoff.errors import BadInput, NotFound
from payoff.records import names
from payoff.records.endpoint import Arm, Revision, Role
from payoff.registry import Registry

HISTORY_MAX = 1_000  # revisions that a rollback looks back on by itself


@dataclass(frozen=True)
class Situation:
    """An endpoint as an order finds it; `current` is None before its first revision."""

    endpoint: str
    current: Revision | None
    registry: Registry
    by: By

    @cached_property
    def history(self) -> Sequence[Revision]:
        """Its revisions up to the current one, oldest first."""
        if self.current is None:
            return ()
        past = self.registry.revisions(self.endpoint, limit=HISTORY_MAX, before=self.current.number)
        return (*reversed(past), self.current)

    def running(self) -> Revision:
        """The current revision; NotFound, with the endpoints there are, if there is none."""
        return self.current or self.registry.current(self.endpoint)


@dataclass(frozen=True, slots=True)
class Planned:
    """The revision that an order makes, and what its author may want to know."""

    revision: Revision
    notes: tuple[str, ...] = ()


def read(situation: Situation, verb: str, arguments: Mapping[str, Any]) -> Planned:
    """What the order makes of the endpoint, checked as a whole if it brings arms or policy together anew."""
    planned = _plan(verb)(situation, **_taken(verb, arguments))
    revision, current = planned.revision, situation.current
    if revision is current or (current is not None and _nothing_new(revision, current)):
        return planned  # a kill of the champion, a ramp, a revive: nothing new to check, and nothing to wait for
    checked = check(revision.arms, revision.policy, situation.history)
    whole = replace(revision, policy=checked.policy)
    if current and (whole.arms, whole.policy) == (current.arms, current.policy):
        return Planned(current, planned.notes)
    return Planned(whole, planned.notes + checked.notes)


def _plan(verb: str) -> Callable[..., Planned]:
    if verb not in _PLANS:
        raise BadInput(f"no order {verb[:40]!r}{among(verb, phase.VERBS)}")
    return _PLANS[verb]


def _taken(verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the verb takes; those that are None count as not given."""
    given = {name: value for name, value in arguments.items() if value is not None}
    takes = dict(list(inspect.signature(_PLANS[verb]).parameters.items())[1:])
    if unknown := [name for name in given if name not in takes]:
        word = unknown[0][:40]
        raise BadInput(f"{verb} takes no {word!r}{among(word, list(takes), 'it takes')}")
    if missing := [name for name, one in takes.items() if one.default is one.empty and name not in given]:
        raise BadInput(f"{verb} needs {' and '.join(repr(name) for name in missing)}")
    return given


def _deploy(
    now: Situation,
    model: str,
    version: int | str | None = None,
    role: str | None = None,
    traffic: float | str | None = None,
) -> Planned:
    if isinstance(version, bool):
        raise BadInput(f"{version} is no version; say its number, an alias or 'latest'")
    found = now.registry.find(names.check(model, "model"), None if version == "latest" else version)
    return Planned(plan.deploy_as(now.current, now.endpoint, found, now.by, role, traffic))


def _promote(now: Situation, arm: Which = None) -> Planned:
    return Planned(plan.promote(now.running(), now.by, arm))


def _ramp(now: Situation, traffic: float | str, arm: Which = None) -> Planned:
    return Planned(plan.ramp(now.running(), now.by, traffic, arm))


def _allocate(now: Situation, shares: Mapping[str, float | str]) -> Planned:
    if not isinstance(shares, Mapping):
        raise BadInput(f"{str(shares)[:80]!r} are no shares; say {{ARM: SHARE}}, as in {{challenger: 20%}}")
    return Planned(plan.allocate(now.running(), now.by, shares))


def _kill(now: Situation, arm: Which = None) -> Planned:
    return Planned(plan.kill(now.running(), now.by, arm))


def _revive(now: Situation, arm: Which = None) -> Planned:
    return Planned(plan.revive(now.running(), now.by, arm))


def _retire(now: Situation, arm: Which = None) -> Planned:
    return Planned(plan.retire(now.running(), now.by, arm))


def _rollback(now: Situation, to: int | None = None) -> Planned:
    now.running()
    if to is not None and (isinstance(to, bool) or not isinstance(to, int)):
        raise BadInput(f"{to!r} is no revision; say its number")
    history = now.history
    if to is not None and 0 < to < history[0].number:
        history = (now.registry.revision(now.endpoint, to), *history)
    back = plan.rollback(history, now.by, to)
    old = next((r for r in history[-2::-1] if (r.arms, r.policy) == (back.arms, back.policy)), back)
    skipped = plan.passed_over(history, old) if to is None else []
    return Planned(
        back, (f"passed over {', '.join(map(str, skipped))}: a killed version answers there",) * bool(skipped)
    )


def _apply(now: Situation, file: str | bytes | EndpointFile) -> Planned:
    told = file if isinstance(file, EndpointFile) else parse(file)
    if told.endpoint != now.endpoint:
        raise BadInput(f"the file is about endpoint {told.endpoint!r}, not {now.endpoint!r}")
    arms = [_resolved(arm, now.registry) for arm in told.arms]
    revision = plan.apply(now.current, now.endpoint, arms, told.policy, now.by)
    asked = {(arm.model, arm.version) for arm in arms if arm.role is not Role.KILLED}
    dead = [arm for arm in revision.arms if arm.role is Role.KILLED and (arm.model, arm.version) in asked]
    notes = (f"{arm.model} v{arm.version} stays killed; revive it if it may answer" for arm in dead)
    return Planned(revision, tuple(notes))


def _resolved(arm: FileArm, registry: Registry) -> Arm:
    try:
        found = registry.find(arm.model, None if arm.version == "latest" else arm.version)
    except NotFound as error:
        raise NotFound(f"line {arm.line}, arms.{arm.name}: {error}") from error
    role, was = (Role.KILLED, arm.role) if arm.killed else (arm.role, None)
    return Arm(arm.name, role, found.model, found.number, found.served, arm.traffic, was)


def _nothing_new(one: Revision, other: Revision) -> bool:
    return _versions(one) == _versions(other) and one.policy == other.policy


def _versions(revision: Revision) -> set[tuple[str, int]]:
    return {(arm.model, arm.version) for arm in revision.arms}


_PLANS: dict[str, Callable[..., Planned]] = {
    "deploy": _deploy,
    "apply": _apply,
    "promote": _promote,
    "ramp": _ramp,
    "allocate": _allocate,
    "kill": _kill,
    "revive": _revive,
    "retire": _retire,
    "rollback": _rollback,
}
