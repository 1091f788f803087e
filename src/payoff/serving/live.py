"""A revision made ready to answer: a seat for every model, expressions compiled, traffic split."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from payoff.journal.frame import Stream
from payoff.records import Arm, Cache, Column, Explore, Field, Policy, Revision, Rule, Type, length, merge
from payoff.routing import FALLBACK, Split, explores, points, split, watchers
from payoff.serving.cache import Answers
from payoff.serving.fit import Fit, fit
from payoff.serving.models import Models
from payoff.serving.seat import Seat
from payoff.serving.streams import Columns, stream, streams

if TYPE_CHECKING:
    from payoff.expressions import Expression, Scope


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """All that an answer needs. Immutable: a swap replaces the whole."""

    revision: Revision
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    seats: tuple[Seat, ...]  # one per arm
    fits: tuple[Fit, ...]  # one per arm
    answering: tuple[Seat, ...]  # of the arms that answer
    split: Split
    watchers: tuple[tuple[int, bool], ...]
    decide: "Expression | None"
    rules: "tuple[tuple[Rule, Expression], ...]"
    fallback_decision: Any
    fallback_outputs: Mapping[str, Any]
    explore: Explore | None
    explored_why: str
    streams: Mapping[tuple[int, str], Stream]  # by way of the split and choice
    shadow_streams: tuple[Stream, ...]  # one per arm
    plain: bool = False  # one model answers all, and there are neither rules nor exploring, nor a cache
    caches: tuple[Answers, ...] = ()  # one per arm, or none at all
    forms: dict[Any, Any] = field(default_factory=dict)  # what doors work out once for it

    @property
    def here(self) -> bool:
        """Whether all that answer are loaded and compute on this event loop."""
        for seat in self.answering:  # noqa: SIM110 - every call comes by, and all() costs it three times as much
            if seat.here is None:
                return False
        return True

    def rows_max(self, most: int) -> int:
        """How many rows pay in one call of every model that answers; at most `most`."""
        for seat in self.answering:
            if seat.rows_max < most:
                most = seat.rows_max
        return most

    def places(self, rows: Mapping[str, Column], chance: np.random.Generator) -> NDArray[np.float64] | None:
        """Where rows lie in the split, by their key or by `chance`; None where all go one way."""
        if self.split.single:
            return None
        key = self.revision.policy.route_by
        return points(self.name, rows[key].values.tolist()) if key else chance.random(length(rows))

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
    """Compile all of a revision and take its seats, hot or cold; BadInput if it cannot answer."""
    policy = revision.policy
    inputs, outputs = _known(merge.inputs(revision)), _known(merge.outputs(revision))
    decide, rules = _expressions(policy, inputs, outputs)
    decision_type = decide.type if decide else None
    constants = dict(policy.fallback)
    seats, ways = tuple(models.seats(revision)), split(revision)
    explore, columns = explores(revision), _columns(inputs, outputs, decision_type)
    return Live(
        revision=revision,
        inputs=inputs,
        outputs=outputs,
        seats=seats,
        fits=tuple(fit(arm.served.signature, inputs, outputs) for arm in revision.arms),
        answering=tuple(seats[lane] for lane in ways.lanes if lane != FALLBACK),
        split=ways,
        watchers=watchers(revision),
        decide=decide,
        rules=rules,
        fallback_decision=constants.pop("decision", None),
        fallback_outputs=constants,
        explore=explore,
        explored_why=_explored_why(explore),
        streams=streams(revision, ways, columns),
        shadow_streams=tuple(stream(revision, arm, columns, shadow=True) for arm in revision.arms),
        plain=ways.single and ways.lanes[0] != FALLBACK and not policy.rules and explore is None and not policy.cache,
        caches=tuple(_cache(policy.cache, arm, inputs) for arm in revision.arms) if policy.cache else (),
    )


def _expressions(
    policy: Policy, inputs: tuple[Field, ...], outputs: tuple[Field, ...]
) -> "tuple[Expression | None, tuple[tuple[Rule, Expression], ...]]":
    """The decision and the rules, compiled. A worker that has none does without the 20 MB that compiling takes."""
    if not (policy.decision or policy.rules):
        return None, ()
    from payoff.expressions import Scope

    decide = _compiled(policy.decision, Scope(inputs=inputs, outputs=outputs)) if policy.decision else None
    scope = Scope(inputs=inputs, outputs=outputs, decision=decide.type if decide else None)
    return decide, tuple((rule, _compiled(rule.check, scope, "boolean")) for rule in policy.rules)


@lru_cache(maxsize=256)
def _known(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """These fields as the revisions before had them: what is worked out for them once serves as long as they are the
    same, and no swap adds to it."""
    return fields


@lru_cache(maxsize=512)
def _compiled(text: str, scope: "Scope", kind: Literal["boolean"] | None = None) -> "Expression":
    from payoff.expressions import parse

    return parse(text, scope, kind)


def _cache(how: Cache, arm: Arm, inputs: tuple[Field, ...]) -> Answers:
    """For one arm: rows are equal where what it is asked is, whatever the other columns say."""
    asked = {field.name for field in arm.served.signature.inputs}
    return Answers(how, [field for field in inputs if field.name in asked])


@lru_cache(maxsize=256)
def _columns(inputs: tuple[Field, ...], outputs: tuple[Field, ...], decision: Type | None) -> Columns:
    """What the journal has of every row."""
    decided = [("decision", Field("decision", decision, nullable=True))] if decision is not None else []
    return (*(("inputs", field) for field in inputs), *(("outputs", field) for field in outputs), *decided)


def _explored_why(explore: Explore | None) -> str:
    among = explore.among if explore else ()
    return f"explore: decided at random among {', '.join(_said(value) for value in among)}"


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
