"""Arms that only watch: asked after the answer has left, recorded as shadows, never in anybody's way."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from payoff.journal.writer import Writer
from payoff.records import concat, length, take
from payoff.serving.answer import watch, watch_away
from payoff.serving.live import Live
from payoff.serving.meter import Meter
from payoff.serving.part import Part, Rows
from payoff.serving.record import Stamp, note

AWAY_SHARE = 4  # one watcher that is elsewhere may take a quarter of the room
BYTES_MAX = 16 << 20  # that wait here: rows may be wide
REPLACED_S_MAX = 1.0  # that batches of a revision which is no more may wait
_TEXT_BYTES = 64  # of one text, with what Python needs for it


@dataclass(slots=True)
class Counters:
    """What the desk did, since the worker started, in rows."""

    answered: int = 0
    refused: int = 0
    failed: int = 0
    late: int = 0  # of those that failed: calls whose time was over before their turn
    abandoned: int = 0  # and calls whose callers had gone
    cache_hits: int = 0  # rows that were answered without asking a model
    cache_misses: int = 0
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
    held_bytes: int = 0  # while it waits here


@dataclass(slots=True)
class View:
    """The rows of an answered batch that one watcher is to see; `index` None: all."""

    seen: Seen
    index: NDArray[np.intp] | None

    def __len__(self) -> int:
        return len(self.seen.high) if self.index is None else len(self.index)

    def rows(self) -> Rows:
        return self.seen.rows if self.index is None else take(self.seen.rows, self.index)


@dataclass(slots=True)
class Away:
    """What waits for one watcher that computes elsewhere."""

    views: deque[View] = field(default_factory=deque)
    rows: int = 0  # that wait, or are with the model
    held_bytes: int = 0  # of those that wait

    def add(self, view: View) -> None:
        """At the end."""
        self.rows += len(view)
        self.held_bytes += view.seen.held_bytes
        self.views.append(view)

    def take(self, rows_max: int) -> list[View]:
        """The views at the head that fit one model call."""
        views = [self._next()]
        room = rows_max - len(views[0])
        while self.views and len(self.views[0]) <= room:
            views.append(self._next())
            room -= len(views[-1])
        return views

    def _next(self) -> View:
        view = self.views.popleft()
        self.held_bytes -= view.seen.held_bytes
        return view

    def drop(self, late: Callable[[Seen], bool]) -> int:
        """Leave out what waits of such batches; gives how many rows that are."""
        gone = [view for view in self.views if late(view.seen)]
        self.views = deque(view for view in self.views if not late(view.seen))
        self.held_bytes -= sum(view.seen.held_bytes for view in gone)
        rows = sum(map(len, gone))
        self.rows -= rows
        return rows


class Watching:
    """Batches that watchers have yet to see; more than the limit are left out and counted.

    Watchers whose models are here see them one batch in a turn of the loop. Each that is elsewhere has a queue of its
    own, with a part of the room, so that one that hangs keeps nothing from the others.
    """

    def __init__(
        self, writer: Writer, counters: Counters, waiting_rows_max: int, rows_max: int, meter: Meter | None = None
    ) -> None:
        self._meter = meter
        self._writer = writer
        self._counters = counters
        self._waiting_rows_max = waiting_rows_max
        self._rows_max = rows_max
        self._seen: deque[Seen] = deque()
        self._rows = self._bytes = 0
        self._away: dict[tuple[Live, int], Away] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def due(self) -> bool:
        """Whether there is something to do in a turn of the loop."""
        return bool(self._seen)

    @property
    def waits(self) -> bool:
        """Whether there is anything to do at all."""
        return bool(self._seen or self._away)

    def lives(self) -> set[Live]:
        """The live revisions that somebody is to watch still."""
        return {seen.live for seen in self._seen} | {live for live, _ in self._away}

    def add(self, seen: Seen) -> None:
        """Remember a batch for the endpoint's watchers, if it has any and there is room."""
        if not seen.live.watchers:
            return
        count, seen.held_bytes = length(seen.rows), _weight(seen)
        full = self._seen and self._bytes + seen.held_bytes > BYTES_MAX
        if full or self._rows + count > self._waiting_rows_max:
            self._counters.shadow_dropped += count
            return
        self._rows += count
        self._bytes += seen.held_bytes
        self._seen.append(seen)

    def let_go(self, lives: Collection[Live], now_us: int) -> None:
        """Leave out what waits for long on a revision that is none of these: while calls never cease it would wait on,
        and keep the revision and its models."""

        def late(seen: Seen) -> bool:
            return seen.live not in lives and now_us - seen.at_us > REPLACED_S_MAX * 1e6

        gone = [seen for seen in self._seen if late(seen)]
        self._seen = deque(seen for seen in self._seen if not late(seen))
        self._counters.shadow_dropped += sum(map(self._take, gone))
        for queue in self._away.values():
            self._counters.shadow_dropped += queue.drop(late)

    def one(self) -> None:
        """Show the oldest batch to its watchers. What fails here is counted; nobody waits for it."""
        seen = self._seen.popleft()
        count = self._take(seen)
        try:
            for lane, others_only in seen.live.watchers:
                index = _others(seen.parts, lane, count) if others_only else None
                if index is not None and not len(index):
                    continue
                view = View(seen, index)
                if seen.live.seats[lane].here is None:
                    self._send(seen.live, lane, view)
                else:
                    self._note(view, lane, watch(seen.live, lane, view.rows()))
            self._writer.flush()
        except Exception:
            self._counters.shadow_failed += count

    def _take(self, seen: Seen) -> int:
        """A batch waits no more; how many rows it has."""
        count = length(seen.rows)
        self._rows -= count
        self._bytes -= seen.held_bytes
        return count

    def _note(self, view: View, lane: int, part: Part) -> None:
        seen = view.seen
        part.index = view.index
        stamp = Stamp(seen.high, seen.low, seen.at_us, 0)
        note(self._writer, seen.live, part, stamp, shadow=True)
        self._counters.shadowed += len(part)
        if self._meter is not None:
            self._meter.watched(seen.live, lane, len(part), part.cpu_ns)

    # -- watchers that compute elsewhere

    def _send(self, live: Live, lane: int, view: View) -> None:
        """Into the queue of a watcher, whose task shows it when the model has time."""
        queue = self._away.get((live, lane))
        if queue is None:
            queue = self._away[live, lane] = Away()
            task = asyncio.get_running_loop().create_task(self._show(live, lane, queue))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        full = queue.views and queue.held_bytes + view.seen.held_bytes > BYTES_MAX // AWAY_SHARE
        if full or queue.rows + len(view) > self._waiting_rows_max // AWAY_SHARE:
            self._counters.shadow_dropped += len(view)
        else:
            queue.add(view)

    async def _show(self, live: Live, lane: int, queue: Away) -> None:
        while queue.views:
            views = queue.take(self._rows_max)
            try:
                part = await watch_away(live, lane, concat([view.rows() for view in views]))
                self._note_each(views, lane, part)
            except Exception:
                self._counters.shadow_failed += sum(map(len, views))
            queue.rows -= sum(map(len, views))
        del self._away[live, lane]

    def _note_each(self, views: list[View], lane: int, part: Part) -> None:
        start = 0
        for view in views:
            rows = slice(start, start + len(view))
            own = Part(
                lane=lane,
                index=None,
                inputs=take(part.inputs, rows),
                outputs=take(part.outputs, rows),
                decision=None if part.decision is None else part.decision.take(rows),
                why=part.why,
                violations=None,
                cpu_ns=part.cpu_ns * len(view) // max(1, len(part)),
            )
            self._note(view, lane, own)
            start += len(view)
        self._writer.flush()


def _weight(seen: Seen) -> int:
    """About how many bytes a batch takes."""
    columns = [*seen.rows.values(), *(column for part in seen.parts for column in part.outputs.values())]
    texts = sum(column.values.size for column in columns if column.values.dtype == object)
    return sum(column.values.nbytes for column in columns) + _TEXT_BYTES * texts


def _others(parts: list[Part], lane: int, count: int) -> NDArray[np.intp]:
    """The places of the rows that this lane did not answer itself."""
    theirs = np.ones(count, bool)
    for part in parts:
        if part.lane == lane:
            theirs[slice(None) if part.index is None else part.index] = False
    return np.flatnonzero(theirs)
