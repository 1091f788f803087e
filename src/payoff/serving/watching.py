"""Arms that only watch: asked after the answer has left, recorded as shadows, never in anybody's way."""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.journal.writer import Writer
from payoff.records import length, take
from payoff.serving.answer import Part, Rows, watch
from payoff.serving.live import Live
from payoff.serving.record import Stamp, note


@dataclass(slots=True)
class Counters:
    """What the desk did, since the worker started, in rows."""

    answered: int = 0
    refused: int = 0
    failed: int = 0
    shadowed: int = 0
    shadow_dropped: int = 0
    shadow_failed: int = 0

    def as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Seen:
    """A batch that has been answered, and by whom."""

    live: Live
    rows: Rows
    parts: list[Part]
    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    at_us: int


class Watching:
    """Batches that watchers have yet to see; more than the limit are left out and counted."""

    def __init__(self, writer: Writer, counters: Counters, rows_max: int) -> None:
        self._writer = writer
        self._counters = counters
        self._rows_max = rows_max
        self._seen: deque[Seen] = deque()
        self._rows = 0

    @property
    def waits(self) -> bool:
        return bool(self._seen)

    def add(self, seen: Seen) -> None:
        """Remember a batch for the endpoint's watchers, if it has any and there is room."""
        if not seen.live.watchers:
            return
        count = length(seen.rows)
        if self._rows + count > self._rows_max:
            self._counters.shadow_dropped += count
            return
        self._rows += count
        self._seen.append(seen)

    def one(self) -> None:
        """Show the oldest batch to its watchers. What fails here is counted; nobody waits for it."""
        seen = self._seen.popleft()
        count = length(seen.rows)
        self._rows -= count
        try:
            for lane, others_only in seen.live.watchers:
                self._show(seen, lane, _others(seen.parts, lane, count) if others_only else None)
            self._writer.flush()
        except Exception:
            self._counters.shadow_failed += count

    def _show(self, seen: Seen, lane: int, index: NDArray[np.intp] | None) -> None:
        if index is not None and not len(index):
            return
        part = watch(seen.live, lane, seen.rows if index is None else take(seen.rows, index))
        part.index = index
        stamp = Stamp(seen.high, seen.low, seen.at_us, np.zeros(len(seen.high), np.int64))
        note(self._writer, seen.live, part, stamp, shadow=True)
        self._counters.shadowed += len(part)


def _others(parts: list[Part], lane: int, count: int) -> NDArray[np.intp]:
    """The places of the rows that this lane did not answer itself."""
    theirs = np.ones(count, bool)
    for part in parts:
        if part.lane == lane:
            theirs[slice(None) if part.index is None else part.index] = False
    return np.flatnonzero(theirs)
