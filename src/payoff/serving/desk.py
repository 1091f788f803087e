"""The desk: calls come in from any door, those of one turn of the event loop share one model call, and every row is in
the journal before its caller hears of it.

One owner (the worker's event loop), so no locks. Nothing waits for company: a lone call runs at once, and company comes
by itself under load. Calls of more rows than fit one model call are cut and joined again, and let smaller ones pass.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from payoff.clock import now_us
from payoff.errors import Busy, NotFound
from payoff.journal.ids import Ids, text
from payoff.journal.writer import Writer
from payoff.records import concat, length, take
from payoff.routing import points
from payoff.serving.answer import Rows, answer
from payoff.serving.live import Live
from payoff.serving.record import Stamp, note
from payoff.serving.reply import Answered, assemble, join
from payoff.serving.watching import Counters, Seen, Watching

Done = Callable[[Answered | Exception], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, and how much runs at once."""

    rows_max: int = 2_048  # of one model call
    waiting_rows_max: int = 4_000_000
    shadow_rows_max: int = 50_000  # rows that wait for arms which only watch; more are left out and counted


@dataclass(slots=True)
class Call:
    """Rows of one caller for one endpoint, as it was when they came."""

    live: Live
    rows: Rows
    done: Done
    arrived_us: int
    count: int = field(init=False)

    def __post_init__(self) -> None:
        self.count = length(self.rows)


class Desk:
    """Answers calls on the live endpoints of one worker."""

    def __init__(self, writer: Writer, ids: Ids, limits: Limits = Limits()) -> None:
        self.lives: dict[str, Live] = {}
        self.counters = Counters()
        self.limits = limits
        self._writer = writer
        self._ids = ids
        self._calls: deque[Call] = deque()
        self._bulk: deque[Call] = deque()
        self._waiting_rows = 0
        self._scheduled = False
        self._watching = Watching(writer, self.counters, limits.shadow_rows_max)
        self._random = np.random.default_rng()
        self._loop = asyncio.get_running_loop()

    def find(self, endpoint: str) -> Live:
        """The endpoint as it is now, or NotFound with the ones there are."""
        live = self.lives.get(endpoint)
        if live is None:
            names = ", ".join(sorted(self.lives)[:10]) or "none yet: `payoff deploy PATH` makes one"
            raise NotFound(f"no endpoint called {endpoint[:80]!r}; there are: {names}")
        return live

    def submit(self, live: Live, rows: Rows, done: Done) -> None:
        """Take a call; `done` hears its answer, or what went wrong, once and soon."""
        count = length(rows)
        if self._waiting_rows + count > self.limits.waiting_rows_max:
            self.counters.refused += 1
            raise Busy(f"{self._waiting_rows:,} rows are waiting; the limit is {self.limits.waiting_rows_max:,}")
        self._waiting_rows += count
        if count > self.limits.rows_max:
            self._bulk.extend(_cut(live, rows, done, self.limits.rows_max))
        else:
            self._calls.append(Call(live, rows, done, now_us()))
        self._schedule()

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer or a record."""
        return not (self._calls or self._bulk or self._watching.waits)

    # -- one turn of the loop

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        batch = self._next_batch()
        if batch:
            self._waiting_rows -= sum(call.count for call in batch)
            self._serve(batch)
        elif self._watching.waits:
            self._watching.one()
        if self._calls or self._bulk or self._watching.waits:
            self._schedule()

    def _next_batch(self) -> list[Call]:
        """The calls at the head of the queue that go to one endpoint and fit one model call."""
        if not self._calls:
            return [self._bulk.popleft()] if self._bulk else []
        first = self._calls.popleft()
        batch, room = [first], self.limits.rows_max - first.count
        while self._calls and self._calls[0].live is first.live and self._calls[0].count <= room:
            batch.append(self._calls.popleft())
            room -= batch[-1].count
        return batch

    def _serve(self, batch: list[Call]) -> None:
        try:
            answers = self._answer(batch)
        except Exception as error:
            self._fail(batch, error)
            return
        self.counters.answered += sum(call.count for call in batch)
        for call, answered in zip(batch, answers, strict=True):
            call.done(answered)

    def _fail(self, batch: list[Call], error: Exception) -> None:
        """One caller's rows must not cost another's: a failed batch is tried again call by call."""
        if len(batch) > 1:
            for call in batch:
                self._serve([call])
            return
        self.counters.failed += 1
        batch[0].done(error)

    def _answer(self, batch: list[Call]) -> list[Answered]:
        live = batch[0].live
        rows = concat([call.rows for call in batch])
        count = length(rows)
        parts = answer(live, rows, self._points(live, rows, count))
        high, low = self._ids.take(count)
        at_us = now_us()
        stamp = Stamp(high, low, at_us, _latency_us(batch, at_us))
        for part in parts:
            note(self._writer, live, part, stamp)
        self._writer.flush()
        ids = text(high, low)
        self._watching.add(Seen(live, rows, parts, high, low, at_us))
        whole = assemble(live, parts, ids)
        if len(batch) == 1:
            return [whole]
        ends = np.cumsum([call.count for call in batch])
        return [whole.slice(int(end) - call.count, int(end)) for call, end in zip(batch, ends, strict=True)]

    def _points(self, live: Live, rows: Rows, count: int) -> NDArray[np.float64] | None:
        if live.split.single:
            return None
        key = live.revision.policy.route_by
        return points(live.name, rows[key].values.tolist()) if key else self._random.random(count)


def _latency_us(batch: list[Call], at_us: int) -> NDArray[np.int64]:
    """For each row how long ago its call arrived."""
    ages = np.array([at_us - call.arrived_us for call in batch], np.int64)
    return ages if len(batch) == batch[-1].count == 1 else ages.repeat([call.count for call in batch])


def _cut(live: Live, rows: Rows, done: Done, rows_max: int) -> list[Call]:
    """Many rows as several calls whose answers come back joined, or as the first thing that went wrong."""
    count, arrived_us = length(rows), now_us()
    starts = range(0, count, rows_max)
    pieces: list[Answered] = []
    failed = False

    def collect(piece: Answered | Exception) -> None:
        nonlocal failed
        if failed:
            return
        if isinstance(piece, Exception):
            failed = True
            done(piece)
            return
        pieces.append(piece)
        if len(pieces) == len(starts):
            done(join(pieces))

    return [Call(live, take(rows, slice(start, start + rows_max)), collect, arrived_us) for start in starts]
