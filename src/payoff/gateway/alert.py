"""A worker that has just answered stays awake for a moment, where the next call tends to come at once.

Going to sleep and being woken costs more than the sleep saves when a caller asks again within a tenth of a millisecond.
Whether it does is learned: after a wait in vain, more and more answers pass before the next try, so that callers who
are far away, and workers that have nothing to do, cost nothing.
"""

import asyncio
import time
from collections.abc import Sequence

from payoff.serving.line import Call
from payoff.serving.reply import Answered
from payoff.serving.stopwatch import Lap

AWAKE_NS = 150_000
PASSED_MAX = 1_024  # answers between two tries


class Alert:
    """Sees batches go by (an onlooker of the desk), and keeps the loop turning after one."""

    def __init__(self, awake_ns: int = AWAKE_NS) -> None:
        self._awake_ns = awake_ns
        self._loop = asyncio.get_running_loop()
        self._batches = 0
        self._seen = 0
        self._until_ns = 0
        self.awake = False
        self._in_vain = 0
        self._pass = 0

    def saw(self, batch: Sequence[Call], whole: Answered, lap: Lap) -> None:
        """A batch was answered."""
        self.answered(len(batch))

    def missed(self, batch: Sequence[Call], error: Exception, ended_us: int) -> None:
        """These calls got no answer."""

    def answered(self, calls: int) -> None:
        """So many calls were, at once."""
        self._batches += 1
        if calls > 1:
            self.awake = False  # the loop has enough to do
        elif self._pass:
            self._pass -= 1
        elif not self.awake:
            self.awake = True
            self._wait()
            self._loop.call_soon(self._turn)

    def _wait(self) -> None:
        self._seen = self._batches
        self._until_ns = time.perf_counter_ns() + self._awake_ns

    def _turn(self) -> None:
        """Once in each turn of the loop, while it is awake."""
        if not self.awake:
            return
        if self._seen != self._batches:
            self._in_vain = 0
            self._wait()
        elif time.perf_counter_ns() > self._until_ns:
            self.awake = False
            self._in_vain += 1
            self._pass = min(2**self._in_vain, PASSED_MAX)
            return
        self._loop.call_soon(self._turn)
