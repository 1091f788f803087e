"""The end of a call: its rows into the journal, then the answer to its caller, then both into the counts.

Every call that the desk takes ends here once, whichever way it went: answered, failed, or not run because nobody waits
for it any more.
"""

import logging
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from payoff.clock import now_us
from payoff.errors import Abandoned, DeadlineExceeded
from payoff.journal.ids import Ids
from payoff.journal.writer import Writer
from payoff.records import length
from payoff.routing import FALLBACK
from payoff.serving.form import write
from payoff.serving.line import Call
from payoff.serving.meter import Meter
from payoff.serving.onlookers import Onlooker
from payoff.serving.part import Part, Rows
from payoff.serving.record import Stamp, note
from payoff.serving.reply import Answered, assemble
from payoff.serving.stopwatch import Lap
from payoff.serving.watching import Counters, Seen, Watching

log = logging.getLogger("payoff.serving")


class Ending:
    """Records, tells and counts. `waiting_rows` are those of calls that have not come here yet."""

    def __init__(self, writer: Writer, ids: Ids, counters: Counters, watching: Watching, meter: Meter | None) -> None:
        self.waiting_rows = 0
        self.onlookers: list[Onlooker] = []
        self.counters = counters
        self.meter = meter
        self._writer = writer
        self._ids = ids
        self._watching = watching

    def record(self, batch: list[Call], rows: Rows, parts: list[Part]) -> Answered:
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

    def tell(self, batch: list[Call], whole: Answered, parts: list[Part], lap: Lap) -> None:
        """Each caller its part of what was recorded."""
        lap.journaled_at = perf_counter_ns()
        amiss = 0
        for call, said in zip(batch, write(batch, whole), strict=True):
            if call.line is not None:
                call.line.rows -= call.count
            if isinstance(said, Exception):
                amiss += 1
                self._miss(call, said)
            try:
                call.caller.hear(said)
            except Exception as error:
                _unheard(error)
        rows = len(whole.ids)
        self.waiting_rows -= rows
        self.counters.answered += rows
        if len(batch) > amiss:
            lap.end()
            self._measure(batch, whole, parts, lap, amiss)

    def fail(self, batch: list[Call], error: Exception) -> None:
        """These calls get no answer, but hear why."""
        for call in batch:
            self.waiting_rows -= call.count
            if call.line is not None:
                call.line.rows -= call.count
            self.counters.failed += 1
            self._miss(call, error)
            try:
                call.caller.hear(error)
            except Exception as fault:
                _unheard(fault)
        try:
            for each in self.onlookers:
                each.missed(batch, error, now_us())
        except Exception:
            log.exception("calls without an answer could not be shown")

    def wanted(self, batch: list[Call]) -> list[Call]:
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
                self.drop_gone(call)
            elif call.deadline_us is not None and call.deadline_us <= now:
                self.drop_late(call)
            else:
                wanted.append(call)
        return wanted

    def drop_gone(self, call: Call) -> None:
        """A call whose caller does not wait any more."""
        self.counters.abandoned += 1
        self.fail([call], Abandoned("the caller has gone; nothing was done"))

    def drop_late(self, call: Call) -> None:
        """A call whose time is over."""
        self.counters.late += 1
        waited_ms = (now_us() - call.arrived_us) / 1e3
        words = f"the call waited {waited_ms:,.0f} ms, and its time was over before its turn; nothing was done"
        self.fail([call], DeadlineExceeded(f"{words}; give it more time, or ask for less at once"))

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

    def _count_cached(self, parts: list[Part]) -> None:
        for part in parts:
            if part.cached:
                self.counters.cache_hits += len(part)
            elif part.lane != FALLBACK:
                self.counters.cache_misses += len(part)


def _latency_us(batch: list[Call], at_us: int) -> NDArray[np.int64] | int:
    """For each row how long ago its call arrived."""
    if len(batch) == 1:
        return at_us - batch[0].arrived_us
    ages = np.array([at_us - call.arrived_us for call in batch], np.int64)
    counts = [call.count for call in batch]
    return ages if max(counts) == min(counts) == 1 else ages.repeat(counts)


def _unheard(error: Exception) -> None:
    """A caller that cannot be told must not cost the others their answers."""
    log.error("an answer could not be given back: %s: %s", type(error).__name__, error)
