"""What an expression says of itself: the names it writes, whether it can be null, and sources beside the usual ones."""

import numpy as np
import pytest

from payoff.errors import BadInput
from payoff.expressions import Scope, named, parse
from payoff.records import Column, Field, Type

INPUTS = (Field("n", Type.INT64), Field("m", Type.INT64, nullable=True), Field("x", Type.FLOAT64))


def test_the_names_of_a_text_are_known_before_any_column_is() -> None:
    text = "case when inputs.age > 3 and job = 'x' then outputs.\"a b\" else inputs.age end"
    assert named(text) == (("inputs", "age"), ("", "job"), ("outputs", "a b"))


@pytest.mark.parametrize(
    ("text", "nullable"),
    [
        ("n", False),
        ("m", True),
        ("x", True),  # infinity is no number
        ("n > 3", False),
        ("n * 2", True),
        ("coalesce(n * 2, 0)", False),
        ("coalesce(m, n * 2)", True),
        ("least(m, 3)", False),
        ("m is null", False),
        ("case when x > 1 then 'a' else 'b' end", False),
        ("case when x > 1 then 'a' end", True),
        ("case m when 1 then n else 5 end", False),
        ("case m when 1 then m else 5 end", True),
        ("cast('a' as bigint)", True),
        ("nullif(n, 1)", True),
    ],
)
def test_whether_an_expression_can_be_null(text: str, nullable: bool) -> None:
    assert parse(text, Scope(inputs=INPUTS)).nullable is nullable


def test_other_sources_are_read_by_their_names() -> None:
    scores = (Field("p", Type.FLOAT64),)
    scope = Scope(others=(("old", scores), ("new-one", scores)))
    batch = {"old": {"p": Column(np.array([0.2]))}, "new-one": {"p": Column(np.array([0.4]))}}
    assert parse('(old.p + "new-one".p) / 2', scope).evaluate(batch).values == pytest.approx([0.3])
    with pytest.raises(BadInput, match=r"'p' is ambiguous; write old.p or \"new-one\".p"):
        parse("p", scope)
    with pytest.raises(BadInput, match="there is no source 'odl'; did you mean old"):
        parse("odl.p", scope)
