"""The numbers of a worker's own process, kept up to date in its sheet; and /metrics at its door.

Counts of calls and rows are made where they happen (`payoff.serving.meter`); what stands here is looked at once a
second, and when somebody asks.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from payoff.clock import now_us
from payoff.doors import exposition, metrics
from payoff.gateway.reply import Reply
from payoff.journal.writer import Writer
from payoff.records.counts import GROWING, OWN
from payoff.runner.process import rss_bytes
from payoff.serving import Desk, Models
from payoff.store.sheets import Sheet

LAG_EVERY_S = 0.1
_STAT, _MEMINFO = Path("/proc/stat"), Path("/proc/meminfo")
Numbers = Mapping[str, int]


class Vitals:
    """Puts one process's numbers into its sheet. `others` gives those that this room does not know, by name."""

    def __init__(self, sheet: Sheet, desk: Desk, writer: Writer, models: Models, others: Callable[[], Numbers]) -> None:
        self._own = sheet.own
        self._desk, self._writer, self._models, self._others = desk, writer, models, others
        self._before: dict[str, int] = {}
        self._machine = Machine()
        self._lag_ns = 0

    def tick(self) -> None:
        """Now. What grows is added to what earlier processes of this worker left; the rest is replaced."""
        for name, value in (self._now() | self._machine.now() | dict(self._others())).items():
            if name in GROWING:
                self._own[OWN[name]] += value - self._before.get(name, 0)
                self._before[name] = value
            else:
                self._own[OWN[name]] = value
        self._lag_ns = 0

    async def feel_lag(self) -> None:
        """Notes how late the event loop comes back to somebody who waits; for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._lag_ns = max(self._lag_ns, int((loop.time() - due) * 1e9))

    def _now(self) -> dict[str, int]:
        counters, writer, models = self._desk.counters, self._writer, self._models
        return {
            "at_us": now_us(),
            "cpu_ns": time.process_time_ns(),
            "rss_bytes": rss_bytes(os.getpid()),
            "loop_lag_ns": self._lag_ns,
            "waiting_rows": self._desk.waiting_rows,
            "waiting_calls": self._desk.waiting_calls,
            "shadow_dropped_rows": counters.shadow_dropped,
            "shadow_failed_rows": counters.shadow_failed,
            "cache_hits": counters.cache_hits,
            "cache_misses": counters.cache_misses,
            "journal_bytes": writer.written_bytes,
            "journal_rows": writer.flushed,
            "journal_refused_rows": writer.refused,
            "models_hot": models.hot,
            "models_loaded": models.loads,
            "models_closed": models.closes,
        }


class Machine:
    """What the whole machine does, between two looks; empty where /proc does not say."""

    def __init__(self) -> None:
        self._busy, self._all = _ticks()

    def now(self) -> dict[str, int]:
        """Its processors' share in use, in millionths, and its memory."""
        busy, whole = _ticks()
        spent = max(1, whole - self._all)
        share, self._busy, self._all = (busy - self._busy) * 1_000_000 // spent, busy, whole
        total, available = _memory()
        return {
            "machine_busy_ppm": share, "machine_memory_bytes": total, "machine_used_bytes": total - available
        }  # fmt: skip


def scrape(home: Path, accept: str) -> Reply:
    """Everything that the workers of a home counted."""
    content_type = exposition.negotiate(accept)
    return Reply(exposition.text(metrics.families(home), content_type).encode(), content_type.encode())


def _ticks() -> tuple[int, int]:
    """Clock ticks of all processors since the boot, busy and all (proc(5))."""
    try:
        first = _STAT.read_bytes().partition(b"\n")[0]
    except OSError:
        return 0, 0
    user, nice, system, idle, iowait, *rest = map(int, first.split()[1:9])
    busy = user + nice + system + sum(rest)
    return busy, busy + idle + iowait


def _memory() -> tuple[int, int]:
    """Bytes of memory, and how many of them are available."""
    try:
        said = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
    except OSError:
        return 0, 0
    return _bytes(said["MemTotal"]), _bytes(said["MemAvailable"])


def _bytes(said: str) -> int:
    """ "16384 kB" as bytes."""
    return int(said.split()[0]) * 1_024
