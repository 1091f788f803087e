"""A chain: versions one after the other, each reading by name what those before it gave; or side by side and combined.

The versions are fixed to their numbers when the chain is deployed. Each step is loaded, and proven on its own sample
rows, as if it stood alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from payoff.codecs.document import Place
from payoff.errors import BadInput, ModelFailed, NotFound
from payoff.expressions import parse
from payoff.flavors.chain_plan import OWN, Chain, Plan, Source, Step, Wanted, cast, combined, scope
from payoff.flavors.fit import conform
from payoff.flavors.flavor import Arrival, Loaded, Prepared, Surroundings
from payoff.flavors.join import WAYS, join
from payoff.flavors.written import keys, sheet
from payoff.records import names
from payoff.records.columns import Column, Columns
from payoff.records.model import Served, Version
from payoff.records.signature import Signature

SERVED = "chain.json"
STEPS_MAX, DEPTH_MAX = 16, 4
_KEYS = ("chain", "together", "outputs", "combine")
_STEP_KEYS = ("model", "version", "name", "inputs")
_BEGINS = "chain: [{model: NAME, version: 1}, {model: NAME, version: 2}]"
_DEPTH = "chain depth"  # in the provenance of a chain
_TAKEN = ("inputs", "outputs", "outcome", "decision")

Answers = list[dict[str, Column]]


class ChainFlavor:
    """Recognised by the keys `chain` or `together`; loads its steps through the worker."""

    name = "chain"
    moves = True  # `latest` and aliases: the same file may be another chain tomorrow
    takes = "a chain of versions (YAML with 'chain: [...]' or 'together: [...]')"

    def recognises(self, path: Path, head: bytes) -> bool:
        return bool(keys(head) & {"chain", "together"})

    def prepare(self, arrival: Arrival) -> Prepared:
        """Find the versions, fix them to their numbers, and check that each step gets what it takes."""
        arrival.into.mkdir(parents=True, exist_ok=True)
        with arrival.step("check"):
            chain, found = _planned(arrival)
            if arrival.sample is not None:
                _check_sample(arrival, chain)
            path = arrival.into / SERVED
            path.write_bytes(msgspec.json.encode(chain))
        steps = [f"{version.model} v{version.number}" for version in found]
        facts: dict[str, Any] = {"steps": steps, "together": chain.together, _DEPTH: chain.depth}
        return Prepared(path, "chain", chain.signature, None, provenance=facts)

    def load(self, served: Served, around: Surroundings) -> Loaded:
        """Every step loaded, and put together."""
        try:
            chain = msgspec.json.decode(around.artefact(served).read_bytes(), type=Chain)
        except msgspec.MsgspecError as error:
            raise ModelFailed(f"this chain cannot be read ({error}); deploy it again") from error
        if chain.signature != served.signature or chain.depth > DEPTH_MAX:
            raise ModelFailed("the chain is of another signature than the version, or too deep; deploy it again")
        steps: list[Loaded] = []
        try:
            for step in chain.steps:
                steps.append(_loaded(step, around))
            return _together(chain, steps) if chain.together else _in_sequence(chain, steps)
        except BaseException:
            _close(steps)
            raise


def _loaded(step: Step, around: Surroundings) -> Loaded:
    try:
        return around.load(step.served)
    except (ModelFailed, NotFound) as error:
        raise ModelFailed(f"step {step.name} ({step.model} v{step.version}) cannot be loaded: {error}") from error


# -- answering


@dataclass(frozen=True, slots=True)
class _Reader:
    """A loaded step, and how it gets its rows."""

    step: Step
    loaded: Loaded

    def rows(self, columns: Columns, answers: Answers) -> dict[str, Column]:
        taken = zip(self.step.served.signature.inputs, self.step.sources, strict=True)
        return {
            field.name: cast((columns if source.step < 0 else answers[source.step])[source.name], field)
            for field, source in taken
        }

    def run(self, columns: Columns, answers: Answers) -> dict[str, Column]:
        try:
            return self.loaded.run(self.rows(columns, answers))
        except Exception as error:
            raise self._failed(error) from error

    async def ask(self, columns: Columns, answers: Answers) -> dict[str, Column]:
        try:
            rows = self.rows(columns, answers)
            return await self.loaded.ask(rows) if self.loaded.ask else self.loaded.run(rows)
        except Exception as error:
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> ModelFailed:
        return ModelFailed(f"step {self.step.name} ({self.step.model} v{self.step.version}): {error}")


def _in_sequence(chain: Chain, steps: Sequence[Loaded]) -> Loaded:
    readers = [_Reader(*pair) for pair in zip(chain.steps, steps, strict=True)]

    def picked(answers: Answers) -> dict[str, Column]:
        return {name: answers[source.step][source.name] for name, source in chain.outputs}

    def run(columns: Columns) -> dict[str, Column]:
        answers: Answers = []
        for reader in readers:
            answers.append(reader.run(columns, answers))
        return picked(answers)

    async def ask(columns: Columns) -> dict[str, Column]:
        answers: Answers = []
        for reader in readers:
            answers.append(await reader.ask(columns, answers))
        return picked(answers)

    return _whole(steps, run, ask)


def _together(chain: Chain, steps: Sequence[Loaded]) -> Loaded:
    readers = [_Reader(*pair) for pair in zip(chain.steps, steps, strict=True)]
    combine = _combiner(chain)

    def run(columns: Columns) -> dict[str, Column]:
        return combine(columns, [reader.run(columns, []) for reader in readers])

    async def ask(columns: Columns) -> dict[str, Column]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(reader.ask(columns, [])) for reader in readers]
        return combine(columns, [task.result() for task in tasks])

    async def first_failure(columns: Columns) -> dict[str, Column]:
        try:
            return await ask(columns)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    return _whole(steps, run, first_failure)


def _combiner(chain: Chain) -> Callable[[Columns, Answers], dict[str, Column]]:
    fields = {field.name: field for field in chain.signature.outputs}
    names = [step.name for step in chain.steps]
    space = scope(chain.steps, chain.signature.inputs)
    plan = [(name, way, None if way in WAYS else parse(way, space)) for name, way in chain.combine]

    def combine(columns: Columns, answers: Answers) -> dict[str, Column]:
        batch = {OWN: columns, **dict(zip(names, answers, strict=True))}
        return {
            name: found.evaluate(batch) if found else join(way, fields[name], [answer[name] for answer in answers])
            for name, way, found in plan
        }

    return combine


def _whole(steps: Sequence[Loaded], run: Any, ask: Any) -> Loaded:
    elsewhere = [step for step in steps if step.ask is not None]
    counted = [step.cpu_ns for step in steps if step.cpu_ns is not None]
    return Loaded(
        run,
        ask if elsewhere else None,
        lambda: _close(steps),
        min((step.batches_max for step in elsewhere), default=1),
        lambda: next((why for step in steps if (why := step.is_out())), ""),
        (lambda: sum(cpu_ns() for cpu_ns in counted)) if counted else None,
        lambda: [pid for step in steps for pid in step.pids()],
        sum(step.held_bytes for step in steps),
        engine="; ".join(dict.fromkeys(step.engine for step in steps if step.engine)),
        threads=1 if all(step.threads == 1 for step in steps) else 0,
        frees_lock=all(step.frees_lock for step in steps),
    )


def _close(steps: Sequence[Loaded]) -> None:
    for step in steps:
        with suppress(Exception):  # the others are to be closed too
            step.close()


# -- reading the file


def _planned(arrival: Arrival) -> tuple[Chain, list[Version]]:
    at = sheet(arrival.path, _KEYS, _BEGINS)
    try:
        together = "together" in at
        wanted, found = _steps(arrival, at)
        plan = Plan(together)
        for place, one in wanted:
            with _told(place):
                plan.add(one)
        return _chain(at, plan, together, 1 + max(int(version.provenance.get(_DEPTH, 0)) for version in found)), found
    except BadInput as error:
        raise BadInput(f"{arrival.path.name}, {error}") from error


def _chain(at: Mapping[str, Place], plan: Plan, together: bool, depth: int) -> Chain:
    if depth > DEPTH_MAX:
        raise BadInput(f"chains of chains may be {DEPTH_MAX} deep, and this is {depth}; name the steps themselves")
    outputs: tuple[tuple[str, Source], ...] = ()
    combine: tuple[tuple[str, str], ...] = ()
    steps, inputs = tuple(plan.steps), plan.inputs
    if together:
        if "combine" not in at or "outputs" in at:
            raise BadInput("steps together need 'combine', as in {probability: mean}, and no 'outputs'")
        combine = tuple((name, place.text()) for name, place in at["combine"].mapping(what="probability").items())
        with _told(at["combine"]):
            fields = combined(steps, inputs, combine)
    else:
        if "combine" in at:
            raise at["combine"].wrong("steps in sequence are not combined; it goes with 'together'")
        with _told(at.get("outputs", at["chain"])):
            outputs = plan.outputs([item.text() for item in at["outputs"].items()] if "outputs" in at else [])
            fields = tuple(replace(plan.field(source), name=name) for name, source in outputs)
    if not inputs or not fields:
        raise BadInput("this chain takes or gives nothing; every step needs inputs, and the chain an output")
    return Chain(steps, together, outputs, combine, Signature(inputs, fields), depth)


def _steps(arrival: Arrival, at: Mapping[str, Place]) -> tuple[list[tuple[Place, Wanted]], list[Version]]:
    if ("chain" in at) == ("together" in at):
        raise BadInput("say 'chain' for steps one after the other, or 'together' for steps side by side, not both")
    place = at.get("chain") or at["together"]
    items = place.items()
    if not 1 <= len(items) <= STEPS_MAX:
        raise place.wrong(f"{len(items)} steps; a chain has 1 to {STEPS_MAX}")
    wanted: list[tuple[Place, Wanted]] = []
    found: list[Version] = []
    for item in items:
        one, version = _step(arrival, item)
        if "together" in at and one.name in [other.name for _, other in wanted]:
            raise item.wrong(f"there is another step called {one.name!r}; give this one a name: {{name: other, ...}}")
        wanted.append((item, one))
        found.append(version)
    return wanted, found


def _step(arrival: Arrival, place: Place) -> tuple[Wanted, Version]:
    at = place.mapping(_STEP_KEYS)
    if "model" not in at:
        raise place.wrong("a step needs 'model', as in {model: NAME, version: 1}")
    model = at["model"].text()
    with _told(at["model"]):
        names.check(model, "model")
    said = at["version"].value if "version" in at else None
    if said is not None and (isinstance(said, bool) or not isinstance(said, int | str)):
        raise at["version"].wrong(f"expected a version's number, an alias or 'latest', got {at['version'].said()}")
    if arrival.find is None:
        raise place.wrong("a chain is made of versions, and there are none to be found here")
    try:
        version = arrival.find(model, None if said == "latest" else said)
    except (NotFound, BadInput) as error:
        raise place.wrong(str(error)) from error
    name = at["name"].text() if "name" in at else model
    if name in _TAKEN:
        raise place.wrong(f"a step cannot be called {name!r}, which means something else in expressions; name it: ...")
    inputs = {own: under.text() for own, under in at["inputs"].mapping().items()} if "inputs" in at else {}
    return Wanted(name, model, version.number, version.served, inputs), version


def _check_sample(arrival: Arrival, chain: Chain) -> None:
    """Rows come with it: they must be such as the chain takes."""
    from payoff.flavors.sample import rows_of  # Arrow is there if a table is

    assert arrival.sample is not None  # noqa: S101 - asked for only then
    rows = rows_of(arrival.sample)
    for field in chain.signature.inputs:
        column = rows.columns.get(field.name)
        if column is None:
            there = ", ".join(rows.columns)
            raise BadInput(f"{arrival.path.name} takes {field.name} ({field}); the sample has {there}: add it there")
        if column.valid is not None and not field.nullable:
            raise BadInput(f"{arrival.path.name} takes no null in {field.name}, and the sample has one; leave it out")
    conform(rows, chain.signature.inputs)


@contextmanager
def _told(place: Place) -> Iterator[None]:
    """What is wrong inside is told with its place."""
    try:
        yield
    except BadInput as error:
        raise error if str(error).startswith("line ") else place.wrong(str(error)) from error


FLAVOR = ChainFlavor()
