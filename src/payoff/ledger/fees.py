"""What others ask for a prediction, tokens or calls, as SQL over the journal's columns.

A fee is in units of money. Where its expression comes to nothing, to less than nothing or to no amount of money, there
is none; nor has the fallback one, which asks nobody.
"""

from collections.abc import Mapping, Sequence

from payoff.errors import BadInput
from payoff.expressions.expression import parse
from payoff.expressions.render import quoted
from payoff.expressions.scope import Scope
from payoff.ledger.prices import FILE
from payoff.money import MICROS, MICROS_MAX
from payoff.records.signature import Field, Signature

Declared = Mapping[str, Sequence[Field]]


def fee_sql(fees: Mapping[str, str], models: Mapping[str, Signature]) -> str | None:
    """SQL of type double for the fee of a row, by its `model`; None if none of these models has one.

    It reads model, version, inputs and outputs. BadInput names the model whose expression does not fit its columns.
    """
    asked = {model: _one(model, fees[model], signature) for model, signature in models.items() if model in fees}
    if not asked:
        return None
    cases = " ".join(f"WHEN {quoted(model)} THEN {sql}" for model, sql in sorted(asked.items()))
    fee = f"CASE WHEN version IS NOT NULL THEN CASE model {cases} END END"
    most = f"CAST({MICROS_MAX / MICROS!r} AS DOUBLE)"
    return f"coalesce(list_transform([{fee}], lambda fee: CASE WHEN fee BETWEEN 0 AND {most} THEN fee END)[1], 0)"


def declared(fees: Mapping[str, str], models: Mapping[str, Signature]) -> Declared:
    """The columns that this SQL may read, so that they are there before the first row that has them."""
    asked = [signature for model, signature in models.items() if model in fees]
    inputs = {field.name: field for signature in asked for field in signature.inputs}
    outputs = {field.name: field for signature in asked for field in signature.outputs}
    return {"inputs": list(inputs.values()), "outputs": list(outputs.values())}


def _one(model: str, text: str, signature: Signature) -> str:
    try:
        found = parse(text, Scope(inputs=signature.inputs, outputs=signature.outputs), "number")
    except BadInput as error:
        raise BadInput(f"the fee of {model} in {FILE} of the home cannot be used: {error}") from error
    return f"CAST({found.duckdb()} AS DOUBLE)"
