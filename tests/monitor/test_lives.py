"""What is asked about whom, and since which revision."""

from dataclasses import replace

from payoff.experiment import BEATS, LOSES
from payoff.experiment.verdict import ERROR
from payoff.monitor.lives import Brief, briefs
from payoff.records import Arm, Guard, Policy, Ramp, Revision, Role, Served, Signature

SERVED = Served("onnx", "0" * 64, Signature((), ()))
LOSING = Guard("loses money", "kill", 0.01, "fallback", 10.0)
WINNING = Guard("challenger beats champion", "promote", 0.05)
POLICY = Policy(value="1", fallback={"decision": False}, guards=(LOSING, WINNING))


def arm(version: int, role: Role, was: Role | None = None) -> Arm:
    return Arm(f"arm-{version}", role, "m", version, SERVED, was=was)


CHAMPION, CHALLENGER, SHADOW = arm(1, Role.CHAMPION), arm(2, Role.CHALLENGER), arm(3, Role.SHADOW)
KILLED = arm(1, Role.KILLED, Role.CHAMPION)


def told(*revisions: tuple[Arm, ...] | tuple[tuple[Arm, ...], Policy]) -> list[Brief]:
    history = []
    for number, each in enumerate(revisions, 1):
        arms, policy = each if isinstance(each[0], tuple) else (each, POLICY)
        assert isinstance(policy, Policy)
        history.append(Revision("e", number, number, "me", "", arms, policy))
    return briefs(history)


def spans(found: list[Brief]) -> list[tuple[str, int, str, int, int | None]]:
    return [(b.question.kind, b.question.version, b.question.against, b.since, b.until) for b in found]


def test_each_version_is_asked_about_since_it_came() -> None:
    found = told((CHAMPION,), (CHAMPION, CHALLENGER), (CHAMPION, CHALLENGER, SHADOW))
    assert spans(found) == [
        (LOSES, 1, "fallback", 1, None),
        (LOSES, 2, "fallback", 2, None),
        (BEATS, 2, "m v1", 2, None),
        (LOSES, 3, "fallback", 3, None),
    ]
    assert (found[0].bar.error, found[0].question.cap, found[0].guard) == (0.01 / 2, 10.0, LOSING)
    assert (found[2].rival, found[2].guard) == (("m", 1), WINNING)


def test_a_kill_ends_the_evidence_and_a_revival_starts_anew() -> None:
    assert spans(told((CHAMPION,), (KILLED,), (KILLED, SHADOW)))[0] == (LOSES, 1, "fallback", 1, 2)
    assert spans(told((CHAMPION,), (KILLED,), (KILLED,), (CHAMPION,))) == [(LOSES, 1, "fallback", 4, None)]
    assert spans(told((CHAMPION,), (KILLED,), (CHAMPION,), (KILLED,))) == [(LOSES, 1, "fallback", 3, 4)]


def test_a_challenger_is_compared_with_a_killed_champion_too() -> None:
    assert spans(told((CHAMPION,), (KILLED,), (KILLED, CHALLENGER)))[1:] == [
        (LOSES, 2, "fallback", 3, None),
        (BEATS, 2, "m v1", 3, None),
    ]


def test_a_promoted_version_keeps_its_evidence() -> None:
    assert spans(told((CHAMPION, CHALLENGER), (arm(2, Role.CHAMPION),))) == [(LOSES, 2, "fallback", 1, None)]


def test_what_a_decision_is_worth_may_not_change_under_a_test() -> None:
    dearer = replace(POLICY, value="2")
    assert spans(told((CHAMPION,), ((CHAMPION,), dearer), ((CHAMPION,), dearer)))[0][3] == 2
    assert spans(told((CHAMPION,), ((CHAMPION,), replace(POLICY, fallback={"decision": True}))))[0][3] == 2
    assert spans(told((CHAMPION,), (KILLED,), ((KILLED,), dearer)))[0][3:] == (1, 2)


