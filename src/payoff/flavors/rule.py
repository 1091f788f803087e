"""A rule: SQL expressions over the inputs as a model, which a person of the business can write and read.

The language is the one of decisions and values (`expressions`). It is checked when it is deployed, compiled once when
it is loaded, and computed inside the worker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from payoff.codecs import units
from payoff.codecs.document import Place
from payoff.errors import BadInput, ModelFailed
from payoff.expressions import Expression, Scope, named, parse
from payoff.flavors import golden
from payoff.flavors.fit import conform
from payoff.flavors.flavor import Arrival, Loaded, Prepared, Run, Surroundings
from payoff.flavors.rowfile import Rows
from payoff.flavors.written import keys, sheet, text_of
from payoff.records.columns import Column, Columns
from payoff.records.model import Served
from payoff.records.signature import Field, Signature

SERVED, GOLDEN = "rule.json", "golden.npz"
_KEYS = ("rule", "output", "outputs", "inputs")
_BEGINS = "rule: case when inputs.age > 60 then 0.9 else 0.1 end"
_OUTPUT = "prediction"
_OUTPUTS_MAX = 32
_TEXTS_MAX = 100_000

# What begins like this was meant as an expression, even if it is none: then its error says more than "not a model".
_MEANT = re.compile(r"\s*(?:case\s|select\s|not\s|inputs\s*\.)", re.IGNORECASE)
_READS = re.compile(r"\binputs\s*\.", re.IGNORECASE)
_COMMENT = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|--[^\n]*")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A rule as workers load it: what is computed, in order; an output may read those before it."""

    outputs: tuple[tuple[str, str], ...]  # name, expression
    signature: Signature


@dataclass(frozen=True, slots=True)
class Said:
    """A rule as its file says it, with the places for messages."""

    outputs: dict[str, Place]
    inputs: tuple[Field, ...] | None


class Rule:
    """Recognised by the key `rule`, or as one expression over inputs; computed in the worker."""

    name = "rule"
    takes = "a rule (YAML with 'rule: SQL EXPRESSION', or a file with one SQL expression over inputs.*)"

    def recognises(self, path: Path, head: bytes) -> bool:
        found = keys(head)
        if found:
            return "rule" in found or ("outputs" in found and found <= set(_KEYS))
        text = text_of(head) or ""
        plain = _uncommented(text)
        return bool(_READS.search(plain)) and (bool(_MEANT.match(plain)) or _parses(plain))

    def prepare(self, arrival: Arrival) -> Prepared:
        """Checked against the inputs that it says or the sample has; the sample's rows are answered."""
        arrival.into.mkdir(parents=True, exist_ok=True)
        sample = _sample(arrival)
        with arrival.step("check"):
            said = read(arrival.path)
            inputs = _inputs(arrival.path.name, said, sample)
            plan = _compiled(arrival.path.name, said.outputs, inputs)
            signature = Signature(inputs, tuple(_field(name, expression) for name, expression in plan))
            rule = Sheet(tuple((name, expression.text) for name, expression in plan), signature)
            path = arrival.into / SERVED
            path.write_bytes(msgspec.json.encode(rule))
        if sample is not None:
            with arrival.step("ask the sample rows"):
                rows = conform(sample, inputs)
                answers = runner(plan)(rows.columns)
                golden.write(arrival.into / GOLDEN, rows, Rows(signature.outputs, answers))
        return Prepared(
            served_path=path,
            served_flavor="rule",
            signature=signature,
            golden_path=None if sample is None else arrival.into / GOLDEN,
            provenance={"rule": dict(rule.outputs)} | ({"sample rows": len(sample)} if sample else {}),
        )

    def load(self, served: Served, around: Surroundings) -> Loaded:
        """Compile it."""
        try:
            rule = msgspec.json.decode(around.artefact(served).read_bytes(), type=Sheet)
        except msgspec.MsgspecError as error:
            raise ModelFailed(f"this rule cannot be read ({error}); deploy it again") from error
        if rule.signature != served.signature:
            raise ModelFailed("the rule is of another signature than the version; deploy it again")
        try:
            return Loaded(runner(compiled(rule.outputs, rule.signature.inputs)))
        except BadInput as error:
            raise ModelFailed(f"the rule is not one of this release of payoff: {error}; deploy it again") from error


def read(path: Path) -> Said:
    """What the file says: YAML with `rule` or `outputs`, or one expression as plain text."""
    content = path.read_bytes()
    if not keys(content):
        return Said({_OUTPUT: Place(_plain(path.name, content), "", 1)}, None)
    at = sheet(path, _KEYS, _BEGINS)
    try:
        inputs = tuple(units.field(*one) for one in at["inputs"].mapping().items()) if "inputs" in at else None
        return Said(_outputs(at), inputs)
    except BadInput as error:
        raise BadInput(f"{path.name}, {error}") from error


def compiled(outputs: Sequence[tuple[str, str]], inputs: tuple[Field, ...]) -> list[tuple[str, Expression]]:
    """Each output's expression, checked; it may read `outputs.*` that stand before it."""
    plan: list[tuple[str, Expression]] = []
    for name, text in outputs:
        scope = Scope(inputs=inputs, outputs=tuple(_field(*before) for before in plan))
        plan.append((name, parse(text, scope)))
    return plan


