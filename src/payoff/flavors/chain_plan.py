"""What a chain is: its steps in order, and where each of their inputs comes from. Pure: nothing is loaded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from payoff.errors import BadInput, ModelFailed
from payoff.expressions import Scope, parse
from payoff.flavors.join import WAYS, joined
from payoff.records.columns import Column
from payoff.records.merge import common
from payoff.records.model import Served
from payoff.records.signature import Field, Signature

OWN = "inputs"  # what callers send, in the place of a step's number


@dataclass(frozen=True, slots=True)
class Source:
    """Where an input comes from: the output `name` of step `step`, or what callers send as `name` (step -1)."""

    step: int
    name: str


@dataclass(frozen=True, slots=True)
class Step:
    """One version in a chain; `sources` are those of its inputs, in order."""

    name: str
    model: str
    version: int
    served: Served
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps as workers load them. In sequence, or (`together`) all at once with their answers combined.

    `outputs` of a sequence say which output of which step is which; `combine` of steps together is, for each output, a
    way of joining or an expression over STEP.OUTPUT.
    """

    steps: tuple[Step, ...]
    together: bool
    outputs: tuple[tuple[str, Source], ...]
    combine: tuple[tuple[str, str], ...]
    signature: Signature
    depth: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A step as the file says it, its version found: `inputs` say under which names it reads what."""

    name: str
    model: str
    version: int
    served: Served
    inputs: Mapping[str, str]

    @property
    def called(self) -> str:
        """For messages."""
        own = f" ({self.name})" if self.name != self.model else ""
        return f"{self.model} v{self.version}{own}"


class Plan:
    """Steps put together one by one; what they lack, callers send."""

    def __init__(self, together: bool) -> None:
        self.steps: list[Step] = []
        self._together = together
        self._sent: dict[str, tuple[str, Field]] = {}  # name -> who takes it, as what
        self._given: dict[str, Source] = {}  # what the steps so far give, the last one first

    @property
    def inputs(self) -> tuple[Field, ...]:
        """What callers send."""
        return tuple(field for _, field in self._sent.values())

    def add(self, wanted: Wanted) -> None:
        """Put a step after those before it; BadInput names the step and the column that do not fit."""
        fields = wanted.served.signature.inputs
        unknown = [name for name in wanted.inputs if name not in {field.name for field in fields}]
        if unknown:
            raise BadInput(
                f"{wanted.called} takes no {unknown[0]!r}; it takes {', '.join(field.name for field in fields)}"
            )
        sources = tuple(self._source(wanted, field) for field in fields)
        for source, field in zip(sources, fields, strict=True):
            self._check(wanted, source, field)
        self.steps.append(Step(wanted.name, wanted.model, wanted.version, wanted.served, sources))
        if not self._together:
            number = len(self.steps) - 1
            self._given |= {field.name: Source(number, field.name) for field in wanted.served.signature.outputs}

    def outputs(self, names: Sequence[str]) -> tuple[tuple[str, Source], ...]:
        """Where the outputs of these names come from; without names those of the last step."""
        last = self.steps[-1].served.signature.outputs
        for name in names:
            if name not in self._given:
                raise BadInput(f"no step gives {name!r}; there are: {', '.join(self._given)}")
        return tuple((name, self._given[name]) for name in names or [field.name for field in last])

    def field(self, source: Source) -> Field:
        """The field that a step gives."""
        return next(f for f in self.steps[source.step].served.signature.outputs if f.name == source.name)

    def _source(self, wanted: Wanted, field: Field) -> Source:
        said = wanted.inputs.get(field.name, field.name)
        own = said.removeprefix(f"{OWN}.")
        if said != own and said not in self._given:
            return Source(-1, own)
        if said in self._given:
            return self._given[said]
        if field.name in wanted.inputs and self.steps and not self._together:
            raise BadInput(
                f"{wanted.called} shall read {field.name!r} from {said!r}, which no step before gives (they give "
                f"{', '.join(self._given)}); what callers send is written {OWN}.{said}"
            )
        return Source(-1, said)

    def _check(self, wanted: Wanted, source: Source, field: Field) -> None:
        if source.step < 0:
            self._send(wanted, source.name, field)
            return
        given, giver = self.field(source), self.steps[source.step]
        who = f"{wanted.called} takes {field.name!r} as {field}, and {giver.model} v{giver.version} gives "
        who += f"{source.name!r} as {given}"
        if given.shape != field.shape or not fits(given, field):
            raise BadInput(f"{who}; put a rule between them that makes one of the other")
        if given.nullable and not field.nullable:
            raise BadInput(f"{who}; put a rule between them that says what a null means: coalesce({source.name}, 0)")

    def _send(self, wanted: Wanted, name: str, field: Field) -> None:
        if name not in self._sent:
            self._sent[name] = (wanted.called, replace(field, name=name))
            return
        first, so_far = self._sent[name]
        wide = common(so_far.type, field.type)
        if wide is None or so_far.shape != field.shape:
            raise BadInput(
                f"{first} takes {name!r} as {so_far} and {wanted.called} as {field}; give one of them another name: "
                f"inputs: {{{field.name}: OTHER_NAME}}"
            )
        self._sent[name] = (first, replace(so_far, type=wide, nullable=so_far.nullable and field.nullable))


def combined(steps: Sequence[Step], inputs: tuple[Field, ...], combine: Sequence[tuple[str, str]]) -> tuple[Field, ...]:
    """The outputs of steps together; BadInput says which of them cannot be combined so."""
    fields = []
    for name, way in combine:
        if way in WAYS:
            given = [(step, f) for step in steps for f in step.served.signature.outputs if f.name == name]
            if len(given) != len(steps):
                silent = ", ".join(step.name for step in steps if step not in [giver for giver, _ in given])
                raise BadInput(
                    f"{way} takes {name!r} of every step, and {silent} does not give it; write an expression"
                )
            fields.append(joined(way, name, [field for _, field in given]))
        else:
            found = parse(way, scope(steps, inputs))
            fields.append(Field(name, found.type, (), found.nullable))
    return tuple(fields)


def scope(steps: Sequence[Step], inputs: tuple[Field, ...]) -> Scope:
    """What an expression that combines may read: inputs.*, and STEP.OUTPUT."""
    return Scope(inputs=inputs, others=tuple((step.name, step.served.signature.outputs) for step in steps))


def fits(given: Field, taken: Field) -> bool:
    """Whether a step may read this: the same kind; or a number where a wider or a float is taken; a yes as 1."""
    if given.type is taken.type or (given.type.is_integer and taken.type.is_integer):
        return True
    return (taken.type.is_float and given.type.is_number) or (taken.type.is_number and given.type.dtype.kind == "b")


def cast(column: Column, field: Field) -> Column:
    """The same values as the step takes them; ModelFailed if one does not fit."""
    if column.values.dtype == field.type.dtype:
        return column
    with np.errstate(over="ignore", invalid="ignore"):
        values = column.values.astype(field.type.dtype)
    if field.type.is_integer and column.values.dtype.kind in "iu":
        off = values != column.values if column.valid is None else (values != column.values) & column.valid
        if off.any():
            row = int(np.flatnonzero(off.reshape(len(off), -1).any(axis=1))[0])
            raise ModelFailed(f"{field.name!r}, row {row}: {column.values[row]} does not fit {field.type}")
    return Column(values, column.valid)
