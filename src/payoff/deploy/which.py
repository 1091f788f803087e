"""Which arm an order means: by its name, its role, its version, or because only one can be meant."""

import re

from payoff.deploy import phase
from payoff.errors import BadInput, Conflict, NotFound
from payoff.records.endpoint import Arm, Revision, Role

Which = str | int | None


def seat(arm: Arm) -> Role:
    """The role an arm has, or had before it was killed: whose traffic it is."""
    return arm.was or Role.CHAMPION if arm.role is Role.KILLED else arm.role


def called(arm: Arm) -> str:
    """An arm as people say it: "challenger (term-deposit v4)"."""
    return f"{arm.name} ({arm.model} v{arm.version})"


def find(revision: Revision, which: Which, verb: str) -> Arm:
    """The arm that `which` names: "challenger", "next", 4, "v4" or "term-deposit:4"; None means the obvious one.

    NotFound lists the arms there are; Conflict says that more than one can be meant.
    """
    if which is None:
        return _obvious(revision, verb)
    if isinstance(which, bool) or not isinstance(which, str | int):
        raise BadInput(f"{which!r} is no arm; name it, or say its version")
    text = str(which).strip()
    return _only(revision, [arm for arm in revision.arms if arm.name == text] or _matching(revision, text), text)


def _matching(revision: Revision, text: str) -> list[Arm]:
    if version := re.fullmatch(r"(?:([^:]+):)?v?(\d{1,9})", text):
        model, number = version[1], int(version[2])
        return [arm for arm in revision.arms if arm.version == number and model in (None, arm.model)]
    return [arm for arm in revision.arms if arm.role == text or (text == "champion" and seat(arm) is Role.CHAMPION)]


def _obvious(revision: Revision, verb: str) -> Arm:
    if verb == "kill":
        return _only(revision, [arm for arm in revision.arms if seat(arm) is Role.CHAMPION], "champion")
    able = [arm for arm in revision.arms if (arm.role, verb) in phase.MOVES]
    if verb == "promote":  # a challenger has shown what it can; a shadow is promoted by default only if it is alone
        able = [arm for arm in able if arm.role is Role.CHALLENGER] or able
    if able:
        return _only(revision, able, None, verb)
    can = "; ".join(f"{called(arm)} can: {', '.join(phase.legal(arm.role))}" for arm in revision.arms)
    raise Conflict(f"nothing to {verb} on {revision.endpoint}; {can}")


def _only(revision: Revision, arms: list[Arm], text: str | None, verb: str = "move") -> Arm:
    if len(arms) == 1:
        return arms[0]
    there = ", ".join(called(arm) for arm in arms or revision.arms)
    if arms:
        raise Conflict(f"{revision.endpoint} has more than one arm to {verb}: {there}; say which by its name")
    raise NotFound(f"{revision.endpoint} has no arm {text[:80] if text else text!r}; there are: {there}")
