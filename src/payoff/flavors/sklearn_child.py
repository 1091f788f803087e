"""Opens a scikit-learn model with payoff's own scikit-learn, converts it to ONNX and compares both: the quick road.

Runs in a child process that is given nothing worth stealing and that the parent stops when it takes too long. BadInput:
no other road helps. ModelFailed: not this way, but in an environment of its own it may be served (see `pickle.py`).
"""

import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from payoff.errors import BadInput, ModelFailed, PayoffError
from payoff.flavors.agree import TOLERANCE, Comparison, compare, table
from payoff.flavors.answers import gives
from payoff.flavors.apart import GOLDEN, MODEL, Job, Report
from payoff.flavors.edges import edges
from payoff.flavors.flavor import Run
from payoff.flavors.golden import write
from payoff.flavors.home import Home, at_home, choose
from payoff.flavors.inside import main
from payoff.flavors.pickles import allowed, open_pickle, refusal
from payoff.flavors.rowfile import Rows, read_rows
from payoff.flavors.running import load
from payoff.flavors.session import open_session, outputs_of
from payoff.records.columns import Column
from payoff.records.signature import Field, Signature
from payoff.runner.guest.conversion.scikit import ways, written
from payoff.runner.guest.kinds.sklearn import class_of

_PACKAGES = ("scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy")


@dataclass(frozen=True, slots=True)
class Taken:
    """A conversion that agrees."""

    signature: Signature
    words: str
    worst: float
    ties: int
    rows: int
    notes: tuple[str, ...]


def work(job: Job) -> Report:
    """Model and golden rows of the artefact at `job.path`."""
    model, seen = _open(job)
    home = at_home(model, job.name)
    if job.sample is None:
        raise BadInput(f"{job.name} needs sample rows: --sample FILE")
    sample = read_rows(job.sample)[0]["inputs"]
    rows = choose(home, sample)
    answers = _ask(home, rows, job.name)
    taken = _convert(home, rows, answers, job.name)
    write(Path(GOLDEN), rows, Rows(taken.signature.outputs, _as(taken.signature.outputs, answers)))
    ignored = [field.name for field in sample.fields if field not in rows.fields]
    environment = {name: version(name) for name in _PACKAGES}
    return Report(taken.signature, environment, _provenance(job, model, taken, ignored, seen))


def _open(job: Job) -> tuple[Any, list[str]]:
    """The object in the file, and what its libraries warned of while it was opened."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _open_skops(job) if _is_zip(job.path) else open_pickle(job.path, job.name)
    return model, [str(one.message) for one in caught if "InconsistentVersion" in one.category.__name__][:3]


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _open_skops(job: Job) -> Any:
    from skops.io import get_untrusted_types
    from skops.io import load as load_skops

    try:
        unknown = get_untrusted_types(file=job.path)
        foreign = [name for name in unknown if not allowed(name)]
        if foreign:
            raise ModelFailed(refusal(job.name, ", ".join(foreign[:5])))
        return load_skops(job.path, trusted=unknown)
    except (PayoffError, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise ModelFailed(
            f"{job.name} cannot be read as a skops file ({type(error).__name__}: {error}); save the model again"
        ) from error


def _ask(home: Home, rows: Rows, name: str) -> Rows:
    try:
        return home.ask(rows)
    except ValueError as error:
        raise BadInput(
            f"the model in {name} fails on the sample rows in scikit-learn itself ({error}); give rows of the kind "
            "that it was trained on"
        ) from error


def _convert(home: Home, rows: Rows, answers: Rows, name: str) -> Taken:
    """The first way to convert that agrees with home, on the sample and on the rows made from it."""
    tried: list[str] = []
    apart: tuple[str, Comparison, int] | None = None
    given = {field.name: (answers.columns[field.name].values, None) for field in answers.fields}
    for way in ways([{"name": one.name, "type": one.type.value, "nullable": one.nullable} for one in rows.fields]):
        try:
            Path(MODEL).write_bytes(written(home.kind, way, given).SerializeToString())
            signature = _signature(rows, answers)
            run = load(Path(MODEL), signature)
            found = _compare(home, run, rows, answers)
        except MemoryError:
            raise
        except Exception as error:
            tried.append(f"{way.words}: {type(error).__name__}: {' '.join(str(error).split())[:200]}")
            continue
        if not found.comparison.differences:
            return Taken(signature, way.words, found.comparison.worst, found.comparison.ties, found.rows, found.notes)
        if apart is None or len(found.comparison.differences) < len(apart[1].differences):
            apart = way.words, found.comparison, found.rows
    raise _refused(home, name, tried, apart)


def _refused(home: Home, name: str, tried: list[str], apart: Any) -> ModelFailed:
    """Why no way of converting will do."""
    what = class_of(home.kind.model)
    if apart is None:
        return ModelFailed(f"{name} ({what}) does not convert to ONNX: {tried[0] if tried else 'no way'}")
    words, comparison, rows = apart
    off = len({(one.row, one.output) for one in comparison.differences})
    return ModelFailed(
        f"{name} ({what}) was converted to ONNX ({words}), and {off} answers to {rows} rows (the sample's, and others "
        f"made of its values) differ there; a number may be off by {TOLERANCE}:\n{table(comparison.differences)}"
    )


@dataclass(frozen=True, slots=True)
class _Found:
    comparison: Comparison
    rows: int
    notes: tuple[str, ...]


def _compare(home: Home, run: Run, rows: Rows, answers: Rows) -> _Found:
    parts, count, notes = [compare(answers.fields, answers.columns, run(rows.columns))], len(rows), []
    for words, made in edges(rows):
        try:
            expected = home.ask(made)
        except Exception as error:
            notes.append(
                f"{words}: scikit-learn refuses such rows ({str(error)[:120]}), and the converted model answers them"
            )
            continue
        parts.append(compare(expected.fields, expected.columns, run(made.columns)))
        count += len(made)
    differences = tuple(one for part in parts for one in part.differences)
    return _Found(Comparison(differences, max(p.worst for p in parts), sum(p.ties for p in parts)), count, tuple(notes))


def _signature(rows: Rows, answers: Rows) -> Signature:
    """Inputs as the sample has them; outputs of the types that the graph gives."""
    given = gives(outputs_of(open_session(Path(MODEL))), None)
    types = {give.name: give.port.type for give in given}
    return Signature(rows.fields, tuple(Field(f.name, types[f.name], f.shape) for f in answers.fields))


def _as(fields: tuple[Field, ...], answers: Rows) -> dict[str, Column]:
    return {field.name: Column(answers.columns[field.name].values.astype(field.type.dtype)) for field in fields}


def _provenance(job: Job, model: Any, taken: Taken, ignored: list[str], seen: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "file": job.name,
        "estimator": class_of(model),
        "converted": f"scikit-learn to ONNX, inputs as {taken.words}",
        "compared rows": taken.rows,
        "tolerance": str(TOLERANCE),
        "worst difference": taken.worst,
        "labels that differ at a tie": taken.ties,
        "ignored sample columns": ignored,
        "notes": [*taken.notes, *seen],
    }
    return {name: value for name, value in told.items() if value not in ([], 0) or name == "worst difference"}


def _before(job: Job) -> None:
    """skops takes a second to import, so only its own files pay for it."""
    if _is_zip(job.path):
        import_module("skops.io")


if __name__ == "__main__":
    main(work, _before)
