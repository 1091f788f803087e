"""What a decision is worth: by expression, by money sent along, and under the fallback."""

from dataclasses import replace

import duckdb
import pytest

from payoff.monitor.worth import literal, worth
from payoff.records import Arm, Field, Policy, Revision, Role, Served, Signature, Type
from payoff.records.endpoint import Matures, NoOutcome

OUTPUTS = (Field("price", Type.FLOAT64), Field("label", Type.TEXT), Field("parts", Type.FLOAT64, (2,)))
ARM = Arm("champion", Role.CHAMPION, "m", 1, Served("onnx", "0" * 64, Signature((Field("x", Type.INT64),), OUTPUTS)))
POLICY = Policy(decision="outputs.price > 3", outcome=(Field("sold", Type.BOOL),))
ROW = """SELECT {'x': 2} AS inputs, {'price': 5.0, 'label': 'it''s', 'parts': [1.0, 2.0]} AS outputs, true AS decision,
    {'sold': true} AS outcome, NULL::DOUBLE AS outcome_value, false AS shadow"""
WATCHED = ROW.replace("false AS shadow", "true AS shadow")
SILENT = ROW.replace("{'sold': true} AS outcome", "NULL::STRUCT(sold BOOLEAN) AS outcome")


def revision(policy: Policy) -> Revision:
    return Revision("e", 1, 0, "me", "", (ARM,), policy)


def values(policy: Policy, row: str = ROW) -> tuple[float | None, float | None]:
    found = worth(revision(policy))
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


def paid(row: str, amount: float = 12.5) -> str:
    """The same row, with money that came with its outcome."""
    return row.replace("NULL::DOUBLE AS outcome_value", f"{amount} AS outcome_value")


BUYS = value("case when decision and outcome.sold then 60 else 0 end - 2", decision=False)


def test_without_an_outcome_nothing_is_known() -> None:
    assert values(BUYS, SILENT) == (None, None)
    assert values(BUYS, ROW.replace("true AS decision", "false AS decision")) == (-2, -2)


def test_where_no_outcome_counts_it_is_worth_what_the_expression_says_of_nothing() -> None:
    counts = replace(BUYS, matures=Matures.WINDOW, no_outcome=NoOutcome.COUNTS)
    assert values(counts, SILENT) == (-2, -2)
    assert values(counts) == (58, -2)
    assert values(replace(counts, value=None), SILENT) == (0, None)


def test_money_that_came_with_the_outcome_overrules() -> None:
    assert values(BUYS, paid(ROW)) == (12.5, -2)
    assert values(replace(POLICY, value=None), paid(ROW)) == (12.5, None)


def test_money_without_truth_says_nothing_about_the_fallback() -> None:
    assert values(BUYS, paid(SILENT)) == (12.5, None)


def test_money_says_nothing_about_a_decision_that_was_only_watched() -> None:
    assert values(BUYS, paid(WATCHED)) == (58, -2)
    assert values(replace(POLICY, value=None), paid(WATCHED)) == (None, None)


def test_where_the_outcome_depends_on_the_decision_only_decisions_that_were_taken_have_a_value() -> None:
    depends = replace(BUYS, outcome_depends_on_decision=True)
    assert values(depends) == (58, None)
    assert values(depends, WATCHED) == (None, None)
    assert "hold-out" in str(worth(revision(depends)).refusal)
    assert worth(revision(BUYS)).refusal is None


def test_a_value_that_reads_no_outcome_depends_on_none() -> None:
    depends = replace(value("inputs.x * 2"), outcome_depends_on_decision=True)
    assert values(depends, WATCHED) == (4, 4)
    assert worth(revision(depends)).refusal is None


def test_what_was_known_before_goes_along() -> None:
    found = worth(revision(replace(BUYS, covariate="inputs.x + 1")))
    assert duckdb.execute(f"SELECT {found.covariate} FROM ({ROW})").fetchall() == [(3.0,)]
    assert worth(revision(BUYS)).covariate is None


def test_a_division_by_zero_is_no_value() -> None:
    assert values(value("1.0 / (inputs.x - 2)")) == (None, None)


def test_where_the_window_settles_it_is_waited_for_even_if_no_outcome_is_asked_for() -> None:
    assert worth(revision(replace(value("inputs.x * 2"), matures=Matures.WINDOW))).window_s == POLICY.outcome_window_s


def test_a_missing_outcome_holds_nobody_back_where_none_is_asked_for() -> None:
    assert worth(revision(value("inputs.x * 2"))).window_s == 0
    assert worth(revision(value("case when outcome.sold then 1 else 0 end"))).window_s == POLICY.outcome_window_s


@pytest.mark.parametrize("constant", [None, True, 3, -2.5, "it's; drop", [1, 2.0], "2008-05-05"])
def test_constants_are_quoted(constant: object) -> None:
    assert duckdb.execute(f"SELECT {literal(constant)}").fetchall()[0][0] == constant
