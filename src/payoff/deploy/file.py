"""An endpoint as a YAML file under version control: read strictly, written so that reading it again changes nothing."""

import difflib
from dataclasses import dataclass, field
from typing import Any

import yaml

from payoff.codecs import units
from payoff.codecs.document import Place, load
from payoff.deploy import policy
from payoff.deploy.which import seat
from payoff.errors import BadInput
from payoff.records import names
from payoff.records.endpoint import Arm, Policy, Revision, Role

_ARM_KEYS = ("model", "version", "role", "traffic", "killed")
_ROLES = ("champion", "challenger", "shadow")


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
    at = top.mapping(("endpoint", "arms", *policy.KEYS))
    for needed in ("endpoint", "arms"):
        if needed not in at:
            raise BadInput(f"the file has no {needed!r}; it needs 'endpoint: NAME' and 'arms:' with a champion")
    return EndpointFile(_name(at["endpoint"], "endpoint"), _arms(at["arms"]), policy.read(at))


def render(revision: Revision) -> str:
    """The revision as YAML. `parse` gives the same arms and policy back."""
    said: dict[str, Any] = {
        "endpoint": revision.endpoint,
        "arms": {arm.name: _arm_said(arm) for arm in revision.arms},
        **policy.said(revision.policy),
    }
    kept = {key: _laid_out(key, value) for key, value in said.items() if value not in (None, [], {})}
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


class _Line(dict[str, Any]):
    """A mapping written on one line."""


class _Row(list[Any]):
    """A list written on one line."""


def _laid_out(key: str, said: Any) -> Any:
    """Arms, rules and guards each on a line of their own, everything else on the line of its key."""
    if key == "arms":
        return {name: _lines(arm) for name, arm in said.items()}
    return [_lines(one) for one in said] if key in ("rules", "guards") else _lines(said)


def _lines(said: Any) -> Any:
    """The same, on one line."""
    if isinstance(said, dict):
        return _Line({key: _lines(value) for key, value in said.items()})
    return _Row(map(_lines, said)) if isinstance(said, list) else said


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, small mappings on a line."""


_Dumper.add_representer(_Line, lambda d, v: d.represent_mapping("tag:yaml.org,2002:map", v.items(), flow_style=True))
_Dumper.add_representer(_Row, lambda d, v: d.represent_sequence("tag:yaml.org,2002:seq", v, flow_style=True))
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
