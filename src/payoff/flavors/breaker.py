"""When a server that fails is asked no more for a while, so that it does not cost every call its time limit."""

import time
from collections.abc import Callable

FAILURES_MAX = 3
FIRST_S, LONGEST_S = 0.5, 30.0


class Breaker:
    """Open after FAILURES_MAX failures in a row; then one call in a while tries it, ever more seldom."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    def rests_s(self) -> float:
        """How long nobody should ask, 0 if now is the time. Who is told 0 by an open breaker is the one that tries."""
        if self._failures < FAILURES_MAX:
            return 0.0
        left = self._until - self._clock()
        if left > 0:
            return left
        self._until = self._clock() + self._pause_s()  # the others rest until this one knows, or is lost
        return 0.0

    def failed(self) -> None:
        """The server could not be reached, or failed."""
        self._failures += 1
        self._until = self._clock() + self._pause_s()

    def answered(self) -> None:
        """It answered, whatever it said."""
        self._failures = 0

    def _pause_s(self) -> float:
        return min(LONGEST_S, FIRST_S * 2.0 ** min(16, max(0, self._failures - FAILURES_MAX)))
