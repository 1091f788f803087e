"""What this machine has, and what payoff's processes use of it: from /proc and the cgroup, as far as they are there.

Elsewhere than on Linux cores and memory are known, and what processes use is not: it reads as nothing.
"""

import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from payoff.runner.process import rss_bytes

_PROC = Path("/proc")
_MOVED_BYTES = 1 << 20
CGROUP = Path("/sys/fs/cgroup")
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PSS = re.compile(rb"^Pss:\s*(\d+) kB$", re.MULTILINE)
_OWN = re.compile(rb"^Rss(?:Anon|Shmem):\s*(\d+) kB$", re.MULTILINE)


class Process(NamedTuple):
    """A process as /proc/PID/stat has it. `cpu_ns` holds what its ended children computed; `born_s` is since boot."""

    pid: int
    parent: int
    cpu_ns: int
    born_s: float


def name() -> str:
    """The machine's name, by which prices may differ."""
    return socket.gethostname()[:255]


def millicores(cgroup: Path = CGROUP) -> int:
    """Thousandths of a core that this process may use: of the machine's, or what its cgroup is given."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota, period = "max", "1"
    cores = 1_000 * (os.cpu_count() or 1)
    return cores if quota == "max" else min(cores, 1_000 * int(quota) // int(period))


def memory_bytes(cgroup: Path = CGROUP) -> int:
    """Of the machine, or what the cgroup is given."""
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = (cgroup / "memory.max").read_text().strip()
    except OSError:
        return whole
    return min(whole, int(limit)) if limit.isdigit() else whole


def clock_us() -> int:
    """Microseconds since about the machine's boot; stands still while it sleeps."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000


def tree(root: int) -> dict[int, Process]:
    """A process and all that come from it, by pid; empty where nobody tells."""
    found = {one.pid: one for one in _processes()}
    children: dict[int, list[Process]] = {}
    for one in found.values():
        children.setdefault(one.parent, []).append(one)
    taken: dict[int, Process] = {}
    left = [found[root]] if root in found else []
    while left:
        one = left.pop()
        taken[one.pid] = one
        left += children.get(one.pid, [])
    return taken


def above(pid: int, processes: Mapping[int, Process]) -> Iterable[int]:
    """The process, the one that it comes from, and so on, as far as they are among these."""
    while pid in processes:
        yield pid
        pid = processes[pid].parent


def age_us(process: Process) -> int:
    """How long ago it began."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return max(0, int((time.clock_gettime(clock) - process.born_s) * 1e6))


def held_bytes(pids: Iterable[int]) -> dict[int, int]:
    """What each of these holds in memory: its own, and its part of what it shares with others (PSS).

    Where the kernel does not tell that, its own and all that it shares but files.
    """
    return {pid: _held(_PROC / str(pid)) for pid in pids}


class Memory:
    """What processes hold, again and again: the kernel walks all pages to tell, so it is asked only where it matters.

    That is where a process grew or shrank, and everywhere when one came or went, for they share.
    """

    def __init__(self) -> None:
        self._processes: frozenset[tuple[int, float]] = frozenset()
        self._known: dict[int, tuple[int, int]] = {}  # resident then, held

    def look(self, processes: Mapping[int, Process]) -> dict[int, int]:
        """What each of these holds now, to about a hundredth."""
        there = frozenset((one.pid, one.born_s) for one in processes.values())
        if there != self._processes:
            self._processes, self._known = there, {}
        for pid in processes:
            resident = rss_bytes(pid)
            if pid not in self._known or moved(self._known[pid][0], resident):
                self._known[pid] = resident, held_bytes([pid])[pid]
        return {pid: held for pid, (_, held) in self._known.items()}


def moved(before_bytes: int, now_bytes: int) -> bool:
    """Whether so much more or less is resident that what is held is to be asked anew."""
    return abs(now_bytes - before_bytes) > max(_MOVED_BYTES, before_bytes // 100)


def _held(folder: Path) -> int:
    for file, kind in (("smaps_rollup", _PSS), ("status", _OWN)):
        try:
            found = kind.findall((folder / file).read_bytes())
        except OSError:
            continue
        if found:
            return sum(int(kib) << 10 for kib in found)
    return 0


def _processes() -> Iterable[Process]:
    try:
        pids = [entry.name for entry in _PROC.iterdir() if entry.name.isdigit()]
    except OSError:
        return
    for pid in pids:
        try:
            stat = (_PROC / pid / "stat").read_bytes()
        except OSError:
            continue
        yield _process(int(pid), stat)


def _process(pid: int, stat: bytes) -> Process:
    """Fields 4, 14 to 17 and 22 of proc(5); the name before them may hold spaces and brackets."""
    fields = stat[stat.rindex(b")") + 2 :].split()
    ticks = sum(map(int, fields[11:15]))
    return Process(pid, int(fields[1]), ticks * _TICK_NS, int(fields[19]) * _TICK_NS / 1e9)
