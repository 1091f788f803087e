"""Where the time of one batch goes, from when its calls are taken up to when they have their answers."""

from time import perf_counter_ns

from payoff.clock import now_us


class Lap:
    """One batch. The desk writes down, in ns of one clock, when each stage was over; one that is left out took no time.

    What a call waited before is the rest: from its arrival to the begin. Plain fields, for every batch comes by.
    """

    __slots__ = ("began_at", "ended_at", "ended_us", "journaled_at", "ran_at", "read_at")

    def __init__(self) -> None:
        self.began_at = self.read_at = self.ran_at = self.journaled_at = self.ended_at = perf_counter_ns()
        self.ended_us = 0  # since 1970

    def end(self) -> None:
        """Its callers have their answers."""
        self.ended_at, self.ended_us = perf_counter_ns(), now_us()

    def stages_ns(self, arrived_us: int) -> dict[str, int]:
        """What each stage took of a call that arrived then, in their order."""
        busy_ns = self.ended_at - self.began_at
        return {
            "queue": max(0, (self.ended_us - arrived_us) * 1_000 - busy_ns),
            "read": self.read_at - self.began_at,
            "run": self.ran_at - self.read_at,
            "journal": self.journaled_at - self.ran_at,
            "write": self.ended_at - self.journaled_at,
        }
