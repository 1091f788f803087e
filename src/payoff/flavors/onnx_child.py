"""Tries out an ONNX model in a process of its own: a hostile or huge one takes nothing down with it."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from payoff.flavors.answers import fields_of, gives, reader, width
from payoff.flavors.apart import GOLDEN, Job, Report
from payoff.flavors.feeds import feeder
from payoff.flavors.fit import Fit, conform, fit, made_up
from payoff.flavors.golden import write
from payoff.flavors.inside import main
from payoff.flavors.rowfile import Rows, read_rows
from payoff.flavors.running import caller
from payoff.flavors.session import inputs_of, open_session, outputs_of
from payoff.records.signature import Signature


def work(job: Job) -> Report:
    """Signature and golden rows of the model at `job.path`."""
    session = open_session(job.path)
    inputs, outputs = inputs_of(session), outputs_of(session)
    sample = read_rows(job.sample)[0]["inputs"] if job.sample else None
    fitted = fit(inputs, sample)
    rows = conform(sample, fitted.fields) if sample else made_up(fitted.fields)
    results = caller(session, inputs, outputs)(feeder(inputs, fitted.fields)(rows.columns))
    given = gives(outputs, width(outputs, results))
    signature = Signature(fitted.fields, fields_of(given, results, len(rows)))
    if sample:
        answers = reader(given, signature.outputs)(results, len(rows))
        write(Path(GOLDEN), rows, Rows(signature.outputs, answers))
    told = _provenance(session, job, fitted, len(sample) if sample else 0)
    return Report(signature, {"onnxruntime": version("onnxruntime")}, told)


def _provenance(session: Any, job: Job, fitted: Fit, sample_rows: int) -> dict[str, Any]:
    meta = session.get_modelmeta()
    told = {
        "file": job.name,
        "producer": meta.producer_name,
        "description": meta.description[:500],
        "sample rows": sample_rows,
        "ignored sample columns": list(fitted.ignored),
    }
    return {name: value for name, value in told.items() if value}


if __name__ == "__main__":
    main(work)
