"""Does what a policy says of its money fit its arms, and is a misfit named?"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from payoff.deploy.check import check
from payoff.deploy.file import parse
from payoff.deploy.guards import GUARDS, usual
from payoff.errors import BadInput
from payoff.records import (
    Allocate,
    Arm,
    Explore,
    Field,
    Guard,
    Matures,
    NoOutcome,
    Policy,
    Ramp,
    Role,
    Rule,
    Type,
    Version,
)

Make = Callable[..., Version]
INPUTS = (
    Field("age", Type.INT64),
    Field("balance", Type.FLOAT64),
    Field("job", Type.TEXT, nullable=True),
    Field("seen_at", Type.TIMESTAMP),
)
BANK = Policy(
    decision="outputs.probability > 0.07",
    value="case when decision then (case when outcome.subscribed then 60 else 0 end) - 2 else 0 end",
    fallback={"decision": False},
    rules=(Rule("inputs.age between 17 and 110"),),
    route_by="customer",
)


@pytest.fixture
def arms(version: Make) -> tuple[Arm, ...]:
    return (
        Arm("champion", Role.CHAMPION, "term-deposit", 1, version(1, inputs=INPUTS).served),
        Arm("challenger", Role.CHALLENGER, "term-deposit", 2, version(2, inputs=INPUTS).served, 0.1),
    )


def limit(when: str, above: float = 1.0, of: str | None = None) -> Guard:
    return replace(usual(when), above=above, of=of)


WHOLE = replace(
    BANK,
    matures=Matures.WINDOW,
    no_outcome=NoOutcome.COUNTS,
    outcome_depends_on_decision=True,
    holdout=0.05,
    explore=Explore(0.02),
    covariate="inputs.balance / (1 + inputs.age)",
    ramp=Ramp(loss_budget=500.0),
    guards=(
        Guard("loses money", "kill", against="holdout"),
        replace(usual("challenger beats champion"), error=0.01),
        replace(usual("makes no difference"), within=0.05),
        limit("loss"),
        limit("drawdown"),
        limit("money at risk", of="case when decision then inputs.balance * outputs.probability else 0 end"),
        limit("decisions"),
        limit("decision share"),
        limit("decision share", of="decision and inputs.age > 80"),
        limit("same key"),
        limit("missing inputs"),
        limit("missing inputs", of="inputs.job"),
        limit("stale input", of="inputs.seen_at"),
        limit("broken rules"),
        limit("errors"),
        usual("no outcomes"),
    ),
)


def test_everything_about_money_may_be_said_together(arms: tuple[Arm, ...]) -> None:
    checked = check(arms, WHOLE)
    assert checked.notes == ("route by 'customer': no model takes it, so callers send it as a text column",)
    assert checked.policy == replace(WHOLE, outcome=checked.policy.outcome)
    assert {guard.when for guard in WHOLE.guards} == set(GUARDS)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"guards": (limit("money at risk", of="inputs.job"),)}, r"guard 1 \(money at risk\): of .*number"),
        ({"guards": (limit("money at risk", of="outcome.subscribed"),)}, "of .*there is no column outcome.subscribed"),
        ({"guards": (limit("money at risk", of="inputs.balnce"),)}, "did you mean inputs.balance"),
        ({"guards": (limit("decision share", of="inputs.age"),)}, "of .*condition"),
        ({"guards": (limit("missing inputs", of="inputs.jobs"),)}, "did you mean inputs.job"),
        ({"guards": (limit("missing inputs", of="outputs.label"),)}, "there is no column outputs.label"),
        ({"guards": (limit("stale input", of="inputs.age"),)}, "this is int64, but how old an input is"),
        ({"guards": (limit("loss"),), "value": None}, "needs to know what a decision is worth; say 'value: ...'"),
        ({"guards": (limit("drawdown"),), "value": None}, "needs to know what a decision is worth"),
        (
            {"decision": "inputs.age", "fallback": {"decision": 1}, "value": "1", "guards": (limit("decision share"),)},
            "the decision is no condition; say which ones count",
        ),
        ({"covariate": "outputs.probability"}, "covariate: .*there is no column outputs.probability"),
        ({"covariate": "inputs.job"}, "covariate: .*number"),
        ({"covariate": "outcome.subscribed"}, "covariate: .*there is no column"),
        ({"explore": Explore(0.1, ("yes", "no"))}, "explore.among is 'yes', but it has to be bool"),
        ({"explore": Explore(0.1, (1, 0))}, "explore.among is '1', but it has to be bool"),
        (
            {"decision": "inputs.age", "fallback": {"decision": 1}, "value": "decision", "explore": Explore(0.1)},
            r"explore: the decision is int64, so say which ones to draw from: \{share: 10%, among: \[...\]\}",
        ),
        ({"holdout": 0.1, "fallback": {}}, "holdout lets the fallback decide, and it has no decision"),
        ({"ramp": Ramp(loss_budget=1.0), "value": None}, "ramp needs to know what a decision is worth"),
        ({"allocate": Allocate(), "value": None}, "allocate needs to know what a decision is worth"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(changed: dict[str, Any], words: str, arms: tuple[Arm, ...]) -> None:
    with pytest.raises(BadInput, match=words):
        check(arms, replace(BANK, **changed))


def test_nothing_is_explored_or_held_out_where_nothing_is_decided(arms: tuple[Arm, ...]) -> None:
    with pytest.raises(BadInput, match="explore draws the decision, but the endpoint decides nothing"):
        check(arms, Policy(explore=Explore(0.1)))
    with pytest.raises(BadInput, match="holdout lets the fallback answer, and there is none"):
        check(arms, Policy(holdout=0.1))
    check(arms, Policy(holdout=0.1, fallback={"probability": 0.5}))


def test_draws_are_among_decisions_of_the_endpoints_own_type(arms: tuple[Arm, ...]) -> None:
    tiers = Policy(decision="case when outputs.probability > 0.5 then 'gold' else 'tin' end")
    check(arms, replace(tiers, explore=Explore(0.1, ("gold", "tin", "none"))))
    with pytest.raises(BadInput, match=r"explore\.among is '3', but it has to be text"):
        check(arms, replace(tiers, explore=Explore(0.1, ("gold", 3))))


def test_a_payoff_matrix_is_a_value_as_any_other(arms: tuple[Arm, ...]) -> None:
    table = "{truth: outcome.subscribed, payoffs: {true: {true: 58, false: 0}, false: {true: -2, false: 0}}}"
    told = parse(f"endpoint: e\narms:\n  champion: {{model: m, version: 1}}\nvalue: {table}")
    checked = check(arms, replace(BANK, value=told.policy.value))
    assert checked.policy.outcome == (Field("subscribed", Type.BOOL, nullable=True),)
    whole = str(told.policy.value)
    silent = replace(BANK, value=whole.replace("outcome.subscribed", "coalesce(outcome.subscribed, false)"))
    assert check(arms, silent).policy.outcome == checked.policy.outcome
    with pytest.raises(BadInput, match=r"value: .*decision"):
        check(arms, replace(BANK, decision=None, fallback={}, value=told.policy.value))


def test_floors_leave_room_for_every_arm(version: Make) -> None:
    champion = Arm("champion", Role.CHAMPION, "m", 1, version(1, inputs=INPUTS).served)
    others = [Arm(f"c{n}", Role.CHALLENGER, "m", n, version(n, inputs=INPUTS).served, 0.2) for n in (2, 3)]
    check([champion, *others], replace(BANK, allocate=Allocate(1 / 3)))
    with pytest.raises(BadInput, match=r"allocate: 3 arms with at least 0.4 each are more than the whole"):
        check([champion, *others], replace(BANK, allocate=Allocate(0.4)))


def test_every_arm_gives_what_a_guard_reads(version: Make, arms: tuple[Arm, ...]) -> None:
    other = version(3, inputs=INPUTS, outputs=(Field("probability", Type.FLOAT32),))
    more = (*arms, Arm("next", Role.SHADOW, "term-deposit", 3, other.served))
    with pytest.raises(BadInput, match=r"reads outputs.label, which term-deposit v3 \(next\) does not give"):
        check(more, replace(BANK, guards=(limit("decision share", of="outputs.label = 'yes'"),)))


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ({"ramp": Ramp(loss_budget=1.0)}, "no challenger yet, so ramp waits for one"),
        ({"allocate": Allocate()}, "no challenger yet, so allocate waits for one"),
        ({"guards": (usual("challenger beats champion"),)}, "no challenger yet, so none can beat the champion"),
        ({"rules": (), "guards": (limit("broken rules"),)}, "no rules yet, so none can be broken; say 'rules: ...'"),
        (
            {"value": "case when decision then 1 else 0 end", "guards": (usual("no outcomes"),)},
            "the value asks for no outcome, so the guard 'no outcomes' speaks as soon as none is sent",
        ),
    ],
)
def test_an_author_is_told_what_waits(changed: dict[str, Any], note: str, arms: tuple[Arm, ...]) -> None:
    assert check(arms[:1], replace(BANK, **changed)).notes[1:] == (note,)  # the first is about the route


def test_an_author_is_told_that_challengers_leave_little_to_hold_out(arms: tuple[Arm, ...]) -> None:
    wide = (arms[0], replace(arms[1], traffic=0.98))
    assert (
        "the hold-out comes out of the champion's share, which is only 2% now"
        in check(wide, replace(BANK, holdout=0.05)).notes
    )
