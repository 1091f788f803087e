"""How fast a loaded model is, measured on its sample rows when it is loaded: what is decided by it is no setting.

A call of n rows costs about a fixed part and a part per row. A few sizes are measured, and what lies between them is
read off the line between.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from payoff.flavors.flavor import Run
from payoff.records.columns import Column, Columns, length, take
from payoff.records.signature import Field, Type

SIZES = (1, 8, 32, 128, 512, 2_048)
CALLS_MAX, SIZE_S_MAX = 5, 0.005  # of one size
PATIENCE_S = 1.0  # of all sizes beyond a single row
BYTES_MAX = 64 << 20  # of the rows of one call, where they are large, such as images
LARGE_S = 0.002  # a model whose call of one row takes longer holds up the others of its worker
LOOP_S_MAX, THREAD_S_MAX = 0.005, 0.050  # of one call in the event loop, and in a thread
TIMES_MAX = 4  # or so many times what a row takes alone, where that is longer
BATCH_S = 0.000_06  # what a batch costs beside the model: the journal, the answers
WORSE_MAX = 1.25  # a batch whose rows cost more than so many times the cheapest is too large


@dataclass(frozen=True, slots=True)
class Pace:
    """The shortest of some calls, for calls of so many rows; both rise."""

    rows: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def one_row_s(self) -> float:
        """Of a call with one row."""
        return self.seconds[0]

    @property
    def large(self) -> bool:
        """Whether a call of one row would hold up others."""
        return self.one_row_s > LARGE_S

    @property
    def call_s_max(self) -> float:
        """How long a call may take."""
        return max(THREAD_S_MAX, TIMES_MAX * self.one_row_s) if self.large else LOOP_S_MAX

    def of(self, rows: int) -> float:
        """The seconds of a call of so many rows; beyond what was measured, as it went on last."""
        if len(self.rows) == 1:
            return self.seconds[0] * rows
        place = min(max(bisect_left(self.rows, rows), 1), len(self.rows) - 1)
        (low, high), (quick, slow) = self.rows[place - 1 : place + 1], self.seconds[place - 1 : place + 1]
        return quick + max(0.0, slow - quick) * (rows - low) / (high - low)

    @property
    def rows_max(self) -> int:
        """The most rows, a power of two up to the largest of SIZES, that pay in one call of at most `call_s_max`."""
        sizes = [1 << power for power in range(SIZES[-1].bit_length())]
        most_s = self.call_s_max
        costs = {size: (BATCH_S + self.of(size)) / size for size in sizes if size == 1 or self.of(size) <= most_s}
        cheapest = min(costs.values())
        return max(size for size, cost in costs.items() if cost <= WORSE_MAX * cheapest)


def measure(run: Run, rows: Columns, clock: Callable[[], float] = time.perf_counter) -> Pace:
    """Call the model with these rows, again and again, in rising numbers; the first call of a size warms it up.

    `clock` counts seconds: those of this thread's work, where nothing else works for the model, are right on a machine
    that is busy with other things.
    Takes some 50 ms for a model that is not large, and PATIENCE_S or two calls at most. What `run` raises is raised.
    """
    began = clock()
    pace = Pace((1,), (_shortest(run, take(rows, [0]), clock),))
    row_bytes = sum(column.values.nbytes for column in rows.values()) // length(rows)
    for size in SIZES[1:]:
        if size * row_bytes > BYTES_MAX:
            break
        worst_s = 2 * pace.seconds[-1] * size / pace.rows[-1]
        if pace.seconds[-1] > pace.call_s_max or clock() - began + worst_s > PATIENCE_S:
            break
        taken_s = _shortest(run, take(rows, np.arange(size) % length(rows)), clock)
        pace = Pace((*pace.rows, size), (*pace.seconds, max(taken_s, pace.seconds[-1])))
    return pace


def _shortest(run: Run, rows: Columns, clock: Callable[[], float]) -> float:
    spent, taken = 0.0, list[float]()
    while len(taken) < 2 or (len(taken) < CALLS_MAX and spent < SIZE_S_MAX):
        began = clock()
        run(rows)
        taken.append(clock() - began)
        spent += taken[-1]
    return min(taken)


def quicker(new: Pace, old: Pace) -> bool:
    """Whether it pays to change: at least a fifth quicker for many rows, and no loss for one."""
    rows = min(new.rows[-1], old.rows[-1])
    return new.of(rows) < 0.8 * old.of(rows) and new.one_row_s < 1.25 * old.one_row_s


def blank(fields: Sequence[Field]) -> dict[str, Column]:
    """One row of zeros and empty texts, for a model without sample rows."""
    return {
        field.name: Column(
            np.full((1, *field.shape), "", object)
            if field.type is Type.TEXT
            else np.zeros((1, *field.shape), field.type.dtype)
        )
        for field in fields
    }
