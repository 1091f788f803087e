"""The walk of a call: route the rows, run the arms, decide, hold the rules, and say why.

Everything here is pure computing over columns. Rows come in as one table, however many callers they belong to; they
go out as parts, one for each arm that answered, with the places their rows had in the table.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.errors import ModelFailed
from payoff.records import Column, Otherwise, length, take
from payoff.routing import FALLBACK
from payoff.serving.live import Live, constant

Rows = dict[str, Column]


@dataclass(slots=True)
class Part:
    """Rows that one lane answered. `index` gives their places in the batch; None: all of it, in order."""

    lane: int
    index: NDArray[np.intp] | None
    inputs: Rows
    outputs: Rows
    decision: Column | None
    why: str
    violations: list[list[str]] | None  # per row, the rules it broke; None: nobody broke any
    blocked: NDArray[np.bool_] | None = None
    cpu_ns: int = 0  # of the whole part

    def __len__(self) -> int:
        return length(self.inputs)


def answer(live: Live, rows: Rows, points: NDArray[np.float64] | None) -> list[Part]:
    """Every row answered once, by its arm or by the fallback. `points` in [0, 1) place each row in the split."""
    parts = []
    for piece, index in _pieces(live, points):
        lane, why = live.split.lanes[piece], live.split.whys[piece]
        inputs = rows if index is None else take(rows, index)
        started = time.thread_time_ns()
        found = list(_ask(live, lane, index, inputs, why))
        spent = time.thread_time_ns() - started
        asked = max(1, len(inputs[next(iter(inputs))])) if inputs else 1
        for part in found:
            part.cpu_ns = spent * len(part) // asked
        parts += found
    return parts


def _pieces(live: Live, points: NDArray[np.float64] | None) -> Iterator[tuple[int, NDArray[np.intp] | None]]:
    if live.split.single or points is None:
        yield 0, None
        return
    picked = live.split.pick(points)
    for piece in np.unique(picked):
        yield int(piece), np.flatnonzero(picked == piece)


def _ask(live: Live, lane: int, index: NDArray[np.intp] | None, inputs: Rows, why: str) -> Iterator[Part]:
    if lane == FALLBACK:
        yield fall_back(live, index, inputs, why)
        return
    try:
        outputs = run(live, lane, inputs)
    except Exception as error:
        if not live.has_fallback:
            raise ModelFailed(f"the model failed on these rows: {error}") from error
        yield fall_back(live, index, inputs, f"fallback: the model failed: {error}"[:300])
        return
    decision = live.decide.evaluate({"inputs": inputs, "outputs": outputs}) if live.decide else None
    part = Part(lane, index, inputs, outputs, decision, why, None)
    if live.rules:
        yield from hold_rules(live, part)
    else:
        yield part


def run(live: Live, lane: int, inputs: Rows) -> Rows:
    """The arm's model over these rows; outputs that only other arms give are null."""
    outputs = live.runs[lane](inputs)
    if not live.missing[lane]:
        return outputs
    count = length(inputs)
    return outputs | {field.name: constant(None, field.type, count, field.shape) for field in live.missing[lane]}


def fall_back(live: Live, index: NDArray[np.intp] | None, inputs: Rows, why: str) -> Part:
    """The endpoint's constants, in place of a model."""
    count = length(inputs)
    outputs = {
        field.name: constant(live.fallback_outputs.get(field.name), field.type, count, field.shape)
        for field in live.outputs
    }
    decision = constant(live.fallback_decision, live.decision_type, count) if live.decision_type else None
    return Part(FALLBACK, index, inputs, outputs, decision, why, None)


def hold_rules(live: Live, part: Part) -> Iterator[Part]:
    """Check every rule on every row: flagged rows pass, blocked ones lose their decision, the rest fall back."""
    data: dict[str, Any] = {"inputs": part.inputs, "outputs": part.outputs, "decision": part.decision}
    broken = [_broken(expression.evaluate(data)) for _, expression in live.rules]
    if not any(rows.any() for rows in broken):
        yield part
        return
    part.violations = [
        [rule.check for (rule, _), rows in zip(live.rules, broken, strict=True) if rows[row]]
        for row in range(len(part))
    ]
    replaced, part.blocked = (_any(live, broken, what) for what in (Otherwise.FALLBACK, Otherwise.BLOCK))
    replaced &= ~part.blocked
    if replaced.any():
        yield from _replace(live, part, replaced)
    else:
        yield part


def _broken(held: Column) -> NDArray[np.bool_]:
    """A rule that is null is not met."""
    met = held.values.astype(bool)
    return ~met if held.valid is None else ~(met & held.valid)


def _any(live: Live, broken: list[NDArray[np.bool_]], what: Otherwise) -> NDArray[np.bool_]:
    found = np.zeros(len(broken[0]), bool)
    for (rule, _), rows in zip(live.rules, broken, strict=True):
        if rule.otherwise is what:
            found |= rows
    return found


def _replace(live: Live, part: Part, replaced: NDArray[np.bool_]) -> Iterator[Part]:
    keep, lose = np.flatnonzero(~replaced), np.flatnonzero(replaced)
    if len(keep):
        yield _pick(part, keep)
    lost = _pick(part, lose)
    swapped = fall_back(live, lost.index, lost.inputs, "fallback: a rule was broken")
    swapped.violations = lost.violations
    yield swapped


def _pick(part: Part, rows: NDArray[np.intp]) -> Part:
    return Part(
        lane=part.lane,
        index=rows if part.index is None else part.index[rows],
        inputs=take(part.inputs, rows),
        outputs=take(part.outputs, rows),
        decision=None if part.decision is None else part.decision.take(rows),
        why=part.why,
        violations=None if part.violations is None else [part.violations[row] for row in rows],
        blocked=None if part.blocked is None else part.blocked[rows],
    )


def watch(live: Live, lane: int, inputs: Rows) -> Part:
    """What an arm would have answered, for the record only."""
    started = time.thread_time_ns()
    outputs = run(live, lane, inputs)
    decision = live.decide.evaluate({"inputs": inputs, "outputs": outputs}) if live.decide else None
    return Part(lane, None, inputs, outputs, decision, "shadow", None, cpu_ns=time.thread_time_ns() - started)
