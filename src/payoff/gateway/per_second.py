"""A limit on how often something is done, so that what tells of trouble cannot become trouble."""

import time


class PerSecond:
    """Has room for so many in each second of the clock."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._second = self._taken = 0

    def take(self) -> bool:
        """Whether there is room for one more; it is taken."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= self._most
