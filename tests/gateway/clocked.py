"""An event loop on a thread of its own, whose clock moves on when a test says so."""

import asyncio
import threading
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

from tests.shared import PATIENCE_S


class Ages(Protocol):
    """A connection that looks at the clock when it is told to."""

    def check_time(self, now_s: float, /) -> None: ...


class Clocked(asyncio.SelectorEventLoop):
    """Its time is that of the machine and `ahead_s`."""

    ahead_s = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_s

    def start(self, life: Coroutine[Any, Any, None]) -> threading.Thread:
        """Run this to its end on a thread, and close."""

        def run() -> None:
            self.run_until_complete(life)
            self.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def do(self, act: Callable[[], object]) -> None:
        """On its thread; it has been done when this comes back."""
        done = threading.Event()

        def then() -> None:
            act()
            done.set()

        self.call_soon_threadsafe(then)
        assert done.wait(PATIENCE_S)

    def later(self, seconds: float, connections: Collection[Ages]) -> None:
        """So many seconds pass between two looks at the clock, of each of these."""

        def look() -> None:
            for one in list(connections):
                one.check_time(self.time())

        self.do(look)
        self.ahead_s += seconds
        self.do(look)
