"""Is that still the process we knew? A pid is used again sooner or later; with its start and the boot it never is."""

import os
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


def identity(pid: int) -> str | None:
    """Text that no other process has, ever, on this machine; None where there is no such process.

    On Linux: the boot's id and the start in clock ticks since (proc(5), fields 3 and 22 of `stat`); a zombie is no
    process any more. Elsewhere only the pid is checked, and the text is empty.
    """
    if not _boot():
        return "" if _signals(pid) else None
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    state, *fields = stat[stat.rindex(b")") + 2 :].split()  # the name before it may hold spaces and brackets
    return None if state in (b"Z", b"X") else f"{_boot()}:{fields[18].decode()}"


@cache
def _boot() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
