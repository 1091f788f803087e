"""Models in their own framework: an environment built for them, a process apart, their answers to the sample rows kept.

Where a model can also be written as ONNX, and that answers the same on the sample and on rows made of it, workers run
the ONNX file instead: it is faster and needs no process of its own (see `shortcut.py`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from payoff.errors import BadInput, ModelFailed
from payoff.flavors import golden
from payoff.flavors.flavor import Arrival, Loaded, Prepared, Run, Surroundings
from payoff.flavors.origin import Asked, Origin, outputs
from payoff.flavors.shortcut import Shortcut, shortcut
from payoff.records.columns import Column, Columns, length
from payoff.records.model import Place, Served
from payoff.runner.crew import Crew

GOLDEN = "golden.npz"


def prepare_native(
    arrival: Arrival,
    kind: str,
    requirements: Sequence[str],
    *,
    options: Mapping[str, Any] | None = None,
    convert: Sequence[str] = (),
    provenance: Mapping[str, Any] | None = None,
    flavor: str | None = None,
) -> Prepared:
    """Build the environment, start the model in it, ask the sample rows, and try ONNX where `convert` says with what.

    `requirements` are what the artefact says of itself; those of the user go first. `convert` are the packages with
    which the kind writes ONNX. BadInput: environment, artefact or sample cannot be used; ModelFailed: it fails.
    """
    arrival.into.mkdir(parents=True, exist_ok=True)
    wanted = tuple(arrival.said.requirements or requirements)
    with arrival.step("environment"):
        environment = arrival.environments.build(wanted, arrival.said.python)
    place = Place(kind, environment.digest, {**(options or {}), **arrival.said.options}, arrival.said.bounds)
    with arrival.step("load"):
        home = Origin(arrival, place, environment.python)
    with closing(home):
        with arrival.step("ask the sample rows"):
            asked = home.asked()
        short = _shortcut(arrival, place, wanted, convert, asked, home)
    told = {**(provenance or {}), **home.facts(), **short.provenance}
    if short.prepared is not None:
        return replace(short.prepared, provenance={**told, **short.prepared.provenance}, flavor=flavor)
    path = arrival.into / GOLDEN
    if asked.from_sample:
        golden.write(path, asked.rows, asked.answers)
    return Prepared(
        served_path=arrival.path,
        served_flavor="native",
        signature=asked.signature,
        golden_path=path if asked.from_sample else None,
        environment=environment.packages,
        provenance={**told, "requirements": list(wanted)},
        place=place,
        flavor=flavor,
    )


def _shortcut(
    arrival: Arrival, place: Place, wanted: Sequence[str], convert: Sequence[str], asked: Asked, home: Origin
) -> Shortcut:
    if not convert or arrival.said.native or not asked.from_sample:
        return Shortcut()
    with arrival.step("convert"):
        return shortcut(arrival, place, [*wanted, *convert], asked.rows, asked.answers, home.ask)


class Native:
    """Runs versions in runners. It recognises nothing: other flavors decide that a model is served like this."""

    name = "native"
    takes = ""

    def recognises(self, path: Path, head: bytes) -> bool:
        return False

    def prepare(self, arrival: Arrival) -> Prepared:
        raise BadInput("'native' is how a version runs, not what it is; name the framework: --flavor sklearn --native")

    def load(self, served: Served, around: Surroundings) -> Loaded:
        """The runners of the version, started."""
        place = served.place
        if place is None:
            raise ModelFailed("this version does not say where it runs; deploy it again")
        scratch = Path(tempfile.mkdtemp(dir=around.room))
        crew = Crew(
            around.python(place.environment),
            place.kind,
            around.artefact(served).resolve(),
            place.options,
            place.bounds,
            scratch,
            zygotes=around.zygotes,
        )
        crew.start()
        fields = served.signature.outputs

        async def ask(columns: Columns) -> dict[str, Column]:
            return outputs(fields, await crew.ask(columns), length(columns))

        def close() -> None:
            crew.close()
            shutil.rmtree(scratch, ignore_errors=True)

        run: Run = lambda columns: outputs(fields, crew.run(columns), length(columns))  # noqa: E731
        return Loaded(run, ask, close, place.bounds.processes, crew.is_out, lambda: crew.cpu_ns, lambda: crew.pids)


FLAVOR = Native()
