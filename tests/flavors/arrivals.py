"""Artefacts on their way in, and what a worker offers to load them, for tests of flavors that need no environment."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from payoff.environments.environments import Environments
from payoff.flavors.flavor import FLAVORS, Arrival, Flavor, Loaded, Prepared, Run, Servable
from payoff.flavors.recognise import recognise
from payoff.records.columns import Column
from payoff.records.model import Served, Version
from payoff.records.signature import Signature
from payoff.runner.zygote import Zygotes


def prepared(
    path: Path,
    sample: dict[str, Any] | pa.Table | None = None,
    flavor: str | None = None,
    find: Callable[[str, int | str | None], Version] | None = None,
) -> Prepared:
    """The artefact recognised and prepared."""
    into = path.parent / f"{path.name}.made"
    table = sample if sample is None or isinstance(sample, pa.Table) else pa.table(sample)
    found: Flavor = recognise(path, flavor)
    return found.prepare(Arrival(path, into, Environments(path.parent / "environments"), table, find=find))


@dataclass
class Around:
    """A worker's surroundings: artefacts by their digest."""

    paths: dict[str, Path] = field(default_factory=dict)
    room: Path = field(default_factory=Path.cwd)
    zygotes: Zygotes | None = None
    shared: Path | None = None

    def keep(self, made: Prepared) -> Served:
        """As the intake stores it."""
        digest = hashlib.sha256(str(made.served_path).encode()).hexdigest()
        self.paths[digest] = made.served_path
        golden = None
        if made.golden_path is not None:
            golden = hashlib.sha256(str(made.golden_path).encode()).hexdigest()
            self.paths[golden] = made.golden_path
        return Served(made.served_flavor, digest, made.signature, golden, made.place, made.served_path.is_dir())

    def artefact(self, served: Served) -> Path:
        return self.paths[served.digest]

    def python(self, environment: str) -> Path:
        raise AssertionError("no environment is needed here")

    def load(self, served: Served) -> Loaded:
        return cast(Servable, FLAVORS.take(served.flavor)).load(served, self)


def loaded(made: Prepared) -> Loaded:
    """The model as a worker loads it."""
    around = Around()
    return around.load(around.keep(made))


def columns(signature: Signature, **values: list[Any]) -> dict[str, Column]:
    """Columns for the inputs; None is a null."""
    types = {one.name: one.type for one in signature.inputs}
    made = {}
    for name, given in values.items():
        valid = np.array([value is not None for value in given], bool)
        blank = np.zeros(1, types[name].dtype)[0] if types[name].dtype != object else ""
        filled = np.array([blank if value is None else value for value in given], types[name].dtype)
        made[name] = Column(filled, None if valid.all() else valid)
    return made


def listed(answers: dict[str, Column]) -> dict[str, list[Any]]:
    """Answers as plain lists; None is a null."""
    found = {}
    for name, column in answers.items():
        there = [True] * len(column) if column.valid is None else column.valid.tolist()
        found[name] = [value if ok else None for value, ok in zip(column.values.tolist(), there, strict=True)]
    return found


def answers(run: Run, signature: Signature, **values: list[Any]) -> dict[str, list[Any]]:
    """What a model answers to these rows."""
    return listed(run(columns(signature, **values)))


def version(model: str, number: int, served: Served, **provenance: Any) -> Version:
    """A version as the registry gives it."""
    made = Version(model, number, served.digest, served.flavor, served, 1, 0, "ann")
    return replace(made, provenance=provenance)
