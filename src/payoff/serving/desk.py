"""The desk: calls come in from any door, those of one turn of the event loop share one model call, and every row is in
the journal before its caller hears of it.

One owner (the worker's event loop), so no locks. Nothing waits for company: a lone call runs at once, and company comes
by itself under load. Calls of more rows than fit one model call are answered piece by piece, and let smaller ones pass.
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
from payoff.serving.answer import Part, Rows, answer
from payoff.serving.live import Live
from payoff.serving.record import Stamp, note
from payoff.serving.reply import Answered, assemble
from payoff.serving.watching import Counters, Seen, Watching

Done = Callable[[Answered | Exception], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, and how much runs at once."""

    rows_max: int = 2_048  # of one model call
    waiting_rows_max: int = 4_000_000
    shadow_rows_max: int = 200_000  # rows that wait for arms which only watch; more are left out and counted


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


@dataclass(slots=True)
class Bulk:
    """A call of more rows than fit one model call, as far as it was answered."""

    call: Call
    parts: list[Part] = field(default_factory=list)
    through: int = 0

    @property
    def whole(self) -> bool:
        return self.through == self.call.count

    def next_rows(self, rows_max: int) -> Rows:
        """The rows that come next."""
        return take(self.call.rows, slice(self.through, self.through + rows_max))

    def add(self, parts: list[Part], count: int) -> None:
        """What was answered to them, with their places in the whole call."""
        for part in parts:
            places = np.arange(count) if part.index is None else part.index
            part.index = places + self.through
        self.parts += parts
        self.through += count


class Desk:
    """Answers calls on the live endpoints of one worker."""

    def __init__(self, writer: Writer, ids: Ids, limits: Limits = Limits()) -> None:
        self.lives: dict[str, Live] = {}
        self.counters = Counters()
        self.limits = limits
        self._writer = writer
        self._ids = ids
        self._calls: deque[Call] = deque()
        self._bulk: deque[Bulk] = deque()
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
        call = Call(live, rows, done, now_us())
        if count > self.limits.rows_max:
            self._bulk.append(Bulk(call))
        else:
            self._calls.append(call)
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
        if self._calls:
            self._serve(self._next_batch())
        elif self._bulk:
            self._serve_piece(self._bulk[0])
        elif self._watching.waits:
            self._watching.one()
        if self._calls or self._bulk or self._watching.waits:
            self._schedule()

    def _next_batch(self) -> list[Call]:
        """The calls at the head of the queue that go to one endpoint and fit one model call."""
        first = self._calls.popleft()
        batch, room = [first], self.limits.rows_max - first.count
        while self._calls and self._calls[0].live is first.live and self._calls[0].count <= room:
            batch.append(self._calls.popleft())
            room -= batch[-1].count
        return batch

    def _serve(self, batch: list[Call]) -> None:
        try:
            rows = concat([call.rows for call in batch])
            live = batch[0].live
            parts = answer(live, rows, self._points(live, rows))
            answers = self._record(batch, rows, parts)
        except Exception as error:
            self._fail(batch, error)
            return
        self._tell(batch, answers)

    def _serve_piece(self, bulk: "Bulk") -> None:
        """The next rows of a large call; it is recorded and answered as a whole, when its last rows are through."""
        live = bulk.call.live
        try:
            rows = bulk.next_rows(self.limits.rows_max)
            bulk.add(answer(live, rows, self._points(live, rows)), length(rows))
            if not bulk.whole:
                return
            answers = self._record([bulk.call], bulk.call.rows, bulk.parts)
        except Exception as error:
            self._bulk.popleft()
            self._fail([bulk.call], error)
            return
        self._bulk.popleft()
        self._tell([bulk.call], answers)

    def _tell(self, batch: list[Call], answers: list[Answered]) -> None:
        for call, answered in zip(batch, answers, strict=True):
            self._waiting_rows -= call.count
            self.counters.answered += call.count
            call.done(answered)

    def _fail(self, batch: list[Call], error: Exception) -> None:
        """One caller's rows must not cost another's: a failed batch is tried again call by call."""
        if len(batch) > 1:
            for call in batch:
                self._serve([call])
            return
        self._waiting_rows -= batch[0].count
        self.counters.failed += 1
        batch[0].done(error)

    def _record(self, batch: list[Call], rows: Rows, parts: list[Part]) -> list[Answered]:
        """Into the journal, all or nothing; only then there is something to tell."""
        live = batch[0].live
        high, low = self._ids.take(length(rows))
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

    def _points(self, live: Live, rows: Rows) -> NDArray[np.float64] | None:
        if live.split.single:
            return None
        key = live.revision.policy.route_by
        return points(live.name, rows[key].values.tolist()) if key else self._random.random(length(rows))


def _latency_us(batch: list[Call], at_us: int) -> NDArray[np.int64]:
    """For each row how long ago its call arrived."""
    ages = np.array([at_us - call.arrived_us for call in batch], np.int64)
    return ages if len(batch) == batch[-1].count == 1 else ages.repeat([call.count for call in batch])
