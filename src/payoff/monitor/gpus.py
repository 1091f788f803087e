"""GPUs, where nvidia-smi tells of some: how many there are, and which part of one each process uses.

Without nvidia-smi on the path there are none, and nothing is asked.
"""

import shutil
import subprocess
from functools import cache

ASK_S_MAX = 5.0
_MILLION = 1_000_000


def used() -> tuple[int, dict[int, int]]:
    """How many GPUs there are, and by pid how many millionths of a GPU it uses now."""
    if (program := _program()) is None:
        return 0, {}
    count = sum(line.startswith("GPU ") for line in _said(program, "-L").splitlines())
    return count, parts(_said(program, "pmon", "-c", "1", "-s", "u")) if count else {}


def parts(said: str) -> dict[int, int]:
    """The same from what `nvidia-smi pmon -s u` prints: a head with the columns' names, and a line per process."""
    columns: list[str] = []
    found: dict[int, int] = {}
    for line in said.splitlines():
        words = line.split()
        if line.startswith("#"):
            columns = columns or words[1:]
            continue
        row = dict(zip(columns, words, strict=False))
        pid, percent = row.get("pid", "-"), row.get("sm", "-")
        if pid.isdigit() and percent.isdigit():
            found[int(pid)] = found.get(int(pid), 0) + int(percent) * _MILLION // 100
    return found


@cache
def _program() -> str | None:
    return shutil.which("nvidia-smi")


def _said(program: str, *arguments: str) -> str:
    """What it prints; nothing if it fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - found on the path, with arguments of our own
            [program, *arguments], capture_output=True, text=True, timeout=ASK_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
