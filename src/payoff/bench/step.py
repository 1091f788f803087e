"""One step of a load, and the knee of several: plain figures, no I/O.

The knee is the first step that brings 90 % of the most rows per second that any step brought: beyond it more callers at
once mostly wait for each other. If that is the last step tried, it was not reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass

KNEE_SHARE = 0.9
FAILED_SHARE_MAX = 0.01  # a step that fails more often carries nothing


@dataclass(frozen=True, slots=True)
class Step:
    """What so many connections brought. Latencies are in microseconds; None is unknown.

    `cpu_s` is what the workers computed while it lasted, `client_cores` how much of the machine the load itself took,
    `unsent` how many requests of a fixed rate found no free connection until the end.
    """

    connections: int
    seconds: float
    answered: int  # requests
    failed: int
    rows: int  # of one request
    p50_us: int | None
    p90_us: int | None
    p99_us: int | None
    max_us: int | None
    cpu_s: float | None = None
    client_cores: float = 0.0
    unsent: int = 0
    why: str = ""  # what the first failed request was told

    @property
    def requests_per_s(self) -> float:
        return self.answered / self.seconds

    @property
    def rows_per_s(self) -> float:
        return self.requests_per_s * self.rows

    @property
    def cpu_s_per_1000(self) -> float | None:
        """CPU seconds of the workers for a thousand predictions."""
        rows = (self.answered + self.failed) * self.rows
        return None if self.cpu_s is None or not rows else self.cpu_s / rows * 1_000

    @property
    def worker_cores(self) -> float | None:
        """How many cores the workers kept busy, all together."""
        return None if self.cpu_s is None else self.cpu_s / self.seconds

    @property
    def carried(self) -> bool:
        """Whether it answered, and failed too seldom to matter."""
        return self.answered > 0 and self.failed <= FAILED_SHARE_MAX * (self.answered + self.failed)


def knee(steps: Sequence[Step]) -> Step | None:
    """The knee of the steps that carried, in the order of their connections; None if none did."""
    good = sorted((step for step in steps if step.carried), key=lambda step: step.connections)
    most = max((step.rows_per_s for step in good), default=0.0)
    return next((step for step in good if step.rows_per_s >= KNEE_SHARE * most), None)


def reached(steps: Sequence[Step]) -> bool:
    """Whether there is a knee and a step beyond it was tried."""
    found = knee(steps)
    return found is not None and any(step.connections > found.connections for step in steps)
