"""Where a model of this process computes: on the event loop if it is quick, in a thread if it would hold up others."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Lock

from payoff.flavors import Loaded
from payoff.records import Column, Columns

THREADS_MAX = 32  # models that compute at the same time; the others wait for a thread


class Threads:
    """The threads of a worker in which large models compute, and give up the interpreter's lock while they do."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS_MAX, "model")

    def place(self, loaded: Loaded) -> Loaded:
        """The model where it is best asked, and how many rows pay in one call there."""
        pace = loaded.pace
        if pace is None:
            return loaded
        if pace.large and loaded.frees_lock:
            loaded = self._away(loaded)
        return replace(loaded, rows_max=pace.rows_max)

    def _away(self, loaded: Loaded) -> Loaded:
        clock = _Clock()

        def run(columns: Columns) -> dict[str, Column]:
            began_ns = time.thread_time_ns()
            try:
                return loaded.run(columns)
            finally:  # its threads work side by side with this one
                clock.add((time.thread_time_ns() - began_ns) * max(1, loaded.threads))

        async def ask(columns: Columns) -> dict[str, Column]:
            return await asyncio.get_running_loop().run_in_executor(self._pool, run, columns)

        return replace(loaded, ask=ask, cpu_ns=lambda: clock.spent_ns, threaded=True)

    def close(self) -> None:
        """Calls under way come to their end; nobody waits for them."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Clock:
    """CPU time, added up by threads."""

    def __init__(self) -> None:
        self.spent_ns = 0
        self._lock = Lock()

    def add(self, spent_ns: int) -> None:
        with self._lock:
            self.spent_ns += spent_ns
