"""The desk: calls come in from any door, those of one turn of the event loop share one model call, and every row is in
the journal before its caller hears of it.

One owner (the worker's event loop), so no locks. Nothing waits for company: a lone call runs at once, and company comes
by itself under load. Calls of more rows than fit one model call are answered piece by piece, and let smaller ones pass.
Where a model computes elsewhere, or is cold, calls wait for it in a line (see `away`) and the loop goes on.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import numpy as np

from payoff.clock import now_us
from payoff.errors import NotFound
from payoff.journal.ids import Ids
from payoff.journal.writer import Writer
from payoff.records import length
from payoff.serving.admission import Admission, Limits
from payoff.serving.answer import answer
from payoff.serving.away import Away
from payoff.serving.ending import Ending
from payoff.serving.form import IN_HAND, Caller, Form, Told, read
from payoff.serving.line import Bulk, Call, Done, Points, Rate, keep_points, known_points, stand, together
from payoff.serving.live import Live
from payoff.serving.meter import Meter
from payoff.serving.onlookers import Onlooker
from payoff.serving.part import Rows
from payoff.serving.seat import Seat
from payoff.serving.stopwatch import Lap
from payoff.serving.watching import Counters, Watching

_MANY_ROWS = 8_192  # that wait: from there on it is looked at whether they are too many, or too old
_COMPANY_TURNS = 64
_GATHER_US_MAX = 500  # that the first call of a turn waits while others come


class Desk:
    """Answers calls on the live endpoints of one worker."""

    def __init__(
        self, writer: Writer, ids: Ids, limits: Limits | None = None, chance: np.random.Generator | None = None,
        meter: Meter | None = None,
    ) -> None:  # fmt: skip
        self.lives: dict[str, Live] = {}
        self.asleep: dict[str, Callable[[], Live]] = {}  # endpoints that become live when they are asked
        self.forgetting: list[Callable[[Live], None]] = []  # who remembers revisions, until they are replaced
        self.counters = Counters()
        self.limits = limits = limits or Limits()
        self._calls: deque[Call] = deque()
        self._bulk: deque[Bulk] = deque()
        self._look_rows = min(_MANY_ROWS, limits.waiting_rows_max)
        self._bulk_next = False
        self._rate = Rate()
        self._scheduled = False
        self._seen = 0  # calls, at the last look before a turn
        self._company = 0  # turns for which it is remembered that one had several calls
        self._came_us = 0  # when the first call of the coming turn came, or the turn before it was over
        self._chance = np.random.default_rng() if chance is None else chance
        self._watching = Watching(writer, self.counters, limits.shadow_rows_max, limits.rows_max, meter)
        self._ending = Ending(writer, ids, self.counters, self._watching, meter)
        self._admission = Admission(limits, self.counters)
        self._away = Away(self._ending, self._admission, limits.rows_max, self._chance, self._schedule)
        self._loop = asyncio.get_running_loop()

    def find(self, endpoint: str) -> Live:
        """The endpoint as it is now, or NotFound with the ones there are."""
        live = self.lives.get(endpoint) or self.wake(endpoint)
        if live is None:
            names = ", ".join(self.names()[:10]) or "none yet: `payoff deploy PATH` makes one"
            raise NotFound(f"no endpoint called {endpoint[:80]!r}; there are: {names}")
        return live

    def wake(self, endpoint: str) -> Live | None:
        """Make an endpoint live that was asleep; None if it was not."""
        make = self.asleep.pop(endpoint, None)
        if make is not None:
            self.lives[endpoint] = make()
        return self.lives.get(endpoint)

    def replace(self, endpoint: str, live: Live | None) -> None:
        """The endpoint is this from now on, or is no more. What it was is kept by calls that have come, and nobody
        else."""
        replaced = self.lives.pop(endpoint, None)
        if live is not None:
            self.lives[endpoint] = live
        if replaced is not None:
            replaced.forms.clear()  # they point back at it, and would leave it to the garbage collector
            for forget in self.forgetting:
                forget(replaced)

    def let_go(self) -> None:
        """Leave out what has waited for long to be watched on revisions that were replaced."""
        self._watching.let_go({*self.lives.values()}, now_us())

    def names(self) -> list[str]:
        """Every endpoint that can be asked."""
        return sorted({*self.lives, *self.asleep})

    def submit(self, live: Live, rows: Rows, done: Done) -> None:
        """Take a call that has its columns in hand; `done` hears its answer, or what went wrong, once and soon."""
        self.take(live, IN_HAND, rows, length(rows), Told(done))

    def take(
        self, live: Live, form: Form, asked: Any, count: int, caller: Caller,
        *, priority: int = 0, deadline_us: int | None = None,
    ) -> None:  # fmt: skip
        """Take a call of `count` rows. Its caller hears the answer as the form writes it, or what went wrong, once.

        `priority` is 0 to PRIORITY_MAX. A call that has no turn before `deadline_us` (as `now_us` counts) is not run.
        """
        ending = self._ending
        if ending.waiting_rows + count > self._look_rows:
            self._admit(count)
        if not live.here:
            self._away.line_up(Call(live, form, asked, count, caller, now_us(), priority, deadline_us))
            ending.waiting_rows += count
            return
        if not self._scheduled:
            self._wait_for_turn()
        call = Call(live, form, asked, count, caller, self._came_us, priority, deadline_us)
        if count > 1 and count > live.rows_max(self.limits.rows_max):
            call.read()
            self._bulk.append(Bulk(call))
        elif priority:
            stand(self._calls, call)
        else:
            self._calls.append(call)
        ending.waiting_rows += count

    def turned_away(self, endpoint: str, form: str, error: Exception) -> None:
        """Count a call that a door did not bring as far as the desk, which counts the others."""
        if self.meter is not None:
            self.meter.failed(endpoint if endpoint in self.lives else "", form, error)

    @property
    def meter(self) -> Meter | None:
        """Who counts, if anybody does."""
        return self._ending.meter

    @property
    def onlookers(self) -> list[Onlooker]:
        """Who is told of every batch after its callers."""
        return self._ending.onlookers

    @property
    def waiting_rows(self) -> int:
        """Rows of calls that have no answer yet."""
        return self._ending.waiting_rows

    @property
    def waiting_calls(self) -> int:
        """Calls that wait for their turn."""
        return len(self._calls) + len(self._bulk) + self._away.waiting_calls

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer or a record."""
        return self._away.idle and not (self._calls or self._bulk or self._watching.waits)

    def in_use(self) -> set[Seat]:
        """The seats that somebody still waits for, also on revisions that have been replaced."""
        lives = {call.live for call in self._calls} | {bulk.call.live for bulk in self._bulk}
        lives |= self._away.lives() | self._watching.lives()
        return {seat for live in lives for seat in live.seats}

    def _admit(self, count: int) -> None:
        """Busy if too many rows wait, or the first call for too long."""
        waiting = self._ending.waiting_rows
        first = self._calls[0] if self._calls else None
        self._admission.to_desk(count, waiting, first, self._rate.wait_s(waiting))

    # -- one turn of the loop

    def _schedule(self) -> None:
        """See that what waits has a turn."""
        if not self._scheduled and (self._calls or self._bulk or self._watching.due):
            self._wait_for_turn()

    def _wait_for_turn(self) -> None:
        self._scheduled = True
        self._came_us = now_us()
        self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        if self._still_coming():
            self._loop.call_soon(self._turn)
            return
        self._scheduled = False
        if self._ending.waiting_rows > self._look_rows:
            self._serve_many()
        else:
            self._serve_next()
        self._schedule()

    def _still_coming(self) -> bool:
        """Whether calls came since the last look at the sockets. Then there is another look before they are served, so
        that many who are just sending share a turn; one who is alone, as those before were, is served at once."""
        waiting = len(self._calls)
        more = waiting > self._seen and (waiting > 1 or self._company)
        # Either way of now: a clock that is set back must not keep anybody waiting.
        if more and abs(now_us() - self._came_us) < _GATHER_US_MAX:
            self._seen = waiting
            return True
        self._seen, self._company = 0, _COMPANY_TURNS if waiting > 1 else max(0, self._company - 1)
        return False

    def _serve_many(self) -> None:
        """With many in the queue it is learned how fast it moves, for those who have to be refused."""
        waiting, began_s = self._ending.waiting_rows, time.perf_counter()
        self._serve_next()
        self._rate.note(waiting - self._ending.waiting_rows, time.perf_counter() - began_s)

    def _serve_next(self) -> None:
        self._bulk_next, bulk_now = not self._bulk_next, self._bulk and (self._bulk_next or not self._calls)
        if bulk_now:
            self._serve_bulk(self._bulk[0])
        elif self._calls:
            self._serve_calls(self._ending.wanted(together(self._calls, self.limits.rows_max)))
        elif self._watching.due:
            self._watching.one()

    def _serve_calls(self, batch: list[Call]) -> None:
        if not batch:
            return
        if batch[0].live.here:
            self._serve(batch)
        else:
            self._away.move(batch)

    def _serve_bulk(self, bulk: Bulk) -> None:
        if not self._ending.wanted([bulk.call]):
            self._bulk.popleft()
        elif bulk.call.live.here:
            self._serve_piece(bulk)
        else:
            self._bulk.popleft()
            self._away.move([bulk.call], bulk)

    def _serve(self, batch: list[Call]) -> None:
        lap = Lap()
        batch, rows = self._read(batch)
        if not batch:
            return
        lap.read_at = perf_counter_ns()
        live, points = batch[0].live, None
        try:
            if not live.plain:
                points = known_points(batch)
                points = live.places(rows, self._chance) if points is None else points
            parts = answer(live, rows, points, len(batch) == 1, self._chance)
            lap.ran_at = perf_counter_ns()
            whole = self._ending.record(batch, rows, parts)
        except Exception as error:
            self._again(batch, points, error)
            return
        self._ending.tell(batch, whole, parts, lap)

    def _read(self, batch: list[Call]) -> tuple[list[Call], Rows]:
        """The calls of a batch that can be read, and their rows; the others hear what is wrong with theirs."""
        try:
            return batch, read(batch)
        except Exception as error:
            if len(batch) == 1:
                self._ending.fail(batch, error)
                return [], {}
        readable = []
        for call in batch:
            try:
                call.read()
                readable.append(call)
            except Exception as error:
                self._ending.fail([call], error)
        return (readable, read(readable)) if readable else ([], {})

    def _serve_piece(self, bulk: Bulk) -> None:
        """The next rows of a large call; it is recorded and answered as a whole, when its last rows are through."""
        call, live = bulk.call, bulk.call.live
        try:
            rows, _ = bulk.next_rows(live.rows_max(self.limits.rows_max))
            bulk.add(answer(live, rows, live.places(rows, self._chance), True, self._chance), length(rows))
            if not bulk.whole:
                return
            bulk.lap.ran_at = perf_counter_ns()
            whole = self._ending.record([call], call.read(), bulk.parts)
        except Exception as error:
            self._bulk.popleft()
            self._ending.fail([call], error)
            return
        self._bulk.popleft()
        self._ending.tell([call], whole, bulk.parts, bulk.lap)

    def _again(self, batch: list[Call], points: Points, error: Exception) -> None:
        """One caller's rows must not cost another's: a failed batch is tried again call by call."""
        if len(batch) == 1:
            self._ending.fail(batch, error)
            return
        keep_points(batch, points)
        for call in batch:
            self._serve([call])
