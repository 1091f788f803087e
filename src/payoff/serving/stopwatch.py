"""Where the time of one batch goes, from when its calls are taken up to when they have their answers."""

from time import perf_counter_ns
from typing import NamedTuple

from payoff.clock import now_us


class Lap(NamedTuple):
    """What the stages of a batch took, and when it was through; the wait of each call is what comes before."""

    read_ns: int
    run_ns: int
    journal_ns: int
    write_ns: int
    ended_us: int  # since 1970

    @property
    def whole_ns(self) -> int:
        """All stages together."""
        return self.read_ns + self.run_ns + self.journal_ns + self.write_ns

    def stages_ns(self, arrived_us: int) -> dict[str, int]:
        """What each stage took of a call that arrived then, in their order."""
        queue_ns = max(0, (self.ended_us - arrived_us) * 1_000 - self.whole_ns)
        return {
            "queue": queue_ns, "read": self.read_ns, "run": self.run_ns, "journal": self.journal_ns,
            "write": self.write_ns,
        }  # fmt: skip


class Stopwatch:
    """Runs from when it is made. The desk presses it as a batch moves on; a stage that is left out took no time."""

    __slots__ = ("_began", "_journaled", "_ran", "_read")

    def __init__(self) -> None:
        self._began = self._read = self._ran = self._journaled = perf_counter_ns()

    def read(self) -> None:
        """Its calls are columns."""
        self._read = perf_counter_ns()

    def ran(self) -> None:
        """The model has answered."""
        self._ran = perf_counter_ns()

    def journaled(self) -> None:
        """It is in the journal."""
        self._journaled = perf_counter_ns()

    def stop(self) -> Lap:
        """Its callers have their answers."""
        ended = perf_counter_ns()
        began, read, ran, journaled = self._began, self._read, self._ran, self._journaled
        return Lap(read - began, ran - read, journaled - ran, ended - journaled, now_us())
