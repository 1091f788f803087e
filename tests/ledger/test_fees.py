"""Fees of others: what a text in prices.yaml means row by row, whatever the row holds."""

from typing import Any

import duckdb
import pytest

from payoff.errors import BadInput
from payoff.ledger.fees import declared, fee_sql
from payoff.records import Field, Signature, Type

ASSISTANT = Signature((Field("tokens", Type.FLOAT64),), (Field("said", Type.TEXT), Field("used", Type.INT64)))
BUREAU = Signature((Field("who", Type.TEXT),), (Field("score", Type.FLOAT64),))
MODELS = {"assistant": ASSISTANT, "bureau": BUREAU}
FEES = {"assistant": "inputs.tokens * 0.5 + outputs.used", "bureau": "0.04"}


def fees(*rows: tuple[str, int | None, float | None, int | None]) -> list[Any]:
    """The fee of rows of (model, version, tokens, used)."""
    database = duckdb.connect()
    database.execute(
        "CREATE TABLE rows (model VARCHAR, version BIGINT, inputs STRUCT(tokens DOUBLE), outputs STRUCT(used BIGINT))"
    )
    for model, version, tokens, used in rows:
        values = [model, version, {"tokens": tokens}, {"used": used}]
        database.execute("INSERT INTO rows VALUES (?, ?, ?, ?)", values)
    return [row[0] for row in database.execute(f"SELECT {fee_sql(FEES, MODELS)} FROM rows").fetchall()]


def test_each_model_has_its_own_fee_and_others_have_none() -> None:
    assert fees(("assistant", 1, 4.0, 3), ("bureau", 2, None, None), ("other", 1, 4.0, 3)) == [5.0, 0.04, 0.0]


def test_the_fallback_asks_nobody() -> None:
    assert fees(("assistant", None, 4.0, 3)) == [0.0]


@pytest.mark.parametrize("tokens", [None, -1e9, float("nan"), float("inf"), 1e300])
def test_what_comes_to_no_amount_of_money_is_no_fee(tokens: float | None) -> None:
    assert fees(("assistant", 1, tokens, 3)) == [0.0]


def test_without_fees_there_is_nothing_to_evaluate() -> None:
    assert fee_sql({}, MODELS) is None
    assert fee_sql({"ghost": "1"}, MODELS) is None


def test_the_columns_of_models_with_fees_are_declared() -> None:
    assert declared({"bureau": "0.04"}, MODELS) == {"inputs": list(BUREAU.inputs), "outputs": list(BUREAU.outputs)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inputs.tokns", "the fee of assistant in prices.yaml.*did you mean inputs.tokens"),
        ("outputs.said", "number"),
        ("inputs.tokens *", "prices.yaml"),
        ("outcome.paid", "outcome"),
    ],
)
def test_a_fee_that_does_not_fit_its_model_says_so(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        fee_sql({"assistant": text}, MODELS)
