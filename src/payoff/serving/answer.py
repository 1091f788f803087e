"""The walk of a call: route the rows, run the arms, decide, hold the rules, and say why.

Rows come in as one table, however many callers they belong to; they go out as parts, one for each arm that answered,
with the places their rows had in the table. There are two walks, one for models that compute here and one for those
that compute elsewhere; they share all but the waiting.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.errors import ModelFailed
from payoff.records import Column, Otherwise, length, take
from payoff.routing import FALLBACK
from payoff.serving.fit import constant
from payoff.serving.live import Live
from payoff.serving.seat import NotReady

Rows = dict[str, Column]
_WHY_MAX = 300


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


@dataclass(slots=True)
class Piece:
    """Rows of a batch that go one way. `index` as in Part."""

    lane: int
    why: str
    index: NDArray[np.intp] | None
    inputs: Rows


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said to a piece: its outputs, or why there are none; and what that cost elsewhere."""

    outputs: Rows | Exception
    cpu_ns: int = 0


_NOBODY = Said({})  # what the fallback is asked


def answer(live: Live, rows: Rows, points: NDArray[np.float64] | None, alone: bool) -> list[Part]:
    """Every row answered once, by its arm or by the fallback. `points` in [0, 1) place each row in the split.

    For rows that are not `alone`, of several callers, a model's failure is raised: asked again call by call, only
    those get the fallback that the model fails on.
    """
    parts = []
    for piece in _pieces(live, rows, points):
        started = time.thread_time_ns()
        found = list(_finish(live, piece, _run(live, piece), alone))
        parts += _book(found, piece, time.thread_time_ns() - started)
    return parts


async def answer_away(
    live: Live, rows: Rows, points: NDArray[np.float64] | None, alone: bool, in_turn: bool
) -> list[Part]:
    """The same where a model computes elsewhere, or is cold; `in_turn` waits for a slot at each model."""
    pieces = _pieces(live, rows, points)
    if len(pieces) == 1:  # the usual case, without a task of its own
        said = [await _ask(live, pieces[0], in_turn)]
    else:
        said = await asyncio.gather(*(_ask(live, piece, in_turn) for piece in pieces))
    parts = []
    for piece, one in zip(pieces, said, strict=True):
        started = time.thread_time_ns()
        found = list(_finish(live, piece, one, alone))
        parts += _book(found, piece, one.cpu_ns + time.thread_time_ns() - started)
    return parts


def _pieces(live: Live, rows: Rows, points: NDArray[np.float64] | None) -> list[Piece]:
    lanes, whys = live.split.lanes, live.split.whys
    if live.split.single or points is None or not len(points):
        return [Piece(lanes[0], whys[0], None, rows)]
    picked = live.split.pick(points)
    places = [(int(way), np.flatnonzero(picked == way)) for way in np.unique(picked)]
    return [Piece(lanes[way], whys[way], index, take(rows, index)) for way, index in places]


def _run(live: Live, piece: Piece) -> Said:
    """Here and now."""
    if piece.lane == FALLBACK:
        return _NOBODY
    try:
        return Said(run(live, piece.lane, piece.inputs))
    except Exception as error:
        return Said(error)


async def _ask(live: Live, piece: Piece, in_turn: bool) -> Said:
    """Wherever the model is."""
    if piece.lane == FALLBACK:
        return _NOBODY
    try:
        return Said(*await ask(live, piece.lane, piece.inputs, in_turn))
    except Exception as error:
        return Said(error)


def _finish(live: Live, piece: Piece, said: Said, alone: bool) -> Iterator[Part]:
    """From what the model said to what its rows are answered."""
    if piece.lane == FALLBACK:
        yield fall_back(live, piece.index, piece.inputs, piece.why)
        return
    if isinstance(said.outputs, Exception):
        yield _excused(live, piece, said.outputs, alone)
        return
    decision = live.decide.evaluate({"inputs": piece.inputs, "outputs": said.outputs}) if live.decide else None
    part = Part(piece.lane, piece.index, piece.inputs, said.outputs, decision, piece.why, None)
    if live.rules:
        yield from hold_rules(live, part)
    else:
        yield part


def _excused(live: Live, piece: Piece, error: Exception, alone: bool) -> Part:
    """The fallback in place of a model that failed, or its failure where there is none."""
    failed = not isinstance(error, NotReady)
    said = str(error).removeprefix("the model failed: ")
    if live.has_fallback and (alone or not failed):
        why = f"fallback: the model failed: {said}" if failed else f"fallback: {error}"
        return fall_back(live, piece.index, piece.inputs, why[:_WHY_MAX])
    if failed:
        raise ModelFailed(f"the model failed on these rows: {said}") from error
    raise error


def _book(parts: list[Part], piece: Piece, spent_ns: int) -> list[Part]:
    """What a piece cost, divided by rows."""
    asked = max(1, length(piece.inputs))
    for part in parts:
        part.cpu_ns = spent_ns * len(part) // asked
    return parts


def run(live: Live, lane: int, inputs: Rows) -> Rows:
    """The arm's model over these rows, here and now."""
    seat, fit = live.seats[lane], live.fits[lane]
    assert seat.here is not None  # noqa: S101 - whoever comes here has looked
    seat.used_s = time.monotonic()
    return fit.answered(seat.here(fit.asked(inputs)), length(inputs))


async def ask(live: Live, lane: int, inputs: Rows, in_turn: bool, late: bool = False) -> tuple[Rows, int]:
    """The arm's model over these rows, wherever it is; and the CPU time it took there."""
    seat, fit = live.seats[lane], live.fits[lane]
    if in_turn:
        async with seat.slots.turn(late):
            found, cpu_ns = await seat.ask(fit.asked(inputs))
    else:
        found, cpu_ns = await seat.ask(fit.asked(inputs))
    return fit.answered(found, length(inputs)), cpu_ns


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
    part = _watched(live, lane, inputs, run(live, lane, inputs))
    part.cpu_ns = time.thread_time_ns() - started
    return part


async def watch_away(live: Live, lane: int, inputs: Rows) -> Part:
    """The same where the model computes elsewhere, or is cold; answers go first."""
    outputs, cpu_ns = await ask(live, lane, inputs, in_turn=True, late=True)
    started = time.thread_time_ns()
    part = _watched(live, lane, inputs, outputs)
    part.cpu_ns = cpu_ns + time.thread_time_ns() - started
    return part


def _watched(live: Live, lane: int, inputs: Rows, outputs: Rows) -> Part:
    decision = live.decide.evaluate({"inputs": inputs, "outputs": outputs}) if live.decide else None
    return Part(lane, None, inputs, outputs, decision, "shadow", None)
