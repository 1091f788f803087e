"""Looks at the memory of models' processes while they compute, and ends one that takes more than it may.

The kernel's own limit (RLIMIT_DATA) counts neither shared memory nor what child processes hold; this does.
"""

from __future__ import annotations

import threading
import time
import weakref
from typing import Protocol

from payoff.runner.process import tree_bytes

LOOK_S = 0.25
GRACE = 1.25  # one that has grown a little too large is replaced after its call, which harms nobody


class Watched(Protocol):
    """A process with a limit."""

    ended: str

    @property
    def pid(self) -> int:
        """Of the process."""

    @property
    def memory_bytes_max(self) -> int:
        """What it and its children may hold."""

    def condemn(self, why: str) -> None:
        """End it; whoever waits for it hears why."""


class Watch:
    """One thread for all processes; it starts with the first."""

    def __init__(self) -> None:
        self._all: weakref.WeakSet[Watched] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, one: Watched) -> None:
        """Watch it until it has ended, or nobody holds it any more."""
        with self._lock:
            self._all.add(one)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="watch memory", daemon=True)
                self._thread.start()

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_S)
            with self._lock:
                there = list(self._all)
            for one in there:
                self._look(one)
            del there

    def _look(self, one: Watched) -> None:
        if one.ended:
            with self._lock:
                self._all.discard(one)
        elif (held := tree_bytes(one.pid)) > GRACE * one.memory_bytes_max:
            limit = f"{one.memory_bytes_max / 2**30:.3g} GiB (--memory)"
            one.condemn(f"with its children it held {held / 2**30:.3g} GiB of memory, and may hold {limit}")


WATCH = Watch()
