"""Every example in the tables of docs/expressions.md yields what stands beside it, both ways that payoff computes."""

import re
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from payoff.expressions import Scope, parse
from payoff.records import Column, Field, Type

pytestmark = pytest.mark.docs

PAGE = Path(__file__).parents[2] / "docs" / "expressions.md"
TABLES = re.findall(r"^\| example \| result \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
EXAMPLES = [row for table in TABLES for row in re.findall(r"^\| `(.+)` \| `(.+)` \|$", table, re.MULTILINE)]
SCOPE = Scope(
    inputs=(
        Field("age", Type.INT64),
        Field("income", Type.FLOAT64, nullable=True),
        Field("job", Type.TEXT),
        Field("age group", Type.TEXT),
        Field("called_on", Type.DATE),
        Field("scores", Type.FLOAT64, (3,)),
    ),
    outputs=(Field("probability", Type.FLOAT64),),
    outcome=(Field("bought", Type.BOOL), Field("amount", Type.FLOAT64)),
    decision=Type.BOOL,
)


def text(value: str) -> Column:
    return Column(np.array([value], object))


BATCH: dict[str, Any] = {
    "inputs": {
        "age": Column(np.array([33])),
        "income": Column(np.array([np.nan]), np.array([False])),
        "job": text("Admin."),
        "age group": text("30s"),
        "called_on": Column(np.array(["2008-05-05"], "datetime64[D]")),
        "scores": Column(np.array([[0.1, 0.7, 0.2]])),
    },
    "outputs": {"probability": Column(np.array([0.25]))},
    "outcome": {"bought": Column(np.array([True])), "amount": Column(np.array([40.0]))},
    "decision": Column(np.array([True])),
}


def said(value: Any) -> str:
    """A value as the page writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool | np.bool_) else str(value)


def row() -> pa.Table:
    def struct(columns: dict[str, Column]) -> pa.StructArray:
        values = [
            pa.array([None] if column.valid is not None else column.values.tolist()) for column in columns.values()
        ]
        return pa.StructArray.from_arrays(values, names=list(columns))

    groups = {name: struct(BATCH[name]) for name in ("inputs", "outputs", "outcome")}
    return pa.table({**groups, "decision": pa.array([True])})


def test_the_page_has_examples() -> None:
    assert len(EXAMPLES) > 70


@pytest.mark.parametrize(("expression", "result"), EXAMPLES)
def test_an_example_of_the_page_yields_its_result(expression: str, result: str) -> None:
    answer = parse(expression, SCOPE).evaluate(BATCH)
    assert said(answer.values[0] if answer.valid is None or answer.valid[0] else None) == result


@pytest.mark.parametrize(("expression", "result"), EXAMPLES)
def test_a_report_says_the_same(expression: str, result: str) -> None:
    with duckdb.connect() as database:
        database.register("rows", row())
        (found,) = database.execute(f"SELECT {parse(expression, SCOPE).duckdb()} FROM rows").fetchall()[0]
    assert said(found.isoformat(timespec="microseconds") if hasattr(found, "hour") else found) == result
