"""The table of moves, every cell of it."""

import re
from itertools import product

import pytest

from payoff.deploy.phase import ARM_VERBS, MOVES, legal, move
from payoff.errors import Conflict
from payoff.records import Arm, Role, Served, Signature

LEGAL = {
    (Role.CHAMPION, "kill"): Role.KILLED,
    (Role.CHALLENGER, "promote"): Role.CHAMPION,
    (Role.CHALLENGER, "ramp"): Role.CHALLENGER,
    (Role.CHALLENGER, "allocate"): Role.CHALLENGER,
    (Role.CHALLENGER, "kill"): Role.KILLED,
    (Role.CHALLENGER, "retire"): None,
    (Role.SHADOW, "promote"): Role.CHAMPION,
    (Role.SHADOW, "kill"): None,
    (Role.SHADOW, "retire"): None,
    (Role.KILLED, "revive"): Role.CHALLENGER,
    (Role.KILLED, "retire"): None,
    (Role.CHAMPION, "deploy as champion"): Role.CHAMPION,
    (Role.CHALLENGER, "deploy as champion"): Role.CHAMPION,
    (Role.CHALLENGER, "deploy as challenger"): Role.CHALLENGER,
    (Role.CHALLENGER, "deploy as shadow"): Role.SHADOW,
    (Role.SHADOW, "deploy as champion"): Role.CHAMPION,
    (Role.SHADOW, "deploy as challenger"): Role.CHALLENGER,
    (Role.SHADOW, "deploy as shadow"): Role.SHADOW,
}
DEPLOYS = ("deploy as champion", "deploy as challenger", "deploy as shadow")


def arm(role: Role) -> Arm:
    was = Role.CHALLENGER if role is Role.KILLED else None
    return Arm("it", role, "fraud", 3, Served("onnx", "0" * 64, Signature((), ())), was=was)


@pytest.mark.parametrize(("role", "verb"), list(product(Role, (*ARM_VERBS, "allocate", *DEPLOYS))))
def test_every_move_is_legal_or_refused_with_the_legal_ones(role: Role, verb: str) -> None:
    if (role, verb) in LEGAL:
        assert move(arm(role), verb) == LEGAL[role, verb]
        return
    with pytest.raises(Conflict, match=re.escape(f"cannot {verb} a {role} version (fraud v3); it can: ")) as refused:
        move(arm(role), verb)
    assert str(refused.value).endswith(", ".join(legal(role)))


def test_the_table_has_no_move_that_is_not_tested() -> None:
    assert set(MOVES) == set(LEGAL)


def test_every_role_has_a_way_out() -> None:
    assert all(legal(role) for role in Role)


def test_a_killed_version_can_only_be_revived_or_retired() -> None:
    assert legal(Role.KILLED) == ["retire", "revive"]
