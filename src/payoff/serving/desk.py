"""The desk: calls come in from any door, those of one turn of the event loop share one model call, and every row is in
the journal before its caller hears of it.

One owner (the worker's event loop), so no locks. Nothing waits for company: a lone call runs at once, and company comes
by itself under load. Calls of more rows than fit one model call are answered piece by piece, and let smaller ones pass.
Where a model computes elsewhere, or is cold, calls wait for it in a line (see `line`) and the loop goes on.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from payoff.clock import now_us
from payoff.errors import Abandoned, Busy, DeadlineExceeded, ModelFailed, NotFound, Unavailable
from payoff.journal.ids import Ids
from payoff.journal.writer import Writer
from payoff.records import length
from payoff.routing import FALLBACK, points
from payoff.serving.answer import answer, answer_away
from payoff.serving.form import IN_HAND, Caller, Form, Told, read, write
from payoff.serving.line import Bulk, Call, Done, Line, Points, Rate, keep_points, known_points, stand, together
from payoff.serving.live import Live
from payoff.serving.meter import Meter
from payoff.serving.onlookers import Onlooker
from payoff.serving.part import Part, Rows
from payoff.serving.record import Stamp, note
from payoff.serving.reply import Answered, assemble
from payoff.serving.seat import NotReady, Seat
from payoff.serving.stopwatch import Lap
from payoff.serving.watching import Counters, Seen, Watching

_MANY_ROWS = 8_192  # that wait: from there on it is looked at whether they are too many, or too old
_RETRY_S_MIN = 0.1
log = logging.getLogger("payoff.serving")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, and how much runs at once."""

    rows_max: int = 2_048  # of one model call
    waiting_rows_max: int = 4_000_000
    line_rows_max: int = 400_000  # of those, for the same models: one that hangs leaves room for the others
    shadow_rows_max: int = 200_000  # rows that wait for arms which only watch; more are left out and counted
    wait_s_max: float = 30.0  # while the first of a queue waits for longer, nobody may join it


