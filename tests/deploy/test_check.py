"""Does a policy fit its arms and its past, and is a misfit named?"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from payoff.deploy.check import check, decision_type
from payoff.errors import BadInput, Conflict
from payoff.records import Arm, Field, Guard, Policy, Revision, Role, Rule, Type, Version

Make = Callable[..., Version]
FALLBACK = {"decision": False}
BANK = Policy(
    decision="outputs.probability > 0.07",
    value="case when decision then (case when outcome.subscribed then 60 else 0 end)"
    " - 2 - outcome.duration_s / 3600.0 * 24 else 0 end",
    fallback=FALLBACK,
    rules=(Rule("inputs.age between 17 and 110"),),
    guards=(Guard("loses money", "kill"), Guard("challenger beats champion", "promote")),
)


@pytest.fixture
def arms(version: Make) -> tuple[Arm, ...]:
    one, two = version(1), version(2)
    return (
        Arm("champion", Role.CHAMPION, "term-deposit", 1, one.served),
        Arm("challenger", Role.CHALLENGER, "term-deposit", 2, two.served, 0.1),
    )


def test_the_outcome_is_read_off_the_value(arms: tuple[Arm, ...]) -> None:
    checked = check(arms, BANK)
    assert {(field.name, field.type) for field in checked.policy.outcome} == {
        ("subscribed", Type.BOOL),
        ("duration_s", Type.FLOAT64),
    }
    assert checked.notes == ()
    assert check(arms, checked.policy).policy == checked.policy


def test_a_declared_outcome_stays_as_declared_and_is_all_there_is(arms: tuple[Arm, ...]) -> None:
    declared = (Field("subscribed", Type.BOOL, nullable=True), Field("duration_s", Type.INT64, nullable=True))
    assert check(arms, replace(BANK, outcome=declared)).policy.outcome == declared
    with pytest.raises(BadInput, match=r"value: .*duration_s"):
        check(arms, replace(BANK, outcome=declared[:1]))


def test_a_policy_may_be_empty(arms: tuple[Arm, ...]) -> None:
    assert check(arms, Policy()).policy == Policy()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        pytest.param({"decision": "outputs.probablity > 0.07"}, "decision: .*probability", id="a column misspelt"),
        pytest.param({"decision": "outputs.probability >"}, "decision: ", id="half an expression"),
        pytest.param({"decision": "outcome.subscribed"}, "decision: ", id="deciding on what is not known yet"),
        pytest.param({"value": "outcome.subscribed + 'a'"}, "value: ", id="a value that is no number"),
        pytest.param({"value": "inputs.job"}, "value: ", id="a text as value"),
        pytest.param(
            {"rules": (Rule("true"), Rule("inputs.age"))}, r"rule 2 \(inputs.age\): ", id="a rule is a condition"
        ),
        pytest.param({"fallback": {"decision": "no"}}, "fallback.decision is 'no', but it has to be bool", id="text"),
        pytest.param({"fallback": {"decision": 0}}, "fallback.decision is '0', but it has to be bool", id="0"),
        pytest.param(
            {"fallback": FALLBACK | {"label": True}}, "fallback.label is 'True', .* text; put it in quo", id="q"
        ),
        pytest.param(
            {"fallback": FALLBACK | {"lable": "a"}}, "no output; did you mean 'label'\\? there are: dec", id="near"
        ),
        pytest.param({"fallback": FALLBACK | {"probability": [0.5]}}, "probability is .* to be float32", id="a list"),
        pytest.param(
            {"value": None}, r"guard 1 \(loses money\): needs to know what a decision is worth", id="no value"
        ),
        pytest.param({"fallback": {}}, r"guard 1 .*: against fallback needs to know what", id="no fallback decision"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(changed: dict[str, Any], words: str, arms: tuple[Arm, ...]) -> None:
    with pytest.raises(BadInput, match=words):
        check(arms, replace(BANK, **changed))


def test_a_guard_against_nothing_needs_no_fallback(arms: tuple[Arm, ...]) -> None:
    policy = replace(BANK, fallback={}, guards=(Guard("loses money", "kill", against="nothing"),))
    assert check(arms, policy).notes == (
        "no fallback decision: after a kill the decision is null; say 'fallback: {decision: ...}'",
    )


def test_a_fallback_decides_only_where_something_is_decided(arms: tuple[Arm, ...]) -> None:
    with pytest.raises(BadInput, match="the endpoint decides nothing; say"):
        check(arms, Policy(fallback=FALLBACK))


@pytest.mark.parametrize(
    ("decision", "good", "bad"),
    [
        ("inputs.age", [0, -5], [1.5, "1", True, 2**63]),
        ("outputs.probability", [0, 0.5, 1e30], ["a", False]),
        ("inputs.job", ["yes", ""], [1, True, ["a"]]),
        ("inputs.called_on", ["2008-05-05"], ["2008-13-05", "soon", 1]),
        ("inputs.seen_at", ["2008-05-05T10:00:00+00:00"], ["25:00", 1]),
    ],
)
def test_a_fallback_constant_has_the_decisions_type(
    decision: str, good: list[Any], bad: list[Any], version: Make
) -> None:
    inputs = (
        Field("age", Type.INT64),
        Field("job", Type.TEXT),
        Field("called_on", Type.DATE),
        Field("seen_at", Type.TIMESTAMP),
    )
    arm = Arm("champion", Role.CHAMPION, "m", 1, version(1, inputs=inputs).served)
    for value in good:
        check([arm], Policy(decision=decision, fallback={"decision": value}))
    for value in bad:
        with pytest.raises(BadInput, match=r"fallback\.decision is"):
            check([arm], Policy(decision=decision, fallback={"decision": value}))


def test_a_fallback_tensor_has_the_outputs_shape(version: Make) -> None:
    outputs = (Field("probabilities", Type.FLOAT32, (2,)),)
    arm = Arm("champion", Role.CHAMPION, "m", 1, version(1, outputs=outputs).served)
    check([arm], Policy(fallback={"probabilities": [0.5, 0.5]}))
    for value in ([0.5], [0.5, "a"], [[0.5], 0.5], 0.5, []):
        with pytest.raises(BadInput, match=r"fallback\.probabilities is .* to be float32\[2\]"):
            check([arm], Policy(fallback={"probabilities": value}))


def test_every_arm_gives_what_an_expression_reads(version: Make) -> None:
    other = version(2, outputs=(Field("score", Type.FLOAT32),))
    arms = [
        Arm("champion", Role.CHAMPION, "term-deposit", 1, version(1).served),
        Arm("next", Role.SHADOW, "term-deposit", 2, other.served),
    ]
    with pytest.raises(
        BadInput, match=r"decision reads outputs.probability, which term-deposit v2 \(next\) does not give"
    ):
        check(arms, Policy(decision="outputs.probability > 0.5"))


def test_a_route_by_a_column_that_no_model_takes_is_told(arms: tuple[Arm, ...]) -> None:
    notes = check(arms, Policy(route_by="ages")).notes
    assert notes == ("route by 'ages': no model takes it, so callers send it as a text column; did you mean 'age'?",)
    assert check(arms, Policy(route_by="age")).notes == ()


def test_an_expression_may_read_the_context_and_the_route(arms: tuple[Arm, ...]) -> None:
    context = (Field("called_on", Type.DATE, nullable=True),)
    check(
        arms,
        Policy(
            decision="year(inputs.called_on) > 2008 and inputs.customer = 'a'", context=context, route_by="customer"
        ),
    )


def before(policy: Policy, *arms: Arm, number: int = 1) -> Revision:
    return Revision("e", number, 0, "anna", "", arms, policy)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            Field("age", Type.TEXT),
            Field("age", Type.INT64),
            "input 'age' was text on this endpoint and would become int64",
        ),
        (Field("age", Type.INT64), Field("age", Type.FLOAT64), "input 'age' was int64"),
        (
            Field("age", Type.INT64),
            Field("age", Type.INT64, (2,)),
            r"would become int64\[2\]; its journal .* new endpoint",
        ),
    ],
)
def test_a_column_does_not_change_its_kind(old: Field, new: Field, words: str, version: Make) -> None:
    was = Arm("champion", Role.CHAMPION, "m", 1, version(1, inputs=(old,)).served)
    now = Arm("champion", Role.CHAMPION, "m", 2, version(2, inputs=(new,)).served)
    gone = Arm("champion", Role.CHAMPION, "m", 3, version(3, inputs=()).served)
    with pytest.raises(Conflict, match=words):
        check([now], Policy(), [before(Policy(), was)])
    with pytest.raises(Conflict, match=words):
        check([now], Policy(), [before(Policy(), was), before(Policy(), gone, number=2)])


def test_a_column_may_widen_and_narrow_within_its_kind(version: Make) -> None:
    small, large = (
        Arm("champion", Role.CHAMPION, "m", 1, version(1, inputs=(Field("n", kind),)).served)
        for kind in (Type.INT32, Type.INT64)
    )
    check([large], Policy(), [before(Policy(), small)])
    check([small], Policy(), [before(Policy(), large)])


INCOME = Field("income", Type.FLOAT64)


def wants(version: Make, number: int, *inputs: Field, role: Role = Role.CHAMPION) -> Arm:
    return Arm(str(role), role, "term-deposit", number, version(number, inputs=inputs).served)


@pytest.mark.parametrize("role", [Role.CHALLENGER, Role.SHADOW])
def test_a_new_arm_needs_no_column_that_callers_do_not_send(version: Make, role: Role) -> None:
    age = Field("age", Type.INT64)
    old, new = wants(version, 1, age), wants(version, 2, age, INCOME, role=role)
    words = r"^term-deposit v2 needs 'income', which callers of e do not send: .* endpoint of its own, or .* null$"
    with pytest.raises(Conflict, match=words):
        check([old, new], Policy(), [before(Policy(), old)])
    with pytest.raises(Conflict, match=words):
        check([replace(new, role=Role.CHAMPION)], Policy(), [before(Policy(), old)])
    check([old, wants(version, 2, age, replace(INCOME, nullable=True), role=role)], Policy(), [before(Policy(), old)])
    check([old, new], Policy())


def test_a_column_of_the_context_is_one_that_callers_send(version: Make) -> None:
    age = Field("age", Type.INT64)
    old, new = wants(version, 1, age), wants(version, 2, age, INCOME)
    check([new], Policy(), [before(Policy(context=(INCOME,)), old)])


def test_going_back_is_never_barred_by_what_callers_send_now(version: Make) -> None:
    age = Field("age", Type.INT64)
    old, new = wants(version, 1, age, INCOME), wants(version, 2, age)
    past = [before(Policy(), old), before(Policy(), new, number=2)]
    check([old], Policy(), past)
    with pytest.raises(Conflict, match="term-deposit v3 needs 'income'"):
        check([wants(version, 3, age, INCOME)], Policy(), past)


def test_the_decision_does_not_change_its_kind(arms: tuple[Arm, ...]) -> None:
    past = [before(BANK, *arms), before(Policy(), *arms, number=2)]
    with pytest.raises(Conflict, match="the decision was bool on this endpoint and would become float"):
        check(arms, Policy(decision="outputs.probability"), past)
    check(arms, Policy(decision="inputs.age > 50"), past)


def test_an_outcome_does_not_change_its_kind(arms: tuple[Arm, ...]) -> None:
    past = [before(check(arms, BANK).policy, *arms)]
    with pytest.raises(Conflict, match="outcome 'subscribed' was bool on this endpoint and would become float64"):
        check(arms, replace(BANK, value="outcome.subscribed * 60"), past)


def test_what_a_revision_decides_has_a_type(arms: tuple[Arm, ...]) -> None:
    assert decision_type(before(BANK, *arms)) is Type.BOOL
    assert decision_type(before(Policy(), *arms)) is None
