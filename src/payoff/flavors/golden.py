"""Golden rows: the sample rows with their answers at home, which a model must reproduce wherever it is to run."""

from pathlib import Path

from payoff.errors import ModelFailed, PayoffError
from payoff.flavors.agree import TOLERANCE, Tolerance, compare, table
from payoff.flavors.flavor import Run
from payoff.flavors.rowfile import Rows, read_rows, write_rows
from payoff.records.signature import Signature

ROWS_MAX = 1_000


def write(path: Path, inputs: Rows, outputs: Rows, tolerance: Tolerance = TOLERANCE) -> None:
    """Keep rows and answers; at most ROWS_MAX are kept."""
    groups = {"inputs": _first(inputs), "outputs": _first(outputs)}
    write_rows(path, groups, {"absolute": tolerance.absolute, "relative": tolerance.relative})


def check(run: Run, path: Path, signature: Signature) -> None:
    """ModelFailed unless `run` reproduces the golden rows; the text is a small table of where it does not."""
    groups, notes = read_rows(path)
    inputs, outputs = groups["inputs"], groups["outputs"]
    _check_fields(inputs, outputs, signature)
    tolerance = Tolerance(**notes)
    try:
        answers = run(inputs.columns)
    except PayoffError as error:
        raise ModelFailed(f"the model fails on its own {len(inputs)} sample rows: {error}") from error
    found = compare(outputs.fields, outputs.columns, answers, tolerance).differences
    if found:
        rows = len({difference.row for difference in found})
        raise ModelFailed(
            f"the model does not reproduce {rows} of its {len(inputs)} sample rows "
            f"(a number may be off by {tolerance}):\n{table(found)}\n"
            "it is not taken into service; deploy it again from the place where it was trained"
        )


def _check_fields(inputs: Rows, outputs: Rows, signature: Signature) -> None:
    if inputs.fields == signature.inputs and outputs.fields == signature.outputs:
        return
    raise ModelFailed(
        "the sample rows are of another signature than the model: "
        f"they have {_names(inputs)} -> {_names(outputs)}, the model has "
        f"{', '.join(f.name for f in signature.inputs)} -> {', '.join(f.name for f in signature.outputs)}"
    )


def _names(rows: Rows) -> str:
    return ", ".join(field.name for field in rows.fields)


def _first(rows: Rows) -> Rows:
    return Rows(rows.fields, {name: column.take(slice(0, ROWS_MAX)) for name, column in rows.columns.items()})
