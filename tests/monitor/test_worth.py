"""What a decision is worth: by expression, by money sent along, and under the fallback."""

from dataclasses import replace

import duckdb
import pytest

from payoff.monitor.worth import literal, worth
from payoff.records import Arm, Field, Policy, Revision, Role, Served, Signature, Type

OUTPUTS = (Field("price", Type.FLOAT64), Field("label", Type.TEXT), Field("parts", Type.FLOAT64, (2,)))
ARM = Arm("champion", Role.CHAMPION, "m", 1, Served("onnx", "0" * 64, Signature((Field("x", Type.INT64),), OUTPUTS)))
POLICY = Policy(decision="outputs.price > 3", outcome=(Field("sold", Type.BOOL),))
ROW = """SELECT {'x': 2} AS inputs, {'price': 5.0, 'label': 'it''s', 'parts': [1.0, 2.0]} AS outputs, true AS decision,
    {'sold': true} AS outcome, NULL::DOUBLE AS outcome_value"""


def values(policy: Policy, row: str = ROW) -> tuple[float | None, float | None]:
    found = worth(Revision("e", 1, 0, "me", "", (ARM,), policy))
    sql = f"SELECT {found.value}, {found.fallback or 'NULL'} FROM ({row})"
    value, fallback = duckdb.execute(sql).fetchall()[0]
    return value, fallback


def value(text: str, **fallback: object) -> Policy:
    return replace(POLICY, value=text, fallback=fallback)


@pytest.mark.parametrize(
    ("text", "fallback", "expected"),
    [
        ("case when decision then 60 else 1 end", {"decision": False}, (60, 1)),
        ("case when outcome.sold then outputs.price else 0 end", {"decision": False, "price": 7}, (5, 7)),
        ("case when outcome.sold then outputs.price else 0 end", {"decision": False}, (5, None)),
        ("case when outputs.label = 'it''s' then 1 else 0 end", {"label": "it's"}, (1, 1)),
        ("case when outputs.label = 'a' then 1 else 0 end", {"label": "a"}, (0, 1)),
        ("case when decision then outputs.price else 0 end", {"decision": False}, (5, 0)),
        ("outputs.parts[2] + inputs.x", {"parts": [3, 4.5]}, (4, 6.5)),
        ("case when decision then 60 else 1 end", {}, (60, None)),
        ("inputs.x * 2", {}, (4, 4)),
    ],
)
def test_the_fallback_is_valued_with_its_own_decision_and_outputs(
    text: str, fallback: dict[str, object], expected: tuple[float | None, float | None]
) -> None:
    assert values(value(text, **fallback)) == expected


def test_without_an_outcome_nothing_is_known() -> None:
    policy = value("case when decision and outcome.sold then 60 else 0 end", decision=False)
    unknown = ROW.replace("{'sold': true} AS outcome", "NULL::STRUCT(sold BOOLEAN) AS outcome")
    assert values(policy, unknown) == (None, None)
    assert values(policy, ROW.replace("true AS decision", "false AS decision")) == (0, 0)


def test_money_that_came_with_the_outcome_overrules() -> None:
    policy = value("case when decision and outcome.sold then 60 else 0 end", decision=False)
    sent = ROW.replace("NULL::DOUBLE AS outcome_value", "12.5 AS outcome_value")
    assert values(policy, sent) == (12.5, 0)
    assert values(replace(POLICY, value=None), sent) == (12.5, None)


def test_a_missing_outcome_holds_nobody_back_where_none_is_asked_for() -> None:
    revision = Revision("e", 1, 0, "me", "", (ARM,), value("inputs.x * 2"))
    assert worth(revision).window_s == 0
    asked = replace(revision, policy=value("case when outcome.sold then 1 else 0 end"))
    assert worth(asked).window_s == POLICY.outcome_window_s


@pytest.mark.parametrize("constant", [None, True, 3, -2.5, "it's; drop", [1, 2.0], "2008-05-05"])
def test_constants_are_quoted(constant: object) -> None:
    assert duckdb.execute(f"SELECT {literal(constant)}").fetchall()[0][0] == constant
