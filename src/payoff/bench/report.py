"""What a bench says: its steps, the knee, what it costs, and what to set, in plain words and as plain values."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from payoff.bench.step import FAILED_SHARE_MAX, Step, knee, reached

BUSY = 0.85  # of a core: a worker that is busier is limited by it
CLIENT_BUSY = 0.9
SEVERAL = 1.3  # cores of one worker: its model computes on threads


@dataclass(frozen=True, slots=True)
class Report:
    """One bench. What is None could not be seen, because the workers run on another machine."""

    endpoint: str
    protocol: str
    rows: int
    source: str
    live: bool
    rate: float | None
    clients: int
    workers: int
    cores: int | None
    memory_bytes: int | None
    steps: tuple[Step, ...]
    stopped: str = ""
    core_hour: float | None = None
    currency: str = ""

    @property
    def knee(self) -> Step | None:
        return knee(self.steps)

    @property
    def per_million(self) -> float | None:
        """What the workers' computing costs for a million predictions, at the knee, in `currency`."""
        found = self.knee
        if found is None or found.cpu_s_per_1000 is None or self.core_hour is None:
            return None
        return found.cpu_s_per_1000 * 1_000 / 3_600 * self.core_hour

    def plain(self) -> dict[str, Any]:
        """All of it as plain values."""
        found = self.knee
        steps = [asdict(one) | {"rows_per_s": one.rows_per_s, "cpu_s_per_1000": one.cpu_s_per_1000}
                 for one in self.steps]  # fmt: skip
        said = {**asdict(self), "steps": steps, "knee_connections": found.connections if found else None}
        return said | {
            "knee_reached": reached(self.steps),
            "per_million": self.per_million,
            "advice": list(self.advice()),
        }

    def lines(self) -> Iterator[str]:
        """The same in words, after the table of steps."""
        found = self.knee
        if found is None:
            yield f"Nothing was carried: more than {FAILED_SHARE_MAX:.0%} of the requests failed in every step."
        else:
            yield from self._knee(found)
            yield from self._costs(found)
        yield from (f"- {one}" for one in self.advice())
        if self.stopped:
            yield f"{self.stopped[0].upper()}{self.stopped[1:]}."

    def _knee(self, found: Step) -> Iterator[str]:
        carried = f"{found.rows_per_s:,.0f} rows/s with a p99 of {ms(found.p99_us)} ms"
        if self.rate is not None:
            yield f"At {self.rate:,.0f} requests/s: {carried}, counted from when each request was due."
            return
        if reached(self.steps):
            yield f"The knee is at {found.connections} connections: {carried}. Beyond it callers mostly wait."
        else:
            yield f"The knee was not reached: at {found.connections} connections it carries {carried}."
        each = found.rows_per_s / max(1, self.workers)
        who = "1 worker carries" if self.workers == 1 else f"{self.workers} workers carry, each,"
        yield f"{who} about {each:,.0f} rows/s at a p99 under {ms(found.p99_us)} ms."

    def _costs(self, found: Step) -> Iterator[str]:
        if found.cpu_s_per_1000 is None:
            yield "CPU and memory are unknown: the workers run on another machine, or cannot be seen from here."
            return
        text = f"A million predictions take {figures(found.cpu_s_per_1000 * 1_000)} CPU seconds of the workers"
        if self.per_million is not None:
            text += (
                f": {figures(self.per_million)} {self.currency} at {self.core_hour:g} a core-hour, for computing alone"
            )
        yield f"{text}."
        if self.memory_bytes is not None:
            yield f"The workers hold {self.memory_bytes / 1e6:,.0f} MB."

    def advice(self) -> Iterator[str]:
        """What to do with it."""
        found = self.knee
        failing = [one for one in self.steps if one.failed]
        if failing:
            yield f"{sum(one.failed for one in failing):,} requests failed; the first was told: {failing[0].why}"
        late = sum(one.unsent for one in self.steps)
        if late:
            yield f"{late:,} requests of the rate found no free connection to the end: it is more than is carried"
        if found is None:
            return
        if self.rate is None and not reached(self.steps):
            yield f"it may carry more: try more than {self.steps[-1].connections} --connections"
        clogged = found.client_cores >= CLIENT_BUSY * min(self.clients, found.connections)
        if clogged:
            yield "the load itself was at its limit: give it more processes with --clients, or load from elsewhere"
        yield from self._about_workers(found, clogged)

    def _about_workers(self, found: Step, clogged: bool) -> Iterator[str]:
        if found.worker_cores is None or self.cores is None or not self.workers:
            return
        busy, cores = found.worker_cores / self.workers, f"{self.cores} cores"
        if busy >= SEVERAL and self.workers > 1:
            yield f"each worker computes on {busy:.1f} of your {cores}: with --threads 1 they do not fight for them"
        elif busy >= BUSY and self.workers < self.cores:
            yield (f"a worker keeps {busy:.1f} cores busy and you have {cores}: `payoff up --workers {self.cores}` "
                   "carries more, if the load comes from another machine")  # fmt: skip
        elif busy >= BUSY:
            yield f"all {self.workers} workers are busy on your {cores}: more takes more cores, or more rows a request"
        elif not clogged and reached(self.steps):
            yield (f"the workers are not busy ({busy:.1f} of a core each): they wait for something else, another "
                   "machine, a runner or the disk; or the load on the same cores left them no more")  # fmt: skip


def figures(value: float) -> str:
    """A positive number with three figures, never in powers of ten."""
    places = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{places}f}"


def ms(us: int | None) -> str:
    """Microseconds as milliseconds."""
    return "-" if us is None else f"{us / 1_000:.3g}"