def runner(plan: Sequence[tuple[str, Expression]]) -> Run:
    """The rule as a function of columns."""
    if len(plan) == 1:
        name, only = plan[0]
        return lambda columns: {name: only.evaluate({"inputs": columns})}

    def run(columns: Columns) -> dict[str, Column]:
        found: dict[str, Column] = {}
        for name, expression in plan:
            found[name] = expression.evaluate({"inputs": columns, "outputs": found})
        return found

    return run


def _field(name: str, expression: Expression) -> Field:
    return Field(name, expression.type, (), expression.nullable)


def _outputs(at: Mapping[str, Place]) -> dict[str, Place]:
    if "rule" in at and "outputs" in at:
        raise at["outputs"].wrong("say 'rule' for one output or 'outputs' for several, not both")
    if "rule" in at:
        return {at["output"].text() if "output" in at else _OUTPUT: _constant(at["rule"])}
    if "output" in at:
        raise at["output"].wrong("it names the answer of 'rule'; under 'outputs' each has its name already")
    found = at["outputs"].mapping(what="probability")
    if not 1 <= len(found) <= _OUTPUTS_MAX:
        raise at["outputs"].wrong(f"{len(found)} outputs; a rule has 1 to {_OUTPUTS_MAX}")
    return {name: _constant(place) for name, place in found.items()}


def _constant(place: Place) -> Place:
    """`rule: 0.1` and `rule: true` are expressions too, though YAML reads no text there."""
    if isinstance(place.value, bool | int | float):
        return Place(str(place.value).lower(), place.path, place.line)
    if place.value is None:
        raise place.wrong(
            "there is no expression; one with a comma, a colon or a brace in it needs quotes inside {...}"
        )
    return Place(place.text(), place.path, place.line)


def _parses(text: str) -> bool:
    try:
        return bool(named(text.rstrip().removesuffix(";")))
    except BadInput:
        return False


def _plain(name: str, content: bytes) -> str:
    text = text_of(content)
    if text is None or len(text) > _TEXTS_MAX:
        raise BadInput(f"{name} is no rule: a rule is a small text. Write YAML that begins like {_BEGINS!r}")
    return _uncommented(text).rstrip().removesuffix(";").rstrip()


def _uncommented(text: str) -> str:
    """Blanks in place of comments, so that the places in messages stay right."""
    return _COMMENT.sub(lambda found: found[1] or " " * len(found[0]), text)


def _sample(arrival: Arrival) -> Rows | None:
    if arrival.sample is None:
        return None
    from payoff.flavors.sample import rows_of  # Arrow is there if a table is

    return rows_of(arrival.sample)


def _inputs(name: str, said: Said, sample: Rows | None) -> tuple[Field, ...]:
    """What the rule takes: the inputs that it declares, and of the sample what it reads beside them."""
    declared = {field.name: field for field in said.inputs or ()}
    there = dict(declared)
    if sample is not None:
        _fit(name, declared.values(), sample)
        there |= {field.name: field for field in sample.fields if field.name not in declared}
    reads = _reads(name, said.outputs)
    missing = [column for column in reads if column not in there]
    if missing and sample is None:
        raise _untyped(name, missing, said.inputs or ())
    if missing:
        return tuple(there.values())  # the check tells where the wrong name stands, and which are near
    fields = tuple(field for column, field in there.items() if column in declared or column in reads)
    if not fields:
        raise BadInput(
            f"{name} reads no input, so there would be nothing to send; name one that callers have, as in "
            "'inputs: {customer_id: text}'"
        )
    return fields


def _untyped(name: str, missing: Sequence[str], declared: Sequence[Field]) -> BadInput:
    example = ", ".join([*(f"{field.name}: {field}" for field in declared), *(f"{one}: float64" for one in missing)])
    kind = "that is" if len(missing) == 1 else "they are"
    return BadInput(
        f"{name} reads {', '.join(missing)}, and nothing says of which type {kind}; write 'inputs: {{{example}}}' into "
        "it (types: text, bool, int64, float64, date, timestamp, ...), or give rows that have it: --sample FILE"
    )


def _fit(name: str, declared: Iterable[Field], sample: Rows) -> None:
    for field in declared:
        column = sample.columns.get(field.name)
        if column is None:
            raise BadInput(f"{name} takes {field.name}, and the sample has {', '.join(sample.columns)}; add it there")
        if column.valid is not None and not field.nullable:
            raise BadInput(
                f"{name} takes {field} in {field.name}, and the sample has nulls there; write '{field} or null'"
            )


def _reads(name: str, outputs: Mapping[str, Place]) -> list[str]:
    """The inputs that the expressions name, in order."""
    found: dict[str, None] = {}
    before: set[str] = set()
    for output, place in outputs.items():
        with _at(name, place):
            for source, column in named(place.value):
                if source == "inputs" or (not source and column not in before and column not in ("inputs", "outputs")):
                    found[column] = None
        before.add(output)
    return [*found]


def _compiled(name: str, outputs: Mapping[str, Place], inputs: tuple[Field, ...]) -> list[tuple[str, Expression]]:
    plan: list[tuple[str, Expression]] = []
    for output, place in outputs.items():
        with _at(name, place):
            plan = compiled([*((before, e.text) for before, e in plan), (output, place.value)], inputs)
    return plan


@contextmanager
def _at(name: str, place: Place) -> Iterator[None]:
    """What is wrong inside is told with its file and place."""
    try:
        yield
    except BadInput as error:
        where = f"{name}, line {place.line}, {place.path}" if place.path else name
        raise BadInput(f"{where}: {error}") from error


FLAVOR = Rule()
