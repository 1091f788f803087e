"""A revision made ready to answer: models loaded and proven, expressions compiled, traffic split."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from payoff.environments.environments import Environments
from payoff.errors import ModelFailed
from payoff.expressions import Expression, Scope, parse
from payoff.flavors import FLAVORS, Run, Servable, check
from payoff.journal.frame import Stream
from payoff.records import Arm, Column, Field, Revision, Rule, Served, Type, merge
from payoff.routing import Split, split, watchers
from payoff.serving.fit import fitted
from payoff.store.blobs import Blobs
from payoff.store.folders import Unpacked

FALLBACK_ARM = "fallback"
compiled = lru_cache(maxsize=4096)(parse)


class Models:
    """Loaded models by digest, shared by every revision that needs them."""

    def __init__(self, blobs: Blobs, unpacked: Unpacked, environments: Environments) -> None:
        self._blobs = blobs
        self._unpacked = unpacked
        self._environments = environments
        self._runs: dict[str, Run] = {}

    def load(self, version: Served) -> Run:
        """The loaded model, proven on its sample rows here, before it may answer anybody."""
        if version.digest not in self._runs:
            flavor = cast(Servable, FLAVORS.take(version.flavor))
            run = flavor.load(version, self).run
            if version.golden is not None:
                check(run, self._path(version.golden), version.signature)
            self._runs[version.digest] = run
        return self._runs[version.digest]

    def load_all(self, revision: Revision) -> None:
        """Load whatever a revision needs; takes as long as it takes."""
        for arm in revision.arms:
            self.load(arm.served)

    def have(self, revision: Revision) -> bool:
        """Whether all that a revision needs is loaded."""
        return all(arm.served.digest in self._runs for arm in revision.arms)

    def keep_only(self, digests: set[str]) -> None:
        """Let go of every model that no revision needs."""
        for digest in self._runs.keys() - digests:
            del self._runs[digest]

    def artefact(self, served: Served) -> Path:
        """The file of the version, or its folder."""
        path = self._path(served.digest)
        return self._unpacked.path(served.digest, path) if served.folder else path

    def python(self, environment: str) -> Path:
        """The interpreter of an environment."""
        return self._environments.find(environment).python

    def _path(self, digest: str) -> Path:
        if not self._blobs.has(digest):
            raise ModelFailed(f"artefact {digest[:12]} is missing from artifacts/; deploy the model again")
        return self._blobs.path(digest)


@dataclass(frozen=True, slots=True)
class Live:
    """All that an answer needs. Immutable: a swap replaces the whole."""

    revision: Revision
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    runs: tuple[Run, ...]
    split: Split
    watchers: tuple[tuple[int, bool], ...]
    decide: Expression | None
    rules: tuple[tuple[Rule, Expression], ...]
    fallback_decision: Any
    fallback_outputs: Mapping[str, Any]
    streams: tuple[Stream, ...]  # one per arm, and last the fallback's
    shadow_streams: tuple[Stream, ...]  # one per arm
    missing: tuple[tuple[Field, ...], ...]  # per arm, the endpoint's outputs that it does not give

    @property
    def name(self) -> str:
        return self.revision.endpoint

    @property
    def decision_type(self) -> Type | None:
        return self.decide.type if self.decide else None

    @property
    def has_fallback(self) -> bool:
        return bool(self.revision.policy.fallback)

    def arm_of(self, lane: int) -> Arm | None:
        """The arm of a lane; None for the fallback's."""
        return self.revision.arms[lane] if lane >= 0 else None


def prepare(revision: Revision, models: Models) -> Live:
    """Load and compile all of a revision; ModelFailed or BadInput if it cannot answer."""
    policy = revision.policy
    inputs, outputs = merge.inputs(revision), merge.outputs(revision)
    decide = compiled(policy.decision, Scope(inputs=inputs, outputs=outputs)) if policy.decision else None
    decision_type = decide.type if decide else None
    scope = Scope(inputs=inputs, outputs=outputs, decision=decision_type)
    constants = dict(policy.fallback)
    return Live(
        revision=revision,
        inputs=inputs,
        outputs=outputs,
        runs=tuple(fitted(models.load(arm.served), arm.served.signature, inputs, outputs) for arm in revision.arms),
        split=split(revision),
        watchers=watchers(revision),
        decide=decide,
        rules=tuple((rule, compiled(rule.check, scope, "boolean")) for rule in policy.rules),
        fallback_decision=constants.pop("decision", None),
        fallback_outputs=constants,
        streams=tuple(_stream(revision, arm, inputs, decision_type) for arm in (*revision.arms, None)),
        shadow_streams=tuple(_stream(revision, arm, inputs, decision_type, True) for arm in revision.arms),
        missing=tuple(_missing(outputs, arm) for arm in revision.arms),
    )


def _stream(
    revision: Revision, arm: Arm | None, inputs: tuple[Field, ...], decision: Type | None, shadow: bool = False
) -> Stream:
    columns = [("inputs", field) for field in inputs] + [("outputs", field) for field in merge.outputs(revision)]
    if decision is not None:
        columns.append(("decision", Field("decision", decision, nullable=True)))
    return Stream(
        kind="predictions",
        endpoint=revision.endpoint,
        revision=revision.number,
        arm=arm.name if arm else FALLBACK_ARM,
        model=arm.model if arm else FALLBACK_ARM,
        version=arm.version if arm else None,
        shadow=shadow,
        columns=tuple(columns),
    )


def _missing(outputs: tuple[Field, ...], arm: Arm) -> tuple[Field, ...]:
    given = {field.name for field in arm.served.signature.outputs}
    return tuple(field for field in outputs if field.name not in given)


def constant(value: Any, kind: Type, rows: int, shape: tuple[int, ...] = ()) -> Column:
    """A column of one value; None gives nulls."""
    if value is None:
        blank = np.full((rows, *shape), "", object) if kind is Type.TEXT else np.zeros((rows, *shape), kind.dtype)
        return Column(blank, np.zeros(rows, bool))
    return Column(np.full((rows, *shape), value, kind.dtype))
