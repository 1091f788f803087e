"""What the workers of a payoff on this machine compute and hold, from /proc: they and all processes below them."""

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_WORKER = b"payoff.gateway.worker"


def family(pids: Iterable[int]) -> list[int]:
    """Those of these processes that are workers here, and what descends from them; [] where they run elsewhere."""
    workers = [pid for pid in pids if _is_worker(pid)]
    children: dict[int, list[int]] = {}
    for one in PROC.iterdir() if workers else ():
        if one.name.isdigit() and (fields := _stat(int(one.name))):
            children.setdefault(int(fields[1]), []).append(int(one.name))
    found: list[int] = []
    while workers:
        found.append(workers.pop())
        workers += children.get(found[-1], [])
    return found


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds of these processes so far; one that is gone counts nothing."""
    ticks = sum(int(fields[11]) + int(fields[12]) for pid in pids if (fields := _stat(pid)))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_bytes(pids: Iterable[int]) -> int:
    """What they hold, pages that they share counted once."""
    return sum(map(_pss_bytes, pids))


def _pss_bytes(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def _is_worker(pid: int) -> bool:
    try:
        return _WORKER in (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; [] if there is no such process."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
