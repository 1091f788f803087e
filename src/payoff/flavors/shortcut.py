"""The shortcut: a model written as ONNX, taken only if it answers like the model itself, on the sample and near it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from payoff.errors import PayoffError
from payoff.flavors.apart import MODEL, Job, prepare_apart_with
from payoff.flavors.edges import edges
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.rowfile import Rows
from payoff.flavors.wire import check
from payoff.records.model import Place
from payoff.runner.runner import Runner

CHILD = "payoff.flavors.shortcut_child"


@dataclass(frozen=True, slots=True)
class Shortcut:
    """ONNX in place of the model, or why not."""

    prepared: Prepared | None = None
    provenance: dict[str, Any] = field(default_factory=dict)


def shortcut(
    arrival: Arrival,
    place: Place,
    requirements: Sequence[str],
    rows: Rows,
    answers: Rows,
    home: Callable[[Rows], Rows],
) -> Shortcut:
    """Convert, and compare on the sample and on rows made of it. Whatever goes wrong is a note, never an error."""
    try:
        made, words = _convert(arrival, place, requirements, rows)
        groups, notes = _groups(rows, answers, home)
        prepared = prepare_apart_with(CHILD, Job(made, arrival.into.resolve(), arrival.path.name), groups)
        check(prepared.served_path)  # what a converter wrote is a stranger's file too
    except PayoffError as error:
        return Shortcut(None, {"converted": f"no: {' '.join(str(error).split())[:600]}"})
    told = {**prepared.provenance, "converted": f"to ONNX by {words}", "edge rows refused": notes}
    kept = {name: value for name, value in told.items() if value not in ([], "", 0)}
    return Shortcut(
        Prepared(
            served_path=prepared.served_path,
            served_flavor="onnx",
            signature=prepared.signature,
            golden_path=prepared.golden_path,
            environment=prepared.environment,
            provenance=kept,
        )
    )


def _convert(arrival: Arrival, place: Place, requirements: Sequence[str], rows: Rows) -> tuple[Path, str]:
    """The ONNX file that the kind writes, in an environment that has the converter."""
    environment = arrival.environments.build(requirements, arrival.said.python)
    scratch = arrival.into / "converting"
    scratch.mkdir()
    started = Runner.start(
        environment.python, place.kind, arrival.path.resolve(), place.options, place.bounds, scratch.resolve()
    )
    with closing(started) as runner:
        made = scratch.resolve() / MODEL
        words = runner.to_onnx(made, rows.fields, rows.columns)
    return made, ", ".join(words)


def _groups(rows: Rows, answers: Rows, home: Callable[[Rows], Rows]) -> tuple[dict[str, Rows], list[str]]:
    """The sample and the rows around it, each with the answers at home; and which of these home refuses."""
    groups, notes = {"0.inputs": rows, "0.outputs": answers}, []
    for number, (words, made) in enumerate(edges(rows), 1):
        try:
            expected = home(made)
        except PayoffError as error:
            notes.append(f"{words}: the model itself refuses such rows ({str(error)[:120]})")
            continue
        groups |= {f"{number}.inputs": made, f"{number}.outputs": expected}
    return groups, notes
