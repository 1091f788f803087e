"""Calls on their way to an answer, and the line they wait in where a model computes elsewhere or is still cold.

A line holds the calls for one live revision whose rows go the same ways. So a call for the champion never waits for a
challenger that hangs; calls that come while the model is busy share its next batch.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from payoff.records import take
from payoff.routing import FALLBACK
from payoff.serving.form import Caller, Form, read
from payoff.serving.live import Live
from payoff.serving.part import Part, Rows
from payoff.serving.reply import Answered
from payoff.serving.seat import Slots
from payoff.serving.stopwatch import Lap

Done = Callable[[Answered | Exception], None]
Points = NDArray[np.float64] | None
PRIORITY_MAX, HEAD_START_US = 10, 100_000  # of each step of priority
_PASSED_MAX = 4_096  # calls for others that are passed to fill a batch


@dataclass(slots=True)
class Call:
    """What one caller asks of an endpoint, as that was when the call came."""

    live: Live
    form: Form
    asked: Any  # as the form keeps it
    count: int  # rows
    caller: Caller
    arrived_us: int
    priority: int = 0
    deadline_us: int | None = None
    rows: Rows | None = None  # once they are read; most are read with their whole batch
    points: Points = None  # where its rows lie in the split; known to those that wait in a line, or are tried again
    line: Optional["Line"] = None
    alone: bool = False  # it was in a batch that failed, and is tried again by itself

    @property
    def due_us(self) -> int:
        """Where it stands in a queue: priority counts as having come earlier, so nobody waits for ever."""
        return self.arrived_us - self.priority * HEAD_START_US

    def read(self) -> Rows:
        """Its rows, read by themselves; BadInput if they cannot be."""
        if self.rows is None:
            self.rows = read([self])
        return self.rows


@dataclass(slots=True)
class Bulk:
    """A call of more rows than fit one model call, as far as it was answered."""

    call: Call
    parts: list[Part] = field(default_factory=list)
    through: int = 0
    lap: Lap = field(default_factory=Lap)

    @property
    def whole(self) -> bool:
        return self.through == self.call.count

    def next_rows(self, rows_max: int) -> tuple[Rows, Points]:
        """The rows that come next, and their points if they are known."""
        first = not self.through
        if first:
            self.lap = Lap()
        rows = slice(self.through, self.through + rows_max)
        found = take(self.call.read(), rows)
        if first:
            self.lap.read_at = perf_counter_ns()
        return found, None if self.call.points is None else self.call.points[rows]

    def add(self, parts: list[Part], count: int) -> None:
        """What was answered to them, with their places in the whole call."""
        for part in parts:
            places = np.arange(count) if part.index is None else part.index
            part.index = places + self.through
        self.parts += parts
        self.through += count


class Line:
    """Calls that wait for the same models. `slots` is whom the next batch has to wait for."""

    def __init__(self, live: Live, lanes: frozenset[int]) -> None:
        self.live = live
        self.lanes = lanes
        asked = [live.seats[lane] for lane in lanes if lane != FALLBACK]
        self.single = len(asked) == 1
        self.slots = asked[0].slots if self.single else Slots(1)  # of several, each piece takes its turn by itself
        self.calls: deque[Call] = deque()
        self.bulk: deque[Bulk] = deque()
        self.rows = 0  # that wait, or are with the model
        self.boarding = False  # whether somebody already waits for a slot, to take the next batch
        self.bulk_next = False
        self.rate = Rate()

    @property
    def waits(self) -> bool:
        """Whether there is a batch to take."""
        return bool(self.calls or self.bulk)

    def add(self, call: Call, bulk: Bulk | None) -> None:
        """At the end; `bulk` for a call that does not fit one batch."""
        call.line = self
        self.rows += call.count
        if bulk is not None:
            self.bulk.append(bulk)
        else:
            stand(self.calls, call)

    def drop(self, call: Call) -> bool:
        """Let a call leave that waits; False if it is on its way already."""
        for queue in (self.calls, self.bulk):
            for place, one in enumerate(queue):
                if one is call or (isinstance(one, Bulk) and one.call is call):
                    del queue[place]
                    return True
        return False

    def waiting(self) -> list[Call]:
        """The calls that wait, those of a queue in its order."""
        return [*self.calls, *(bulk.call for bulk in self.bulk)]

    def again(self, batch: list[Call]) -> None:
        """A batch that failed: back to the head, each call by itself."""
        for call in reversed(batch):
            call.alone = True
            self.calls.appendleft(call)

    def take(self, rows_max: int) -> "list[Call] | Bulk":
        """The next batch. Small calls pass a large one, which goes on between their batches."""
        self.bulk_next, bulk_now = not self.bulk_next, self.bulk and (self.bulk_next or not self.calls)
        if bulk_now:
            return self.bulk.popleft()
        return together(self.calls, rows_max)


class Rate:
    """How fast rows go through a queue, learned from the batches that did."""

    __slots__ = ("row_s",)

    def __init__(self) -> None:
        self.row_s = 0.0

    def note(self, rows: int, seconds: float) -> None:
        """So many rows took so long; the latest eight or so batches count."""
        if rows:
            self.row_s += (seconds / rows - self.row_s) / 8 if self.row_s else seconds / rows

    def wait_s(self, rows: int) -> float:
        """How long so many rows will take."""
        return rows * self.row_s


def stand(calls: deque[Call], call: Call) -> None:
    """At the end of a queue; with a priority, before those that came not long ago and have less."""
    if call.priority:
        insort(calls, call, key=_due)
    else:
        calls.append(call)


def _due(call: Call) -> int:
    return call.due_us


def together(calls: deque[Call], rows_max: int) -> list[Call]:
    """The first call of a queue, and those after it that go to the same live revision and fit the same model call."""
    first = calls.popleft()
    if not calls or first.alone:
        return [first]
    batch, room, passed = [first], first.live.rows_max(rows_max) - first.count, list[Call]()
    while calls:
        call = calls[0]
        if call.live is not first.live and len(passed) < _PASSED_MAX:
            passed.append(calls.popleft())
        elif call.live is first.live and call.count <= room and not call.alone:
            batch.append(calls.popleft())
            room -= call.count
        else:
            break
    calls.extendleft(reversed(passed))
    return batch


def keep_points(batch: list[Call], points: Points) -> None:
    """Each call keeps its own, so that it goes the same ways when it is tried again: a row that a model fails on must
    not get another chance to be held out."""
    if points is not None:
        ends = np.cumsum([call.count for call in batch])
        for call, own in zip(batch, np.split(points, ends[:-1]), strict=True):
            call.points = own


def known_points(batch: list[Call]) -> Points:
    """The points of a batch's rows, if they are known."""
    points = [call.points for call in batch if call.points is not None]
    return np.concatenate(points) if points else None