def test_another_error_is_another_bar_for_the_same_evidence() -> None:
    stricter = replace(POLICY, guards=(replace(LOSING, error=0.001),))
    before, after = told((CHAMPION,)), told((CHAMPION,), ((CHAMPION,), stricter))
    assert (before[0].question, before[0].since) == (after[0].question, after[0].since)
    assert [(bar.since, bar.error) for bar in after[0].bars] == [(1, 0.01), (2, 0.001)]


def test_the_error_is_divided_between_the_versions_a_guard_could_act_on() -> None:
    second = replace(arm(4, Role.CHALLENGER), name="second")
    found = told((CHAMPION,), (CHAMPION, CHALLENGER, SHADOW), (CHAMPION, CHALLENGER, second), (KILLED, CHALLENGER))
    assert [(bar.since, bar.error, bar.shared) for bar in found[1].bars] == [
        (2, 0.005, 2),
        (3, 0.01 / 3, 3),
        (4, 0.01, 1),
    ]
    assert [(bar.since, bar.error, bar.shared) for bar in found[2].bars] == [(2, 0.05, 1), (3, 0.025, 2), (4, 0.05, 1)]
    assert [(bar.since, bar.error) for bar in found[0].bars] == [(1, 0.01), (2, 0.005), (3, 0.01 / 3)]


def test_another_cap_or_another_champion_starts_the_evidence_anew() -> None:
    wider = replace(POLICY, guards=(replace(LOSING, gain_cap=99.0), WINNING))
    assert [b.since for b in told((CHAMPION, CHALLENGER), ((CHAMPION, CHALLENGER), wider))] == [2, 2, 1]
    heir = replace(arm(3, Role.CHAMPION), name="arm-1")
    assert [b.since for b in told((CHAMPION, CHALLENGER, SHADOW), (heir, CHALLENGER))] == [1, 1, 2]


def test_a_guard_that_comes_later_sees_what_comes_later() -> None:
    bare = replace(POLICY, guards=())
    assert [b.since for b in told(((CHAMPION,), bare), ((CHAMPION,), bare), (CHAMPION,))] == [3]


def test_where_the_outcome_depends_on_the_decision_sides_are_compared_by_their_shares() -> None:
    policy = replace(
        POLICY, outcome_depends_on_decision=True, holdout=0.05, guards=(replace(LOSING, against="holdout"), WINNING)
    )
    found = told(((CHAMPION, CHALLENGER, SHADOW), policy))
    assert [(b.question.against, b.question.randomised, b.answered) for b in found] == [
        ("holdout", True, True), ("holdout", True, True), ("m v1", True, True), ("holdout", True, True),
    ]  # fmt: skip


def test_futility_and_a_ramp_ask_about_the_champion_too() -> None:
    policy = replace(
        POLICY, guards=(Guard("makes no difference", "retire", 0.05, within=0.1),), ramp=Ramp(loss_budget=5)
    )
    found = [b for b in told(((CHAMPION, CHALLENGER), policy)) if b.rival]
    assert [(b.question.text, b.guard is not None, b.bar.error) for b in found] == [
        ("makes no difference to m v1", True, 0.05), ("loses money against m v1", False, 0.01),
    ]  # fmt: skip


def test_without_a_guard_the_question_is_asked_and_nobody_acts() -> None:
    found = told(((CHAMPION, CHALLENGER), replace(POLICY, guards=())))
    assert [(b.guard, b.bar.error, b.question.against) for b in found] == [(None, ERROR, "fallback")] * 2
    nothing = told(((CHAMPION,), replace(POLICY, guards=(), fallback={})))
    assert [b.question.against for b in nothing] == ["nothing"]


def test_without_a_value_nothing_is_asked() -> None:
    assert told(((CHAMPION,), Policy())) == []


def test_a_version_that_came_killed_is_not_asked_about() -> None:
    assert told((KILLED, CHALLENGER))[0].question.version == 2
