"""Calls for models that compute elsewhere, or are cold: they wait in lines, and go to them batch by batch."""

import asyncio
import time
from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from payoff.clock import now_us
from payoff.errors import Busy, ModelFailed, Unavailable
from payoff.records import length
from payoff.serving.admission import Admission
from payoff.serving.answer import answer_away
from payoff.serving.ending import Ending
from payoff.serving.form import read
from payoff.serving.line import Bulk, Call, Line, known_points
from payoff.serving.live import Live
from payoff.serving.part import Part, Rows
from payoff.serving.seat import NotReady
from payoff.serving.stopwatch import Lap


class Away:
    """The lines of one desk, and the batches in flight. `landed` is called when one is through.

    `rows_max` is of one model call; `chance` places rows in a split.
    """

    def __init__(
        self, ending: Ending, admission: Admission, rows_max: int, chance: np.random.Generator,
        landed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._ending = ending
        self._admission = admission
        self._rows_max = rows_max
        self._chance = chance
        self._landed = landed
        self._lines: dict[tuple[Live, frozenset[int]], Line] = {}
        self._flights: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def idle(self) -> bool:
        """Whether nobody waits here."""
        return not (self._lines or self._flights)

    @property
    def waiting_calls(self) -> int:
        """Calls that wait for their turn."""
        return sum(len(line.calls) + len(line.bulk) for line in self._lines.values())

    def lives(self) -> set[Live]:
        """The revisions that somebody waits for."""
        return {line.live for line in self._lines.values()}

    def line_up(self, call: Call, bulk: Bulk | None = None) -> None:
        """To the end of the line for the models that its rows go to; Busy if that is full."""
        live = call.live
        call.points = None if live.split.single else live.places(call.read(), self._chance)
        ways = {0} if call.points is None else set(live.split.pick(call.points).tolist()) or {0}
        lanes = frozenset(live.split.lanes[way] for way in ways)
        line = self._lines.get((live, lanes)) or Line(live, lanes)
        self._admit(line, call.count)
        self._lines[live, lanes] = line
        if bulk is None and call.count > live.rows_max(self._rows_max):
            bulk = Bulk(call)
        line.add(call, bulk)
        if call.deadline_us is not None:
            self._loop.call_later(max(0.0, (call.deadline_us - now_us()) / 1e6), self._expire, call)
        self._board(line)

    def move(self, batch: list[Call], bulk: Bulk | None = None) -> None:
        """The model was let go of between the call and its turn: it has to wait after all."""
        for call in batch:
            try:
                self.line_up(call, bulk)
            except Busy as error:
                self._ending.fail([call], error)

    def _admit(self, line: Line, count: int) -> None:
        """Busy if a line is too long, or its first call waits for too long. Those who have gone make room."""
        if not self._admission.fits(count, line):
            for call in line.waiting():
                if call.caller.gone and line.drop(call):
                    self._ending.drop_gone(call)
        self._admission.to_line(count, line)

    def _expire(self, call: Call) -> None:
        """The time of a call is over: if it still waits, it need not wait to hear so."""
        if call.line is not None and call.line.drop(call):
            self._ending.drop_late(call)

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
        self._landed()

    def _next(self, line: Line) -> list[Call] | Bulk:
        """The next batch of a line that somebody still waits for; empty if there is none."""
        if not line.waits:
            return []
        batch = line.take(self._rows_max)
        if isinstance(batch, Bulk):
            return batch if self._ending.wanted([batch.call]) else []
        return self._ending.wanted(batch)

    async def _ask(self, line: Line, batch: list[Call] | Bulk, lap: Lap) -> tuple[Rows, list[Part] | Exception]:
        """The rows of a batch, and their answers or why there are none."""
        rows: Rows = {}
        alone = isinstance(batch, Bulk) or len(batch) == 1
        try:
            if isinstance(batch, Bulk):
                rows, points = batch.next_rows(line.live.rows_max(self._rows_max))
            else:
                rows, points = read(batch), known_points(batch)
                lap.read_at = perf_counter_ns()
            return rows, await answer_away(line.live, rows, points, alone, self._chance, in_turn=not line.single)
        except Exception as error:
            return rows, error

    def _land(self, line: Line, batch: list[Call], rows: Rows, parts: list[Part], lap: Lap) -> None:
        lap.ran_at = perf_counter_ns()
        try:
            whole = self._ending.record(batch, rows, parts)
        except Exception as error:
            self._turn_back(line, batch, error)
            return
        self._ending.tell(batch, whole, parts, lap)

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
            self._ending.fail(calls, ModelFailed(str(error)))
        elif len(calls) == 1 or isinstance(error, Unavailable):
            self._ending.fail(calls, error)
        else:
            line.again(calls)
