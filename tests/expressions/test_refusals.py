"""A wrong expression is refused in words that name the place, what was expected and what would be right."""

import contextlib
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.errors import BadInput
from payoff.expressions import Scope, parse
from payoff.records import Field, Type

SCOPE = Scope(
    inputs=(
        Field("age", Type.INT64),
        Field("job", Type.TEXT),
        Field("age group", Type.TEXT),
        Field("day", Type.DATE),
        Field("x", Type.FLOAT32, (3,)),
    ),
    outputs=(Field("probability", Type.FLOAT64), Field("age", Type.FLOAT64)),
    decision=Type.BOOL,
    open_outcome=True,
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "1 < outputs.probabilty",
            r"no column outputs.probabilty; did you mean outputs.probability\? .*.at character 5.",
        ),
        ("outputs.job = 'a'", "did you mean inputs.job"),
        ("prob > 1", "did you mean outputs.probability"),
        ("inputs.AGE > 1", "did you mean inputs.age"),
        ("age_group = 'a'", 'did you mean inputs."age group"'),
        ("age > 1", "'age' is ambiguous; write inputs.age or outputs.age"),
        ("output.age > 1", "no source 'output'; did you mean outputs"),
        ("inputs", "group of columns; write inputs.column, for example inputs.age"),
        ("a.inputs.age > 1", "not allowed"),
        ("inputs.*", "not allowed"),
        ("outcome.x is null", "cannot tell the type of outcome.x; declare it"),
        ("outcome.x and outcome.x > 1", "a condition .bool., with `1`, a number"),
        ("outcome.x > inputs.day", "outcome.x is used as a date; declare it"),
        ("outcome.x + 1 = 2 or outcome.x = 'a'", "number, with `'a'`, a text"),
        ("lowr(job) = 'a'", r"no function lowr\(\); did you mean lower\(\)\? functions: abs, "),
        ("max(probability)", r"no function max\(\).* operators: "),
        ("row_number() over ()", "not allowed"),
        ("random() > 0.5", "not allowed"),
        ("now()", "no function now"),
        ("job || 'a'", "not allowed"),
        ("job like 'a' escape 'b'", "not allowed"),
        ("job ilike 'a'", "not allowed"),
        ("job similar to 'a'", "not allowed"),
        ("round(probability, 2, 'x')", "not allowed"),
        ("probability between symmetric 1 and 0", "not allowed"),
        ("[1, 2]", "not allowed"),
        ("{'a': 1}", "not allowed"),
        ("(1, 2)", "not allowed"),
        ("probability -> 1", "not allowed|cannot read"),
        ("?", "not allowed"),
        ("$1", "not allowed"),
        ("@a", "not allowed|cannot read|no column"),
        ("interval '1' day", "not allowed"),
        ("e'a\\nb'", "not allowed"),
        ("try_cast(job as double)", r"did you mean cast\(\)"),
        ("job = any(['a'])", "not allowed"),
        ("exists (select 1)", "not allowed"),
        ("select 1", "`select` is not expected"),
        ("(select 1)", "a query is not allowed"),
        ("with a as (select 1) select * from a", "`with` is not expected"),
        ("job in (select 'a')", "in takes a list"),
        ("drop table predictions", "`drop` is not expected"),
        ("copy predictions to 'a'", "not expected after `copy`"),
        ("attach 'a'", "not expected after `attach`"),
        ("install httpfs", "not allowed|cannot read"),
        ("1; 2", "not one expression"),
        ("read_csv('/etc/passwd')", "not allowed|no function"),
        ("probability as p", "`as` is not expected after `probability`"),
        ("probability + job", r"\+ takes a number, but `job` is a text; use cast\(... as double\) .at character 15."),
        ("probability and decision", "and takes a condition .bool., but `probability` is a number; compare it"),
        ("not probability", "not takes a condition"),
        ("decision + 1", "takes a number, but `decision` is a condition"),
        ("decision > true", "needs an order, and a condition .bool. has none"),
        ("inputs.age = '17'", "write the number without quotes"),
        ("job = 17", "mixes `job`, a text, with `17`, a number"),
        ("inputs.day > '2008-05-05'", "write date '2008-05-05'"),
        ("date '2008-13-05'", "no date; write date '2008-05-05'"),
        ("year(job)", "year takes a date, but `job` is a text"),
        ("case when decision then 1 else 'a' end", "case mixes `1`, a number, with `'a'`, a text"),
        ("case when probability then 1 end", "when takes a condition"),
        ("coalesce(job, 1)", "coalesce mixes"),
        ("inputs.age = null", "= null is always null; write `is null`"),
        ("null", "always null"),
        ("case when decision then null end", "always null"),
        ("coalesce(null, null) + 1", "always null"),
        ("decision is true", "is takes null"),
        ("inputs.x > 1", r"inputs.x is float32\[3\] per row; one element is inputs.x\[1\]"),
        ("inputs.x[0] > 1", "whole number from 1"),
        ("inputs.x[4] > 1", "elements count from 1"),
        ("inputs.x[-1] > 1", "an element is column"),
        ("inputs.x[1:2] > 1", "an element is column"),
        ("inputs.age[1] > 1", "it has no elements"),
        ("cast(job as integer)", "cast takes the types double, bigint, text and boolean"),
        ("cast(inputs.day as double)", "a date cannot be cast"),
        ("log(probability)", r"log is ambiguous; write ln\(x\) or log10\(x\)"),
        ("round(probability, inputs.age)", "constant whole number of digits"),
        ("round(probability, 16)", "from -15 to 15"),
        ("job like job", "like takes a pattern in quotes"),
        ("1e999", "1e999 is no number; write one like 17, 0.07 or 1e5, at most 1.79"),
        ("1e", "1e is no number"),
        ("", "nothing is not an expression"),
        ("  ", "nothing is not an expression"),
        ("-- a", "comment"),
        ("probability --1", "comment"),
        ("probability /* a */ > 1", "comment"),
        ("probability >", "something is missing after `probability >`"),
        ("(probability", "cannot read"),
        ("'abc", "cannot read"),
        ("abs()", "cannot read|not allowed"),
        ("abs(1, 2)", "number of provided arguments"),
        ("if(decision, 1, 2)", "not allowed|no function"),
        ("job = 'a\0b'", "not text"),
        ("job = '\ud800'", "not text"),
        ("1" * 4001, "4,001 characters; at most 4,000"),
    ],
)
def test_what_is_said(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse(text, SCOPE)


@pytest.mark.parametrize("text", ["explain a", "set x = 1", "show null", "vacuum", "(explain a)", "abs(show x)"])
def test_nothing_of_the_text_reaches_a_log(text: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(BadInput):
        parse(text, SCOPE)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("text", "expects", "said"),
    [
        ("'a'", "number", "this must yield a number, but `'a'` is a text"),
        ("decision", "number", "must yield a number, but `decision` is a condition"),
        ("probability", "boolean", "must yield a condition .bool., but `probability` is a number; compare it"),
    ],
)
def test_what_is_expected_is_enforced(text: str, expects: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse(text, SCOPE, expects)  # type: ignore[arg-type]


DEEP = {
    "parentheses": "(" * 1900 + "1" + ")" * 1900,
    "half of them": "(" * 50 + "1" + ")" * 50,
    "not": "not " * 990 + "decision",
    "minus": "- " * 1900 + "1",
    "functions": "abs(" * 700 + "1" + ")" * 700,
    "case": "case when " * 150 + "true" + " then true end" * 150,
    "else": "case when true then 1 else " * 100 + "1" + " end" * 100,
    "product": "1" + "*1" * 1000,
    "right": "1=not " * 600 + "true",
    "brackets": "[" * 1900 + "]" * 1900,
    "elements": "inputs.x" + "[1]" * 1000,
    "casts": "1" + "::double" * 400,
    "sum": "+".join("1" for _ in range(1900)),
    "in": "1 in (" * 550 + "1" + ")" * 550,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP.keys())
def test_what_is_too_deep_or_too_long_is_bad_input_and_no_crash(text: str) -> None:
    with pytest.raises(BadInput, match=r"nested too deeply|more than 1,000|not allowed|elements"):
        parse(text, SCOPE)


def test_how_deep_it_may_be_does_not_depend_on_the_caller() -> None:
    text = "(" * 30 + "1" + ")" * 30

    def from_below(frames: int) -> Type:
        return parse(text, SCOPE).type if frames == 0 else from_below(frames - 1)

    assert from_below(sys.getrecursionlimit() * 3 // 5) is Type.INT64


PIECES = [
    *"()[],.'\"+-*/%=<>;:?$@{}|~^!_ \n",
    "0",
    "1e",
    "5",
    "age",
    "inputs.",
    "outcome.x",
    "decision",
    "case ",
    "when ",
]
PIECES += [
    "age",
    "then ",
    "else ",
    "end ",
    "and ",
    "or ",
    "not ",
    "in ",
    "is ",
    "null ",
    "like ",
    "between ",
    "cast(",
    " as ",
]
PIECES += [
    "double",
    "date ",
    "'a'",
    "select ",
    "from ",
    "abs(",
    "coalesce(",
    "lambda ",
    "interval ",
    "--",
    "/*",
    "é",
    "🦆",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
@settings(deadline=None, max_examples=400)
def test_any_text_is_an_expression_or_bad_input(text: str) -> None:
    with contextlib.suppress(BadInput):
        parse(text, SCOPE)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
@settings(deadline=None, max_examples=100)
def test_any_text_can_be_quoted_and_any_name_be_a_column(text: str) -> None:
    quoted, name = text.replace("'", "''"), text.replace('"', '""')
    scope = Scope(inputs=(Field(text, Type.TEXT),))
    expression = parse(f"inputs.\"{name}\" = '{quoted}'", scope)
    assert expression.names == {("inputs", text)}
    assert expression.duckdb() == f"(inputs.\"{name}\" = '{quoted}')"
