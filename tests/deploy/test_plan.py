"""What each order makes of an endpoint, case by case."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from payoff.deploy import plan
from payoff.deploy.plan import ARMS_MAX, By
from payoff.errors import BadInput, Conflict, NotFound
from payoff.records import Policy, Ramp, Revision, Role, Version

Make = Callable[..., Version]
BY = By("anna", "because", 7)
SILENT = By("anna", "", 7)
GUARD = By("guard: loses money", "it seems better now", 7)


def roles(revision: Revision) -> list[tuple[str, str, int]]:
    return [(arm.name, str(arm.role), arm.version) for arm in revision.arms]


@pytest.fixture
def first(version: Make) -> Revision:
    return plan.deploy_as(None, "term-deposit", version(1), BY)


@pytest.fixture
def pair(first: Revision, version: Make) -> Revision:
    return plan.deploy_as(first, "term-deposit", version(2), BY, "challenger")


@pytest.fixture
def trio(pair: Revision, version: Make) -> Revision:
    return plan.deploy_as(pair, "term-deposit", version(3), BY, "shadow")


def test_the_first_version_is_the_champion(first: Revision) -> None:
    assert roles(first) == [("champion", "champion", 1)]
    assert (first.number, first.author, first.reason, first.created_at_us) == (1, "anna", "because", 7)


@pytest.mark.parametrize("role", ["challenger", "shadow"])
def test_a_challenger_needs_a_champion(role: str, version: Make) -> None:
    with pytest.raises(Conflict, match=f"e has no champion that term-deposit v1 could be {role} to; deploy a champion"):
        plan.deploy_as(None, "e", version(1), BY, role)


def test_a_new_champion_takes_the_old_ones_place(trio: Revision, version: Make) -> None:
    after = plan.deploy_as(trio, "term-deposit", version(9), BY)
    assert roles(after) == [("champion", "champion", 9), ("challenger", "challenger", 2), ("shadow", "shadow", 3)]
    assert after.number == trio.number + 1


def test_a_challenger_joins_with_a_tenth_of_the_traffic(pair: Revision) -> None:
    assert pair.arms[1].traffic == 0.1


def test_where_challengers_climb_a_new_one_starts_on_the_first_step(first: Revision, version: Make) -> None:
    climbing = replace(first, policy=replace(first.policy, ramp=Ramp(steps=(0.02, 0.5), loss_budget=10)))
    assert plan.deploy_as(climbing, "term-deposit", version(2), BY, "challenger").arms[1].traffic == 0.02
    assert plan.deploy_as(climbing, "term-deposit", version(2), BY, traffic="7%").arms[1].traffic == 0.07


def test_a_share_of_traffic_means_a_challenger(first: Revision, version: Make) -> None:
    after = plan.deploy_as(first, "term-deposit", version(2), BY, traffic="25%")
    assert (after.arms[1].role, after.arms[1].traffic) == (Role.CHALLENGER, 0.25)


@pytest.mark.parametrize("role", ["champion", "shadow"])
def test_only_a_challenger_has_a_share(role: str, first: Revision, version: Make) -> None:
    with pytest.raises(BadInput, match="only a challenger has a share"):
        plan.deploy_as(first, "term-deposit", version(2), BY, role, 0.2)


def test_the_first_version_has_no_share(version: Make) -> None:
    with pytest.raises(BadInput, match="only a challenger has a share"):
        plan.deploy_as(None, "e", version(1), BY, traffic=0.2)


@pytest.mark.parametrize("traffic", [-0.1, 1.01, "110%", "much", float("nan"), True, None])
def test_a_share_is_from_0_to_1(traffic: object, pair: Revision) -> None:
    with pytest.raises(BadInput, match="is no share of the traffic"):
        plan.ramp(pair, BY, traffic)  # type: ignore[arg-type]


def test_the_shares_add_up_to_one_at_most(pair: Revision, version: Make) -> None:
    full = plan.deploy_as(pair, "term-deposit", version(3), BY, traffic=0.9)
    assert [arm.name for arm in full.arms] == ["champion", "challenger", "challenger-2"]
    with pytest.raises(Conflict, match=r"more than 1 \(100 %\): challenger \(term-deposit v2\) 0.11, challenger-2"):
        plan.ramp(full, BY, 0.11, "challenger")


def test_the_same_version_in_the_same_role_changes_nothing(trio: Revision, version: Make) -> None:
    for number, role in ((1, "champion"), (2, "challenger"), (3, "shadow")):
        assert plan.deploy_as(trio, "term-deposit", version(number), BY, role) is trio
    assert plan.ramp(trio, BY, 0.1) is trio


def test_deploying_a_challenger_as_champion_promotes_it(trio: Revision, version: Make) -> None:
    deployed = plan.deploy_as(trio, "term-deposit", version(2), BY, "champion")
    assert deployed == plan.promote(trio, BY)


def test_a_shadow_becomes_a_challenger_under_a_challengers_name(trio: Revision, version: Make) -> None:
    after = plan.deploy_as(trio, "term-deposit", version(3), BY, "challenger", 0.5)
    assert roles(after)[2] == ("challenger-2", "challenger", 3)


def test_an_arm_keeps_a_name_of_its_own(trio: Revision, version: Make) -> None:
    named = replace(trio, arms=(*trio.arms[:2], replace(trio.arms[2], name="next")))
    after = plan.deploy_as(named, "term-deposit", version(3), BY, "challenger")
    assert roles(after)[2] == ("next", "challenger", 3)


def test_the_champion_cannot_be_deployed_as_anything_less(pair: Revision, version: Make) -> None:
    with pytest.raises(Conflict, match="cannot deploy as shadow a champion version"):
        plan.deploy_as(pair, "term-deposit", version(1), BY, "shadow")


def test_a_killed_version_is_not_deployed_again(first: Revision, version: Make) -> None:
    with pytest.raises(Conflict, match=r"cannot deploy as champion a killed version .*; it can: retire, revive"):
        plan.deploy_as(plan.kill(first, BY), "term-deposit", version(1), BY)


def test_a_role_that_nobody_is_deployed_in_is_refused(first: Revision, version: Make) -> None:
    with pytest.raises(BadInput, match="cannot deploy as 'killed'"):
        plan.deploy_as(first, "term-deposit", version(2), BY, "killed")


def test_a_promoted_challenger_sits_on_the_champions_seat(trio: Revision) -> None:
    after = plan.promote(trio, BY)
    assert roles(after) == [("champion", "champion", 2), ("shadow", "shadow", 3)]
    assert after.arms[0].traffic == 0.0


def test_a_killed_champion_leaves_when_another_is_promoted(trio: Revision) -> None:
    after = plan.promote(plan.kill(trio, BY), BY, "shadow")
    assert roles(after) == [("champion", "champion", 3), ("challenger", "challenger", 2)]


def test_a_kill_means_the_champion_if_nobody_says(trio: Revision) -> None:
    after = plan.kill(trio, SILENT)
    assert after.arms[0] == replace(trio.arms[0], role=Role.KILLED, was=Role.CHAMPION)
    assert after.arms[1:] == trio.arms[1:]


@pytest.mark.parametrize("which", ["challenger", 2, "2", "v2", "term-deposit:2", "term-deposit:v2"])
def test_an_arm_is_named_by_role_name_or_version(which: str | int, trio: Revision) -> None:
    after = plan.kill(trio, BY, which)
    assert (after.arms[1].role, after.arms[1].was, after.arms[1].traffic) == (Role.KILLED, Role.CHALLENGER, 0.1)


def test_a_killed_shadow_just_leaves(trio: Revision) -> None:
    assert plan.kill(trio, BY, "shadow").arms == trio.arms[:2]


def test_what_is_killed_is_not_killed_again(trio: Revision) -> None:
    with pytest.raises(Conflict, match="cannot kill a killed version"):
        plan.kill(plan.kill(trio, BY), BY)


@pytest.mark.parametrize("which", ["challenger", "champion"])
def test_a_revived_version_is_back_where_it_was(which: str, trio: Revision) -> None:
    killed = plan.kill(trio, BY, which)
    assert plan.revive(killed, BY, which).arms == trio.arms
    assert plan.revive(killed, BY).arms == trio.arms


def test_a_revive_needs_a_reason(first: Revision) -> None:
    with pytest.raises(BadInput, match="revive needs a reason"):
        plan.revive(plan.kill(first, BY), SILENT)


def test_a_guard_never_raises_the_dead(first: Revision) -> None:
    killed = plan.kill(first, GUARD)
    with pytest.raises(Conflict, match="a guard never lets it answer again, a person with a reason may"):
        plan.revive(killed, GUARD)
    with pytest.raises(Conflict, match="a guard never does that"):
        plan.rollback([first, killed], GUARD, 1)


@pytest.fixture
def rivals(pair: Revision, version: Make) -> Revision:
    return plan.deploy_as(pair, "term-deposit", version(3), BY, "challenger")


@pytest.mark.parametrize("which", ["challenger", "2", "v2", "term-deposit:2"])
def test_several_shares_are_set_at_once(which: str, rivals: Revision) -> None:
    after = plan.allocate(rivals, BY, {which: 0.3, "challenger-2": "45%"})
    assert [arm.traffic for arm in after.arms] == [0.0, 0.3, 0.45]
    assert plan.allocate(after, BY, {which: 0.3}) is after
    assert [arm.traffic for arm in plan.allocate(after, BY, {which: 0.0}).arms] == [0.0, 0.0, 0.45]


@pytest.mark.parametrize(
    ("shares", "kind", "words"),
    [
        ({}, BadInput, "say which challengers get which share"),
        ({"challenger": 0.1, "term-deposit:2": 0.2}, BadInput, r"challenger \(term-deposit v2\) is named twice"),
        ({"challenger": 2}, BadInput, "2 is no share of the traffic"),
        ({"challenger": 0.6, "challenger-2": 0.6}, Conflict, r"add up to more than 1 \(100 %\)"),
        ({"champion": 0.5}, Conflict, r"cannot allocate a champion version \(term-deposit v1\); it can: kill"),
        ({"nobody": 0.5}, NotFound, "has no arm 'nobody'; there are"),
    ],
)
def test_shares_that_cannot_be_are_refused(
    shares: dict[str, float], kind: type[Exception], words: str, rivals: Revision
) -> None:
    with pytest.raises(kind, match=words):
        plan.allocate(rivals, BY, shares)


def test_a_killed_champion_keeps_its_seat(first: Revision) -> None:
    with pytest.raises(Conflict, match="leaves when another is; promote or deploy one, or revive it"):
        plan.retire(plan.kill(first, BY), BY)


def test_challengers_and_shadows_retire(trio: Revision) -> None:
    assert plan.retire(trio, BY, "challenger").arms == (trio.arms[0], trio.arms[2])
    assert plan.retire(plan.kill(trio, BY, "challenger"), BY, 2).arms == (trio.arms[0], trio.arms[2])
    with pytest.raises(Conflict, match=r"has more than one arm to retire: .*; say which"):
        plan.retire(trio, BY)


def test_an_unknown_arm_is_answered_with_those_there_are(trio: Revision) -> None:
    with pytest.raises(NotFound, match=r"has no arm 'nobody'; there are: champion \(term-deposit v1\), challenger"):
        plan.kill(trio, BY, "nobody")
    with pytest.raises(NotFound, match="has no arm 'other:2'"):
        plan.kill(trio, BY, "other:2")
    with pytest.raises(BadInput, match="is no arm"):
        plan.kill(trio, BY, True)


def test_with_nothing_to_promote_the_refusal_says_what_can_be_done(first: Revision) -> None:
    with pytest.raises(Conflict, match=r"nothing to promote on .*; champion \(term-deposit v1\) can: kill"):
        plan.promote(first, BY)


def test_an_endpoint_has_a_limit_of_arms(first: Revision, version: Make) -> None:
    full = first
    for number in range(2, ARMS_MAX + 1):
        full = plan.deploy_as(full, "term-deposit", version(number), BY, "shadow")
    with pytest.raises(Conflict, match="17 arms are too many; the limit is 16"):
        plan.deploy_as(full, "term-deposit", version(99), BY, "shadow")


def test_a_file_does_not_raise_the_dead(pair: Revision) -> None:
    killed = plan.kill(pair, BY)
    assert plan.apply(killed, "term-deposit", pair.arms, pair.policy, BY) is killed
    after = plan.apply(killed, "term-deposit", pair.arms, Policy(currency="USD"), BY)
    assert after.arms == killed.arms


@pytest.mark.parametrize("twice", ["name", "version"])
def test_a_file_with_the_same_thing_twice_is_refused(twice: str, pair: Revision) -> None:
    same = {"name": "champion"} if twice == "name" else {"version": 1}
    arms = (pair.arms[0], replace(pair.arms[1], **same))
    with pytest.raises(BadInput, match="is there twice"):
        plan.apply(pair, "term-deposit", arms, pair.policy, BY)


def test_a_file_without_a_champion_is_refused(pair: Revision) -> None:
    with pytest.raises(BadInput, match="an endpoint has one champion; here are none"):
        plan.apply(pair, "term-deposit", pair.arms[1:], pair.policy, BY)


def test_a_rollback_brings_back_arms_and_policy_as_a_new_revision(first: Revision, version: Make) -> None:
    second = plan.apply(first, "term-deposit", first.arms, Policy(currency="USD"), BY)
    third = plan.deploy_as(second, "term-deposit", version(2), BY)
    back = plan.rollback([first, second, third], SILENT)
    assert (back.arms, back.policy, back.number, back.reason) == (second.arms, second.policy, 4, "back to revision 2")
    assert plan.rollback([first, second, third], BY, 1).policy == first.policy


def test_a_rollback_passes_over_revisions_in_which_a_killed_version_answers(first: Revision, version: Make) -> None:
    second = plan.deploy_as(first, "term-deposit", version(2), BY)
    third = plan.kill(second, BY)
    back = plan.rollback([first, second, third], SILENT)
    assert back.arms == first.arms
    assert plan.passed_over([first, second, third], first) == [2]


def test_a_rollback_alone_never_raises_the_dead(first: Revision) -> None:
    killed = plan.kill(first, BY)
    with pytest.raises(Conflict, match=r"nothing safe to roll back to: .*champion \(term-deposit v1\) in revision 1"):
        plan.rollback([first, killed], SILENT)
    with pytest.raises(BadInput, match=r"revision 1 lets champion .* answer, killed since; that needs a reason"):
        plan.rollback([first, killed], SILENT, 1)
    assert plan.rollback([first, killed], BY, 1).arms == first.arms


def test_a_version_that_was_killed_and_left_is_still_dead(first: Revision, version: Make) -> None:
    killed = plan.kill(first, BY)
    replaced = plan.deploy_as(killed, "term-deposit", version(2), BY)
    assert plan.rollback([first, killed, replaced], SILENT).arms == killed.arms


def test_a_rollback_needs_somewhere_to_go(first: Revision) -> None:
    with pytest.raises(Conflict, match="never ran anything else"):
        plan.rollback([first], BY)
    with pytest.raises(NotFound, match="has no revision 7; there are 1 to 1"):
        plan.rollback([first], BY, 7)
