"""Latencies as counts: bounded memory, however many answers come, and they add up over processes.

A latency of n bits counts at its highest 8 bits, so a percentile is at most 0.8 % too low.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

BITS = 8


def place(us: int) -> int:
    """Where a latency of so many microseconds counts: itself, cut to its highest bits."""
    spare = us.bit_length() - BITS
    return us if spare <= 0 else us >> spare << spare


def merged(parts: Iterable[Mapping[int, int]]) -> Counter[int]:
    """The counts of several processes as one."""
    whole: Counter[int] = Counter()
    for part in parts:
        whole.update(part)
    return whole


def percentile_us(counts: Mapping[int, int], share: float) -> int | None:
    """The least latency that at least this share, 0 to 1, of the answers did not exceed; None without answers."""
    wanted, seen = share * sum(counts.values()), 0
    for us in sorted(counts):
        seen += counts[us]
        if seen >= wanted:
            return us
    return None
