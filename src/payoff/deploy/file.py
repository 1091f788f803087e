"""An endpoint as a YAML file under version control: read strictly, written so that reading it again changes nothing."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import yaml

from payoff.codecs import units
from payoff.codecs.document import Place, load
from payoff.deploy.which import seat
from payoff.errors import BadInput
from payoff.records import names
from payoff.records.endpoint import Arm, Guard, Otherwise, Policy, Revision, Role, Rule

KEYS = ("endpoint", "arms", "route", "decision", "value", "currency", "rules", "guards", "fallback", "context",
        "outcome", "outcome_window", "explore")  # fmt: skip
_ARM_KEYS = ("model", "version", "role", "traffic", "killed")
_GUARD_KEYS = ("when", "against", "error", "do", "gain_cap")
_ROLES = ("champion", "challenger", "shadow")
_LIST_MAX = 64


@dataclass(frozen=True, slots=True)
class FileArm:
    """An arm as the file says it; `version` is a number, an alias, or "latest"."""

    name: str
    role: Role
    model: str
    version: int | str
    traffic: float = 0.0
    killed: bool = False
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class EndpointFile:
    """What a file says of an endpoint; expressions in its policy are not checked yet."""

    endpoint: str
    arms: tuple[FileArm, ...]
    policy: Policy


def parse(text: str | bytes) -> EndpointFile:
    """The endpoint that the YAML describes. BadInput names the line, what stands there and what was expected."""
    top = load(text)
    at = top.mapping(KEYS)
    for needed in ("endpoint", "arms"):
        if needed not in at:
            raise BadInput(f"the file has no {needed!r}; it needs 'endpoint: NAME' and 'arms:' with a champion")
    if "explore" in at:
        raise at["explore"].wrong("exploring is not built yet; remove the line")
    return EndpointFile(_name(at["endpoint"], "endpoint"), _arms(at["arms"]), _policy(at))


def render(revision: Revision) -> str:
    """The revision as YAML. `parse` gives the same arms and policy back."""
    policy = revision.policy
    said: dict[str, Any] = {
        "endpoint": revision.endpoint,
        "arms": {arm.name: _Line(_arm_said(arm)) for arm in revision.arms},
        "route": _Line({"by": policy.route_by}) if policy.route_by is not None else None,
        "decision": policy.decision,
        "value": policy.value,
        "currency": policy.currency,
        "rules": [_Line({"check": rule.check, "else": str(rule.otherwise)}) for rule in policy.rules],
        "guards": [_Line(_guard_said(guard)) for guard in policy.guards],
        "fallback": _Line(policy.fallback),
        "context": _Line({field.name: units.written(field) for field in policy.context}),
        "outcome": _Line({field.name: units.written(field) for field in policy.outcome}),
        "outcome_window": units.duration(policy.outcome_window_s),
    }
    kept = {key: value for key, value in said.items() if value not in (None, [], {})}
    return yaml.dump(kept, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def diff(running: Revision | None, planned: Revision) -> str:
    """What would change, as a unified diff; empty if nothing would."""
    before = render(running).splitlines(keepends=True) if running else []
    label = f"revision {running.number}" if running else "nothing"
    return "".join(
        difflib.unified_diff(before, render(planned).splitlines(keepends=True), f"{planned.endpoint}, {label}", "file")
    )


def _arms(place: Place) -> tuple[FileArm, ...]:
    arms = tuple(_arm(name, under) for name, under in place.mapping(what="champion").items())
    if [arm.role for arm in arms].count(Role.CHAMPION) != 1:
        raise place.wrong("an endpoint has one champion; say 'champion: {model: NAME, version: 1}'")
    return arms


def _arm(name: str, place: Place) -> FileArm:
    at = place.mapping(_ARM_KEYS)
    for needed in ("model", "version"):
        if needed not in at:
            raise place.wrong(f"an arm needs {needed!r}, as in {{model: NAME, version: 1}}")
    try:
        names.check(name, "arm")
    except BadInput as error:
        raise place.wrong(str(error)) from error
    role = _role(name, place, at)
    if "traffic" in at and role is not Role.CHALLENGER:
        raise at["traffic"].wrong(f"only a challenger has a share of the traffic, and this is a {role}")
    killed = at["killed"].flag() if "killed" in at else False
    if killed and role is Role.SHADOW:
        raise at["killed"].wrong("a shadow answers nobody and cannot be killed; remove the arm")
    traffic = at["traffic"].share() if "traffic" in at else 0.1 if role is Role.CHALLENGER else 0.0
    return FileArm(name, role, _name(at["model"], "model"), _version(at["version"]), traffic, killed, place.line)


def _role(name: str, place: Place, at: dict[str, Place]) -> Role:
    if "role" not in at:
        if name not in _ROLES:
            raise place.wrong("say its role: champion, challenger or shadow (as in 'role: shadow')")
        return Role(name)
    if at["role"].value == "killed":
        raise at["role"].wrong("say the role it had, and 'killed: true'")
    role = at["role"].one_of(_ROLES)
    if name in _ROLES and name != role:
        raise at["role"].wrong(f"an arm named {name} is a {name}; give a {role} another name")
    return Role(role)


def _version(place: Place) -> int | str:
    if isinstance(place.value, int) and not isinstance(place.value, bool):
        if place.value < 1:
            raise place.wrong(f"{place.value} is no version; they count from 1")
        return place.value
    if isinstance(place.value, str) and place.value.strip():
        return place.value.strip()
    raise place.wrong(f"expected a version's number, an alias or 'latest', got {place.said()}")


def _name(place: Place, what: str) -> str:
    try:
        return names.check(place.text(), what)
    except BadInput as error:
        raise error if str(error).startswith("line ") else place.wrong(str(error)) from error


def _policy(at: dict[str, Place]) -> Policy:
    policy = Policy()
    for key, read in _READ.items():
        if key in at:
            policy = read(policy, at[key])
    return policy


def _route(policy: Policy, place: Place) -> Policy:
    at = place.mapping(("by",))
    return replace(policy, route_by=at["by"].text() if "by" in at else None)


def _text(policy: Policy, place: Place, what: str) -> Policy:
    return replace(policy, **{what: place.text()})  # type: ignore[arg-type]


def _currency(policy: Policy, place: Place) -> Policy:
    code = place.text()
    if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
        raise place.wrong(f"{place.said()} is no currency; say its three letters, such as EUR")
    return replace(policy, currency=code)


def _rules(policy: Policy, place: Place) -> Policy:
    return replace(policy, rules=tuple(_rule(item) for item in _few(place)))


def _rule(place: Place) -> Rule:
    at = place.mapping(("check", "else"))
    if "check" not in at:
        raise place.wrong("a rule needs 'check', as in {check: inputs.age > 17, else: flag}")
    ways = tuple(str(way) for way in Otherwise)
    return Rule(at["check"].text(), Otherwise(at["else"].one_of(ways)) if "else" in at else Otherwise.FLAG)


def _guards(policy: Policy, place: Place) -> Policy:
    return replace(policy, guards=tuple(_guard(item) for item in _few(place)))


def _guard(place: Place) -> Guard:
    at = place.mapping(_GUARD_KEYS)
    if "when" not in at:
        raise place.wrong("a guard needs 'when': loses money, or challenger beats champion")
    when = at["when"].one_of(tuple(GUARDS))
    usual = Guard(when, GUARDS[when])
    do = at["do"].one_of((GUARDS[when],)) if "do" in at else GUARDS[when]
    error = at["error"].share() if "error" in at else usual.error
    if not 0 < error <= 0.5:
        raise at["error"].wrong(f"{at['error'].said()} is no chance of error; say more than 0% and at most 50%")
    cap = at["gain_cap"].number() if "gain_cap" in at else None
    if cap is not None and cap <= 0:
        raise at["gain_cap"].wrong("the most that one decision may be credited with is more than 0")
    if "against" in at and when != LOSES:
        raise at["against"].wrong(f"only '{LOSES}' is measured against something; remove it")
    return Guard(when, do, error, at["against"].one_of(AGAINST) if "against" in at else usual.against, cap)


def _fallback(policy: Policy, place: Place) -> Policy:
    at = place.mapping(what="decision")
    for key, value in at.items():
        if isinstance(value.value, dict) or value.value is None:
            raise value.wrong(f"expected a constant for {key!r}, got {value.said()}")
    return replace(policy, fallback={key: value.plain() for key, value in at.items()})


def _columns(policy: Policy, place: Place, what: str) -> Policy:
    fields = tuple(units.column(name, under) for name, under in place.mapping(what="column").items())
    return replace(policy, **{what: fields})  # type: ignore[arg-type]


def _window(policy: Policy, place: Place) -> Policy:
    return replace(policy, outcome_window_s=units.seconds(place))


def _few(place: Place) -> list[Place]:
    items = place.items()
    if len(items) > _LIST_MAX:
        raise place.wrong(f"{len(items)} are too many; the limit is {_LIST_MAX}")
    return items


LOSES, BEATS = "loses money", "challenger beats champion"
GUARDS = {LOSES: "kill", BEATS: "promote"}  # when -> do
AGAINST = ("fallback", "nothing")
_READ: dict[str, Callable[[Policy, Place], Policy]] = {
    "route": _route,
    "decision": partial(_text, what="decision"),
    "value": partial(_text, what="value"),
    "currency": _currency,
    "rules": _rules,
    "guards": _guards,
    "fallback": _fallback,
    "context": partial(_columns, what="context"),
    "outcome": partial(_columns, what="outcome"),
    "outcome_window": _window,
}


class _Line(dict[str, Any]):
    """A mapping written on one line."""


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, small mappings on a line."""


_Dumper.add_representer(_Line, lambda d, v: d.represent_mapping("tag:yaml.org,2002:map", v.items(), flow_style=True))
_Dumper.add_representer(
    str, lambda d, v: d.represent_scalar("tag:yaml.org,2002:str", v, style="|" if "\n" in v else None)
)


def _arm_said(arm: Arm) -> dict[str, Any]:
    role = seat(arm)
    said: dict[str, Any] = {"model": arm.model, "version": arm.version}
    if arm.name != role:
        said["role"] = str(role)
    if role is Role.CHALLENGER:
        said["traffic"] = units.percent(arm.traffic)
    return said | ({"killed": True} if arm.role is Role.KILLED else {})


def _guard_said(guard: Guard) -> dict[str, Any]:
    against = {"against": guard.against} if guard.when == LOSES else {}
    cap = {"gain_cap": guard.gain_cap} if guard.gain_cap is not None else {}
    return {"when": guard.when, **against, "error": units.percent(guard.error), "do": guard.do, **cap}