class Desk:
    """Answers calls on the live endpoints of one worker."""

    def __init__(
        self, writer: Writer, ids: Ids, limits: Limits = Limits(), chance: np.random.Generator | None = None,
        meter: Meter | None = None,
    ) -> None:  # fmt: skip
        self.lives: dict[str, Live] = {}
        self.asleep: dict[str, Callable[[], Live]] = {}  # endpoints that become live when they are asked
        self.counters = Counters()
        self.meter = meter
        self.onlookers: list[Onlooker] = []
        self.limits = limits
        self._writer = writer
        self._ids = ids
        self._calls: deque[Call] = deque()
        self._bulk: deque[Bulk] = deque()
        self._lines: dict[tuple[Live, frozenset[int]], Line] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self._waiting_rows = 0
        self._look_rows = min(_MANY_ROWS, limits.waiting_rows_max)
        self._bulk_next = False
        self._rate = Rate()
        self._scheduled = False
        self._watching = Watching(writer, self.counters, limits.shadow_rows_max, limits.rows_max, meter)
        self._chance = np.random.default_rng() if chance is None else chance
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
        if self._waiting_rows + count > self._look_rows:
            self._admit(count)
        call = Call(live, form, asked, count, caller, now_us(), priority, deadline_us)
        if not live.here:
            self._line_up(call)
        elif count > 1 and count > live.rows_max(self.limits.rows_max):
            call.read()
            self._bulk.append(Bulk(call))
        else:
            stand(self._calls, call)
        self._waiting_rows += count
        if not self._scheduled:
            self._schedule()

    @property
    def waiting_rows(self) -> int:
        """Rows of calls that have no answer yet."""
        return self._waiting_rows

    @property
    def waiting_calls(self) -> int:
        """Calls that wait for their turn."""
        lines = sum(len(line.calls) + len(line.bulk) for line in self._lines.values())
        return len(self._calls) + len(self._bulk) + lines

    @property
    def idle(self) -> bool:
        """Whether nobody waits for an answer or a record."""
        return not (self._calls or self._bulk or self._lines or self._flights or self._watching.waits)

    def in_use(self) -> set[Seat]:
        """The seats that somebody still waits for, also on revisions that have been replaced."""
        lives = {call.live for call in self._calls} | {bulk.call.live for bulk in self._bulk}
        lives |= {line.live for line in self._lines.values()} | self._watching.lives()
        return {seat for live in lives for seat in live.seats}

    def _admit(self, count: int) -> None:
        """Busy if too many rows wait for models that are here, or the first of them waits for too long."""
        waiting, most = self._waiting_rows, self.limits.waiting_rows_max
        if waiting + count > most:
            self._refuse(f"{waiting:,} rows are waiting; the limit is {most:,}", self._rate.wait_s(waiting))
        if self._calls:
            self._refuse_age(self._calls[0], "", self._rate.wait_s(waiting))

    def _refuse_age(self, first: Call, where: str, wait_s: float) -> None:
        age_s = (now_us() - first.arrived_us) / 1e6
        if age_s > self.limits.wait_s_max:
            most = f"nobody may join while that is more than {self.limits.wait_s_max:g} s"
            self._refuse(f"the first call has waited {age_s:.0f} s{where}; {most}", wait_s)

    def _refuse(self, words: str, wait_s: float) -> NoReturn:
        """`wait_s` is how long what waits will take, as far as is known."""
        self.counters.refused += 1
        retry_s = min(max(wait_s, _RETRY_S_MIN), self.limits.wait_s_max)
        raise Busy(f"{words}; try again in {retry_s:.1f} s", retry_s)

    def _wanted(self, batch: list[Call]) -> list[Call]:
        """The calls of a batch that somebody still waits for; the others are not run."""
        for call in batch:
            if call.caller.gone or call.deadline_us is not None:
                break
        else:
            return batch  # the usual case
        now = now_us()
        wanted = []
        for call in batch:
            if call.caller.gone:
                self._drop_gone(call)
            elif call.deadline_us is not None and call.deadline_us <= now:
                self._drop_late(call)
            else:
                wanted.append(call)
        return wanted

    def _drop_gone(self, call: Call) -> None:
        self.counters.abandoned += 1
        self._fail([call], Abandoned("the caller has gone; nothing was done"))

    def _drop_late(self, call: Call) -> None:
        self.counters.late += 1
        waited_ms = (now_us() - call.arrived_us) / 1e3
        words = f"the call waited {waited_ms:,.0f} ms, and its time was over before its turn; nothing was done"
        self._fail([call], DeadlineExceeded(f"{words}; give it more time, or ask for less at once"))

    # -- models that are here: one turn of the loop

    def _schedule(self) -> None:
        if not self._scheduled and (self._calls or self._bulk or self._watching.due):
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self._waiting_rows > self._look_rows:
            self._serve_many()
        else:
            self._serve_next()
        self._schedule()

    def _serve_many(self) -> None:
        """With many in the queue it is learned how fast it moves, for those who have to be refused."""
        waiting, began_s = self._waiting_rows, time.perf_counter()
        self._serve_next()
        self._rate.note(waiting - self._waiting_rows, time.perf_counter() - began_s)

    def _serve_next(self) -> None:
        self._bulk_next, bulk_now = not self._bulk_next, self._bulk and (self._bulk_next or not self._calls)
        if bulk_now:
            self._serve_bulk_here(self._bulk[0])
        elif self._calls:
            self._serve_here(self._wanted(together(self._calls, self.limits.rows_max)))
        elif self._watching.due:
            self._watching.one()

    def _serve_here(self, batch: list[Call]) -> None:
        if not batch:
            return
        if batch[0].live.here:
            self._serve(batch)
        else:
            self._move(batch)

    def _serve_bulk_here(self, bulk: Bulk) -> None:
        if not self._wanted([bulk.call]):
            self._bulk.popleft()
        elif bulk.call.live.here:
            self._serve_piece(bulk)
        else:
            self._bulk.popleft()
            self._move([bulk.call], bulk)

    def _move(self, batch: list[Call], bulk: Bulk | None = None) -> None:
        """The model was let go of between the call and its turn: it has to wait after all."""
        for call in batch:
            try:
                self._line_up(call, bulk)
            except Busy as error:
                self._fail([call], error)

    def _serve(self, batch: list[Call]) -> None:
        lap = Lap()
        batch, rows = self._read(batch)
        if not batch:
            return
        lap.read_at = perf_counter_ns()
        live, points = batch[0].live, known_points(batch)
        try:
            points = self._points(live, rows) if points is None else points
            parts = answer(live, rows, points, len(batch) == 1, self._chance)
            lap.ran_at = perf_counter_ns()
            whole = self._record(batch, rows, parts)
        except Exception as error:
            self._fail_here(batch, points, error)
            return
        self._tell(batch, whole, parts, lap)

    def _read(self, batch: list[Call]) -> tuple[list[Call], Rows]:
        """The calls of a batch that can be read, and their rows; the others hear what is wrong with theirs."""
        try:
            return batch, read(batch)
        except Exception as error:
            if len(batch) == 1:
                self._fail(batch, error)
                return [], {}
        readable = []
        for call in batch:
            try:
                call.read()
                readable.append(call)
            except Exception as error:
                self._fail([call], error)
        return (readable, read(readable)) if readable else ([], {})

    def _serve_piece(self, bulk: Bulk) -> None:
        """The next rows of a large call; it is recorded and answered as a whole, when its last rows are through."""
        call, live = bulk.call, bulk.call.live
        try:
            rows, _ = bulk.next_rows(live.rows_max(self.limits.rows_max))
            bulk.add(answer(live, rows, self._points(live, rows), True, self._chance), length(rows))
            if not bulk.whole:
                return
            bulk.lap.ran_at = perf_counter_ns()
            whole = self._record([call], call.read(), bulk.parts)
        except Exception as error:
            self._bulk.popleft()
            self._fail([call], error)
            return
        self._bulk.popleft()
        self._tell([call], whole, bulk.parts, bulk.lap)

    def _fail_here(self, batch: list[Call], points: Points, error: Exception) -> None:
        """One caller's rows must not cost another's: a failed batch is tried again call by call."""
        if len(batch) == 1:
            self._fail(batch, error)
            return
        keep_points(batch, points)
        for call in batch:
            self._serve([call])

    # -- models that are elsewhere, or cold: lines, and batches in flight

    def _line_up(self, call: Call, bulk: Bulk | None = None) -> None:
        """To the end of the line for the models that its rows go to; Busy if that is full."""
        live = call.live
        call.points = None if live.split.single else self._points(live, call.read())
        ways = {0} if call.points is None else set(live.split.pick(call.points).tolist()) or {0}
        lanes = frozenset(live.split.lanes[way] for way in ways)
        line = self._lines.get((live, lanes)) or Line(live, lanes)
        self._admit_to(line, call.count)
        self._lines[live, lanes] = line
        if bulk is None and call.count > live.rows_max(self.limits.rows_max):
            bulk = Bulk(call)
        line.add(call, bulk)
        if call.deadline_us is not None:
            self._loop.call_later(max(0.0, (call.deadline_us - now_us()) / 1e6), self._expire, call)
        self._board(line)

    def _admit_to(self, line: Line, count: int) -> None:
        """Busy if a line is too long, or its first call waits for too long. Those who have gone make room."""
        most, where = self.limits.line_rows_max, f" for {line.live.name}"
        if line.rows + count > most:
            for call in line.waiting():
                if call.caller.gone and line.drop(call):
                    self._drop_gone(call)
        if line.rows + count > most:
            self._refuse(f"{line.rows:,} rows are waiting{where}; the limit is {most:,}", line.rate.wait_s(line.rows))
        if line.calls:
            self._refuse_age(line.calls[0], where, line.rate.wait_s(line.rows))

    def _expire(self, call: Call) -> None:
        """The time of a call is over: if it still waits, it need not wait to hear so."""
        if call.line is not None and call.line.drop(call):
            self._drop_late(call)

    def _board(self, line: Line) -> None:
        """See that somebody takes the next batch as soon as the model has room for it."""
        if line.waits and not line.boarding:
            line.boarding = True
            flight = self._loop.create_task(self._fly(line))
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)

    async def _fly(self, line: Line) -> None:
        """One batch of a line, to the model and back."""
        async with line.slots.turn():
            line.boarding = False
            batch = self._next(line)
            self._board(line)  # the batch after this one waits for its own turn
            lap, began_s = Lap(), time.perf_counter()
            rows, parts = await self._ask(line, batch, lap) if batch else ({}, [])
            line.rate.note(length(rows), (time.perf_counter() - began_s) / line.slots.most)
        if line.boarding:
            await asyncio.sleep(0)  # it goes to the model before this one is written down
        if not batch:
            pass
        elif isinstance(parts, Exception):
            self._turn_back(line, batch, parts)
        elif isinstance(batch, Bulk):
            self._land_piece(line, batch, rows, parts)
        else:
            self._land(line, batch, rows, parts, lap)
        self._board(line)
        if not (line.waits or line.rows) and self._lines.get((line.live, line.lanes)) is line:
            del self._lines[line.live, line.lanes]
        self._schedule()

    def _next(self, line: Line) -> list[Call] | Bulk:
        """The next batch of a line that somebody still waits for; empty if there is none."""
        if not line.waits:
            return []
        batch = line.take(self.limits.rows_max)
        if isinstance(batch, Bulk):
            return batch if self._wanted([batch.call]) else []
        return self._wanted(batch)

    async def _ask(self, line: Line, batch: list[Call] | Bulk, lap: Lap) -> tuple[Rows, list[Part] | Exception]:
        """The rows of a batch, and their answers or why there are none."""
        rows: Rows = {}
        alone = isinstance(batch, Bulk) or len(batch) == 1
        try:
            if isinstance(batch, Bulk):
                rows, points = batch.next_rows(line.live.rows_max(self.limits.rows_max))
            else:
                rows, points = read(batch), known_points(batch)
                lap.read_at = perf_counter_ns()
            return rows, await answer_away(line.live, rows, points, alone, self._chance, in_turn=not line.single)
        except Exception as error:
            return rows, error

    def _land(self, line: Line, batch: list[Call], rows: Rows, parts: list[Part], lap: Lap) -> None:
        lap.ran_at = perf_counter_ns()
        try:
            whole = self._record(batch, rows, parts)
        except Exception as error:
            self._turn_back(line, batch, error)
            return
        self._tell(batch, whole, parts, lap)

    def _land_piece(self, line: Line, bulk: Bulk, rows: Rows, parts: list[Part]) -> None:
        """The next rows of a large call are through: it goes on, or was the last and is recorded as a whole."""
        bulk.add(parts, length(rows))
        if bulk.whole:
            self._land(line, [bulk.call], bulk.call.read(), bulk.parts, bulk.lap)
        else:
            line.bulk.append(bulk)

    def _turn_back(self, line: Line, batch: list[Call] | Bulk, error: Exception) -> None:
        """One caller's rows must not cost another's: calls of a failed batch go again, each by itself.

        Not if it was nobody's rows: the model cannot be asked, or the journal not written.
        """
        calls = [batch.call] if isinstance(batch, Bulk) else batch
        if isinstance(error, NotReady):
            self._fail(calls, ModelFailed(str(error)))
        elif len(calls) == 1 or isinstance(error, Unavailable):
            self._fail(calls, error)
        else:
            line.again(calls)

    # -- the end of a call

    def _tell(self, batch: list[Call], whole: Answered, parts: list[Part], lap: Lap) -> None:
        lap.journaled_at = perf_counter_ns()
        amiss = 0
        answers = write(batch, whole)
        for call, said in zip(batch, answers, strict=True):
            if call.line is not None:
                call.line.rows -= call.count
            if isinstance(said, Exception):
                amiss += 1
                self._miss(call, said)
            _hear(call, said)
        rows = len(whole.ids)
        self._waiting_rows -= rows
        self.counters.answered += rows
        if len(batch) > amiss:
            lap.end()
            self._measure(batch, whole, parts, lap, amiss)

    def _miss(self, call: Call, error: Exception) -> None:
        if self.meter is not None:
            self.meter.failed(call.live.name, call.form.name, error)

    def _measure(self, batch: list[Call], whole: Answered, parts: list[Part], lap: Lap, amiss: int) -> None:
        """Count the batch and show it to who looks on; `amiss` of its answers could not be written."""
        try:
            if self.meter is not None:
                self.meter.batch(batch, len(whole.ids), parts, lap, amiss)
            for each in self.onlookers:
                each.saw(batch, whole, lap)
        except Exception:
            log.exception("a batch could not be counted or shown")

    def _fail(self, batch: list[Call], error: Exception) -> None:
        for call in batch:
            self._leave(call)
            self.counters.failed += 1
            self._miss(call, error)
            _hear(call, error)
        try:
            for each in self.onlookers:
                each.missed(batch, error, now_us())
        except Exception:
            log.exception("calls without an answer could not be shown")

    def _leave(self, call: Call) -> None:
        self._waiting_rows -= call.count
        if call.line is not None:
            call.line.rows -= call.count

    def _record(self, batch: list[Call], rows: Rows, parts: list[Part]) -> Answered:
        """Into the journal, all or nothing; only then there is something to tell."""
        live = batch[0].live
        high, low, ids = self._ids.draw(length(rows))
        at_us = now_us()
        stamp = Stamp(high, low, at_us, _latency_us(batch, at_us))
        for part in parts:
            note(self._writer, live, part, stamp)
        self._writer.flush()
        if live.caches:
            self._count_cached(parts)
        if live.watchers:
            self._watching.add(Seen(live, rows, parts, high, low, at_us))
        return assemble(live, parts, ids)

    def _count_cached(self, parts: list[Part]) -> None:
        for part in parts:
            if part.cached:
                self.counters.cache_hits += len(part)
            elif part.lane != FALLBACK:
                self.counters.cache_misses += len(part)

    def _points(self, live: Live, rows: Rows) -> Points:
        if live.split.single:
            return None
        key = live.revision.policy.route_by
        return points(live.name, rows[key].values.tolist()) if key else self._chance.random(length(rows))


def _latency_us(batch: list[Call], at_us: int) -> NDArray[np.int64] | int:
    """For each row how long ago its call arrived."""
    if len(batch) == 1:
        return at_us - batch[0].arrived_us
    ages = np.array([at_us - call.arrived_us for call in batch], np.int64)
    counts = [call.count for call in batch]
    return ages if max(counts) == min(counts) == 1 else ages.repeat(counts)


def _hear(call: Call, said: Any) -> None:
    """Tell a caller; one that cannot be told must not cost the others their answers."""
    try:
        call.caller.hear(said)
    except Exception as error:
        log.error("an answer could not be given back: %s: %s", type(error).__name__, error)
