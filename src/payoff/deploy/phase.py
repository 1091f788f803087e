"""The life of a version on an endpoint: one table of legal moves, and a refusal that names them."""

from typing import Final, Literal

from payoff.errors import Conflict
from payoff.records.endpoint import Arm, Role

WAS: Final = "was"  # back to the role it had before the kill
_Goes = Role | Literal["was"] | None  # None: it leaves the endpoint

MOVES: dict[tuple[Role, str], _Goes] = {
    (Role.CHAMPION, "kill"): Role.KILLED,
    (Role.CHAMPION, "deploy as champion"): Role.CHAMPION,
    (Role.CHALLENGER, "promote"): Role.CHAMPION,
    (Role.CHALLENGER, "ramp"): Role.CHALLENGER,
    (Role.CHALLENGER, "allocate"): Role.CHALLENGER,
    (Role.CHALLENGER, "kill"): Role.KILLED,
    (Role.CHALLENGER, "retire"): None,
    (Role.CHALLENGER, "deploy as champion"): Role.CHAMPION,
    (Role.CHALLENGER, "deploy as challenger"): Role.CHALLENGER,
    (Role.CHALLENGER, "deploy as shadow"): Role.SHADOW,
    (Role.SHADOW, "promote"): Role.CHAMPION,
    (Role.SHADOW, "kill"): None,
    (Role.SHADOW, "retire"): None,
    (Role.SHADOW, "deploy as champion"): Role.CHAMPION,
    (Role.SHADOW, "deploy as challenger"): Role.CHALLENGER,
    (Role.SHADOW, "deploy as shadow"): Role.SHADOW,
    (Role.KILLED, "revive"): WAS,
    (Role.KILLED, "retire"): None,
}

ARM_VERBS = ("promote", "ramp", "kill", "revive", "retire")  # move one arm
ENDPOINT_VERBS = ("deploy", "apply", "rollback", "allocate")  # make a whole revision
VERBS = ARM_VERBS + ENDPOINT_VERBS


def legal(role: Role) -> list[str]:
    """The verbs that move a version in this role, in alphabetical order."""
    return sorted(verb for start, verb in MOVES if start is role and not verb.startswith("deploy"))


def move(arm: Arm, verb: str) -> Role | None:
    """The role that the verb gives this arm; None if it leaves. Conflict, with the legal verbs, if it may not."""
    if (arm.role, verb) not in MOVES:
        raise Conflict(
            f"cannot {verb} a {arm.role} version ({arm.model} v{arm.version}); it can: {', '.join(legal(arm.role))}"
        )
    goes = MOVES[arm.role, verb]
    return (arm.was or Role.CHAMPION) if goes == WAS else goes
