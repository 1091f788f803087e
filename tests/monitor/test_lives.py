"""What is asked about whom, and since which revision."""

from dataclasses import replace

from payoff.experiment import BEATS, LOSES
from payoff.monitor.lives import ERROR, Brief, briefs
from payoff.records import Arm, Guard, Policy, Revision, Role, Served, Signature

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
    assert (found[0].question.error, found[0].question.cap, found[0].guard) == (0.01, 10.0, LOSING)
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


def test_another_error_is_another_question() -> None:
    stricter = replace(POLICY, guards=(replace(LOSING, error=0.001),))
    before, after = told((CHAMPION,)), told((CHAMPION,), ((CHAMPION,), stricter))
    assert before[0].question != after[0].question


def test_without_a_guard_the_question_is_asked_and_nobody_acts() -> None:
    found = told(((CHAMPION, CHALLENGER), replace(POLICY, guards=())))
    assert [(b.guard, b.question.error, b.question.against) for b in found] == [(None, ERROR, "fallback")] * 2
    nothing = told(((CHAMPION,), replace(POLICY, guards=(), fallback={})))
    assert [b.question.against for b in nothing] == ["nothing"]


def test_without_a_value_nothing_is_asked() -> None:
    assert told(((CHAMPION,), Policy())) == []


def test_a_version_that_came_killed_is_not_asked_about() -> None:
    assert told((KILLED, CHALLENGER))[0].question.version == 2
