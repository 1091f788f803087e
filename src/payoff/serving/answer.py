"""The walk of a call: route the rows, run the arms, decide, hold the rules, and say why.

Rows come in as one table, however many callers they belong to; they go out as parts, one for each arm that answered,
with the places their rows had in the table. There are two walks, one for models that compute here and one for those
that compute elsewhere; they share all but the waiting.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.errors import ModelFailed
from payoff.records import length, take
from payoff.routing import FALLBACK
from payoff.serving.explore import explored
from payoff.serving.live import Live
from payoff.serving.part import Part, Piece, Rows, fall_back
from payoff.serving.rules import hold_rules
from payoff.serving.seat import NotReady

_WHY_MAX = 300


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said to a piece: its outputs, or why there are none; and what that cost elsewhere."""

    outputs: Rows | Exception
    cpu_ns: int = 0


_NOBODY = Said({})  # what the fallback is asked


def answer(
    live: Live, rows: Rows, points: NDArray[np.float64] | None, alone: bool, chance: np.random.Generator
) -> list[Part]:
    """Every row answered once, by its arm or by the fallback. `points` in [0, 1) place each row in the split.

    For rows that are not `alone`, of several callers, a model's failure is raised: asked again call by call, only
    those get the fallback that the model fails on. `chance` draws the rows that are decided at random, if any are.
    """
    if live.plain:
        return [_plain(live, rows, alone)]
    parts = []
    for piece in _pieces(live, rows, points):
        started = time.thread_time_ns()
        found = list(_finish(live, piece, _run(live, piece), alone, chance))
        parts += _book(found, piece, time.thread_time_ns() - started)
    return parts


def _plain(live: Live, rows: Rows, alone: bool) -> Part:
    """Rows that all go to one model, without rules or exploring: as most do, and with the least around the model."""
    started = time.thread_time_ns()
    lane, why = live.split.lanes[0], live.split.whys[0]
    try:
        outputs = run(live, lane, rows)
    except Exception as error:
        part = _excused(live, Piece(0, lane, why, None, rows), error, alone)
    else:
        decision = live.decide.evaluate({"inputs": rows, "outputs": outputs}) if live.decide else None
        part = Part(lane, None, rows, outputs, decision, why, None)
    part.cpu_ns = time.thread_time_ns() - started
    return part


async def answer_away(
    live: Live, rows: Rows, points: NDArray[np.float64] | None, alone: bool, chance: np.random.Generator, in_turn: bool
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
        found = list(_finish(live, piece, one, alone, chance))
        parts += _book(found, piece, one.cpu_ns + time.thread_time_ns() - started)
    return parts


def _pieces(live: Live, rows: Rows, points: NDArray[np.float64] | None) -> list[Piece]:
    pieces = _ways(live, rows, points)
    return [part for piece in pieces for part in _looked_up(live, piece)] if live.caches else pieces


def _ways(live: Live, rows: Rows, points: NDArray[np.float64] | None) -> list[Piece]:
    lanes, whys = live.split.lanes, live.split.whys
    if live.split.single or points is None or not len(points):
        return [Piece(0, lanes[0], whys[0], None, rows)]
    picked = live.split.pick(points)
    places = [(int(way), np.flatnonzero(picked == way)) for way in np.unique(picked)]
    return [Piece(way, lanes[way], whys[way], index, take(rows, index)) for way, index in places]


def _looked_up(live: Live, piece: Piece) -> list[Piece]:
    """The rows whose answers are known, and those whose are not."""
    if piece.lane == FALLBACK:
        return [piece]
    found = live.caches[piece.lane].find(piece.inputs)
    if not len(found.hits):
        piece.missed = found
        return [piece]
    hits = piece.pick(found.hits)
    hits.known, hits.why = found.outputs, f"{piece.why}, from the cache"
    if not len(found.misses):
        return [hits]
    misses = piece.pick(found.misses)
    misses.missed = found
    return [hits, misses]


def _keep(live: Live, piece: Piece, said: Said) -> Said:
    """What a model said, kept for equal rows."""
    if piece.missed is not None and not isinstance(said.outputs, Exception):
        live.caches[piece.lane].keep(piece.missed, said.outputs)
    return said


def _run(live: Live, piece: Piece) -> Said:
    """Here and now."""
    if piece.lane == FALLBACK:
        return _NOBODY
    if piece.known is not None:
        return Said(piece.known)
    try:
        return _keep(live, piece, Said(run(live, piece.lane, piece.inputs)))
    except Exception as error:
        return Said(error)


async def _ask(live: Live, piece: Piece, in_turn: bool) -> Said:
    """Wherever the model is."""
    if piece.lane == FALLBACK:
        return _NOBODY
    if piece.known is not None:
        return Said(piece.known)
    try:
        return _keep(live, piece, Said(*await ask(live, piece.lane, piece.inputs, in_turn)))
    except Exception as error:
        return Said(error)


def _finish(live: Live, piece: Piece, said: Said, alone: bool, chance: np.random.Generator) -> Iterator[Part]:
    """From what the model said to what its rows are answered."""
    if piece.lane == FALLBACK:
        yield fall_back(live, piece, piece.why, live.split.choices[piece.way])
        return
    if isinstance(said.outputs, Exception):
        yield _excused(live, piece, said.outputs, alone)
        return
    decision = live.decide.evaluate({"inputs": piece.inputs, "outputs": said.outputs}) if live.decide else None
    part = Part(piece.lane, piece.index, piece.inputs, said.outputs, decision, piece.why, None, way=piece.way)
    part.cached = piece.known is not None
    if live.explore is None and not live.rules:  # the usual case costs nothing
        yield part
        return
    for each in explored(live, part, live.explore, chance.random(len(part))) if live.explore else (part,):
        yield from hold_rules(live, each)


def _excused(live: Live, piece: Piece, error: Exception, alone: bool) -> Part:
    """The fallback in place of a model that failed, or its failure where there is none."""
    failed = not isinstance(error, NotReady)
    said = str(error).removeprefix("the model failed: ")
    if live.has_fallback and (alone or not failed):
        why = f"fallback: the model failed: {said}" if failed else f"fallback: {error}"
        return fall_back(live, piece, why[:_WHY_MAX], "failed")
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
