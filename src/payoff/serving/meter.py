"""Counts the work of one worker, batch by batch, into its sheet (`payoff.store.sheets`); cheap enough to be always on.

Nothing is made per call: the cells of a revision and a form are found once and then only added to.
"""

from bisect import bisect_left
from collections.abc import Sequence

from payoff.records.counts import (
    ANSWERED,
    BATCH,
    CALLS,
    CPU_NS,
    FAILED,
    FAILURES,
    JOURNAL,
    QUEUE,
    READ,
    REQUEST_NS,
    ROWS,
    RUN,
    TOOK,
    WATCHED,
    WHY,
    WRITE,
)
from payoff.serving.line import Call
from payoff.serving.live import Live
from payoff.serving.part import Part
from payoff.serving.stopwatch import Lap
from payoff.serving.streams import FALLBACK_ARM
from payoff.store.sheets import Sheet

_CALLS, _ARMS = "counts of calls", "counts of arms"  # under which a revision keeps its cells


class Meter:
    """One worker's counts of calls and rows. Belongs to the event loop."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet

    def batch(self, batch: Sequence[Call], rows: int, parts: Sequence[Part], lap: Lap, amiss: int = 0) -> None:
        """A batch has its answers, but for `amiss` of them, which could not be written; `parts` say who answered."""
        first, calls = batch[0], len(batch)
        arrived_us = first.arrived_us
        if calls > 1:
            arrived_us = sum([call.arrived_us for call in batch]) // calls
        if parts:
            self.rows(first.live, rows, parts)
        if calls > 1 and len({call.form for call in batch}) > 1:
            self._by_form(batch, lap, amiss)
            return
        began, read, ran, journaled, ended = lap.began_at, lap.read_at, lap.ran_at, lap.journaled_at, lap.ended_at
        waited_ns = (lap.ended_us - arrived_us) * 1_000 - (ended - began)
        stages_ns = (waited_ns, read - began, ran - read, journaled - ran, ended - journaled)
        self.calls(first.live, first.form.name, calls - amiss, rows, stages_ns)

    def calls(self, live: Live, form: str, calls: int, rows: int, stages_ns: tuple[int, int, int, int, int]) -> None:
        """So many calls had their answers at once. `stages_ns`: what each of them waited before, in the mean; then what
        reading, the model, the journal and writing took."""
        cells = live.forms.get((_CALLS, form)) or self._calls_of(live, form)
        waited_ns, read_ns, run_ns, journal_ns, write_ns = stages_ns
        if waited_ns < 0:  # the clock was set back
            waited_ns = 0
        cells[0] += read_ns * calls
        cells[1] += waited_ns * calls
        cells[2] += run_ns * calls
        cells[3] += journal_ns * calls
        cells[4] += write_ns * calls
        cells[READ + read_ns.bit_length()] += calls
        cells[QUEUE + waited_ns.bit_length()] += calls
        cells[RUN + run_ns.bit_length()] += calls
        cells[JOURNAL + journal_ns.bit_length()] += calls
        cells[WRITE + write_ns.bit_length()] += calls
        cells[TOOK + bisect_left(REQUEST_NS, read_ns + waited_ns + run_ns + journal_ns + write_ns)] += calls
        cells[BATCH + (rows - 1).bit_length()] += 1

    def rows(self, live: Live, rows: int, parts: Sequence[Part]) -> None:
        """Who answered the rows of a batch."""
        arms = live.forms.get(_ARMS) or self._arms_of(live)
        for part in parts:
            arm = arms[part.lane]
            arm[ANSWERED] += rows if part.index is None else len(part.index)
            arm[CPU_NS] += part.cpu_ns

    def failed(self, endpoint: str, form: str, error: Exception) -> None:
        """A call that got no answer, and why; `endpoint` is empty if it named none there is."""
        self.sheet.line(CALLS, endpoint, form)[FAILED + _place(error)] += 1

    def watched(self, live: Live, lane: int, rows: int, cpu_ns: int) -> None:
        """Rows that an arm has seen after somebody else had answered them."""
        arm = (live.forms.get(_ARMS) or self._arms_of(live))[lane]
        arm[WATCHED] += rows
        arm[CPU_NS] += cpu_ns

    def _by_form(self, batch: Sequence[Call], lap: Lap, amiss: int) -> None:
        """Calls of several forms that shared a batch; what could not be written is taken from the first of them."""
        for form in sorted({call.form for call in batch}, key=lambda form: form.name):
            own = [call for call in batch if call.form is form]
            less = min(amiss, len(own))
            amiss -= less
            if less < len(own):
                self.batch(own, sum(call.count for call in own), (), lap, less)

    def _calls_of(self, live: Live, form: str) -> memoryview:
        """The cells of an endpoint's calls in one form. They are kept with the revision, and go with it."""
        found: memoryview = self.sheet.line(CALLS, live.name, form)
        live.forms[_CALLS, form] = found
        return found

    def _arms_of(self, live: Live) -> list[memoryview]:
        """The cells of a revision's arms, by lane; the last, lane -1, is the fallback."""
        arms = [self.sheet.line(ROWS, live.name, arm.name, str(arm.version)) for arm in live.revision.arms]
        found = live.forms[_ARMS] = [*arms, self.sheet.line(ROWS, live.name, FALLBACK_ARM, "")]
        return found


def _place(error: Exception) -> int:
    """The cell of an error's class, or of the nearest above it that has one."""
    return next(FAILURES.index(WHY[one]) for one in type(error).__mro__ if one in WHY)
