"""An event loop on a thread of its own, whose clock moves on when a test says so."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from tests.shared import PATIENCE_S


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
        self.call_soon_threadsafe(lambda: (act(), done.set()))
        assert done.wait(PATIENCE_S)

    def later(self, seconds: float, look: Callable[[], object]) -> None:
        """So many seconds pass between two looks."""
        self.do(look)
        self.ahead_s += seconds
        self.do(look)
