"""Waiting for what other processes do: until it is so, however slow the machine, and never for ever."""

import time
from collections.abc import Callable

PATIENCE_S = 120.0  # ends what hangs; nothing that works comes near it


def until(holds: Callable[[], object], otherwise: str | Callable[[], object], every_s: float = 0.02) -> None:
    """Returns as soon as something holds; fails with these words if that takes longer than PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, otherwise if isinstance(otherwise, str) else otherwise()
        time.sleep(every_s)
