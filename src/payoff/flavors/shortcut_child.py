"""Compares an ONNX file with the answers that the model itself gave. Runs apart: the file is a stranger's."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from payoff.errors import BadInput, ModelFailed
from payoff.flavors import golden
from payoff.flavors.agree import TOLERANCE, Comparison, compare, table
from payoff.flavors.answers import gives, width
from payoff.flavors.apart import GOLDEN, Job, Report
from payoff.flavors.feeds import feeder
from payoff.flavors.flavor import Run
from payoff.flavors.inside import main
from payoff.flavors.rowfile import Rows, read_rows
from payoff.flavors.running import caller, load
from payoff.flavors.session import inputs_of, open_session, outputs_of
from payoff.records.columns import Column
from payoff.records.signature import Field, Signature


def work(job: Job) -> Report:
    """The signature of the ONNX file, if it answers every group of rows as the model did; its golden rows beside it."""
    assert job.sample is not None  # noqa: S101 - the parent always writes it
    groups, _ = read_rows(job.sample)
    numbers = sorted({name.partition(".")[0] for name in groups}, key=int)
    asked = [(groups[f"{number}.inputs"], groups[f"{number}.outputs"]) for number in numbers]
    signature = _signature(job.path, *asked[0])
    run = load(job.path, signature)
    found = [_compared(run, rows, answers, signature) for rows, answers in asked]
    differences = [one for part in found for one in part.differences]
    if differences:
        raise ModelFailed(f"{len(differences)} answers differ from the model's own:\n{table(differences, 3)}")
    rows, answers = asked[0]
    golden.write(Path(GOLDEN), rows, Rows(signature.outputs, _as(signature.outputs, answers)))
    told: dict[str, Any] = {
        "compared rows": sum(len(rows) for rows, _ in asked),
        "tolerance": str(TOLERANCE),
        "worst difference": max(part.worst for part in found),
        "labels that differ at a tie": sum(part.ties for part in found),
    }
    return Report(signature, {"onnxruntime": version("onnxruntime")}, told)


def _signature(path: Path, rows: Rows, answers: Rows) -> Signature:
    """Inputs as the model takes them; outputs as it answers, in the types of the graph."""
    session = open_session(path)
    ports = outputs_of(session)
    results = caller(session, inputs_of(session), ports)(feeder(inputs_of(session), rows.fields)(rows.columns))
    types = {give.name: give.port.type for give in gives(ports, width(ports, results))}
    if [*types] != [field.name for field in answers.fields]:
        raise BadInput(f"the graph answers {', '.join(types)}, the model {', '.join(f.name for f in answers.fields)}")
    return Signature(rows.fields, tuple(Field(f.name, types[f.name], f.shape) for f in answers.fields))


def _compared(run: Run, rows: Rows, answers: Rows, signature: Signature) -> Comparison:
    if any(column.valid is not None for column in answers.columns.values()):
        raise BadInput("the model answers nulls, which ONNX has none of")
    return compare(answers.fields, _as(signature.outputs, answers, keep_floats=True), run(rows.columns))


def _as(fields: tuple[Field, ...], answers: Rows, keep_floats: bool = False) -> dict[str, Column]:
    return {
        one.name: answers.columns[one.name]
        if keep_floats and one.type.is_float
        else Column(answers.columns[one.name].values.astype(one.type.dtype))
        for one in fields
    }


if __name__ == "__main__":
    main(work)
