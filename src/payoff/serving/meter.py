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
    WRITE,
)
from payoff.serving.live import Live
from payoff.serving.part import Part
from payoff.serving.streams import FALLBACK_ARM
from payoff.store.sheets import Sheet

_KNOWN_MAX = 1_024  # revisions and forms whose cells are at hand; a revision that was replaced need not be
_Places = tuple[memoryview, list[memoryview]]


class Meter:
    """One worker's counts of calls and rows. Belongs to the event loop."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self._known: dict[tuple[Live, str], _Places] = {}

    def batch(
        self, live: Live, form: str, calls: int, rows: int,
        read_ns: int, queue_ns: int, run_ns: int, journal_ns: int, write_ns: int, parts: Sequence[Part] = (),
    ) -> None:  # fmt: skip
        """`calls` were answered at once. `queue_ns` is what they waited for that, all together; the other times are the
        batch's. `parts` say who answered which of the rows."""
        cells, arms = self._known.get((live, form)) or self._know(live, form)
        if queue_ns < 0:  # the clock was set back
            queue_ns = 0
        waited_ns = queue_ns // calls
        cells[0] += read_ns * calls
        cells[1] += queue_ns
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
        for part in parts:
            arm = arms[part.lane]
            arm[ANSWERED] += rows if part.index is None else len(part.index)
            arm[CPU_NS] += part.cpu_ns

    def failed(self, endpoint: str, form: str, kind: str, calls: int = 1) -> None:
        """Calls that got no answer, by the word for why (`payoff.doors.kind`)."""
        place = FAILURES.index(kind) if kind in FAILURES else len(FAILURES) - 1
        self.sheet.line(CALLS, endpoint, form)[FAILED + place] += calls

    def watched(self, live: Live, lane: int, rows: int, cpu_ns: int) -> None:
        """Rows that an arm has seen after somebody else had answered them."""
        arm = live.arm_of(lane)
        if arm is not None:
            cells = self.sheet.line(ROWS, live.name, arm.name, str(arm.version))
            cells[WATCHED] += rows
            cells[CPU_NS] += cpu_ns

    def _know(self, live: Live, form: str) -> _Places:
        """The cells of a revision's calls in one form, and of its arms by lane; the last, lane -1, is the fallback."""
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        arms = [self.sheet.line(ROWS, live.name, arm.name, str(arm.version)) for arm in live.revision.arms]
        arms.append(self.sheet.line(ROWS, live.name, FALLBACK_ARM, ""))
        found = self._known[live, form] = (self.sheet.line(CALLS, live.name, form), arms)
        return found
