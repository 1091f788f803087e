"""One version's seat in a worker: hot when its model is loaded, cold when not. Whoever asks it need not know which.

Seats belong to the worker's event loop; only the loading itself happens on other threads (see `models`).
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from payoff.errors import ModelFailed
from payoff.flavors import Loaded, Run
from payoff.records import Column, Columns, Served, length
from payoff.serving.fit import check_length

ROWS_MAX = 1 << 30  # of one call, where nobody knows what pays
BACKOFF_S_MAX = 60.0
REST_S, REST_S_MAX = 30.0, 600.0  # of a version that is out, before it is tried again
Warm = Callable[["Seat"], Awaitable[Loaded]]


class NotReady(ModelFailed):
    """The model cannot be asked at all just now, whatever the rows are; the text says why."""


class Slots:
    """At most `most` at a time, in the order they came. Those who may come late let all others pass."""

    def __init__(self, most: int = 1) -> None:
        self.most = most
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._late: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def turn(self, late: bool = False) -> AsyncIterator[None]:
        """Wait for a slot, hold it, and give it back."""
        if self.taken >= self.most:
            turn = asyncio.get_running_loop().create_future()
            (self._late if late else self._waiting).append(turn)
            await turn  # whoever gives a slot back counts it as taken again
        else:
            self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
            self._wake()

    def allow(self, most: int) -> None:
        """So many at a time from now on."""
        self.most = max(1, most)
        self._wake()

    def _wake(self) -> None:
        while self.taken < self.most and (self._waiting or self._late):
            turn = (self._waiting or self._late).popleft()
            if not turn.cancelled():
                self.taken += 1
                turn.set_result(None)


class Seat:
    """A version as this worker has it. `here` is the model if it is hot and computes on this event loop."""

    def __init__(self, served: Served, warm: Warm, model: str = "", version: int = 0) -> None:
        self.served = served
        self.model, self.version = model, version
        self.here: Run | None = None
        self.loaded: Loaded | None = None
        self.rows_max = ROWS_MAX  # that pay in one call of its model
        self.slots = Slots()
        self.used_s = 0.0
        self.users = 0  # batches that are with the model, or wait for it to be loaded
        self.trouble = ""  # why it could not be loaded the last time
        self.failures = 0  # to load it, one after the other
        self.outs = 0  # how often it was out since somebody brought it into service
        self.again_s = 0.0  # when to try that again
        self._out = ""
        self._warm = warm
        self._booked_ns = 0

    @property
    def out(self) -> str:
        """Why the version is out in this worker: it crashed again and again. Empty if it is not."""
        return self._out or (self.loaded.is_out() if self.loaded is not None and self.here is None else "")

    def excuse(self) -> str:
        """Why it is not worth asking now; empty if it is."""
        if self.here is not None:
            return ""
        if out := self.out:
            if self.loaded is not None or time.monotonic() < self.again_s:
                return out
            self._out = ""  # it has rested, and is tried once more
        waits = self.loaded is None and self.failures and time.monotonic() < self.again_s
        return self.trouble if waits else ""

    async def ask(self, columns: Columns) -> tuple[dict[str, Column], int]:
        """Its answers, and the CPU time that they cost elsewhere; loads it first if it is cold."""
        if excuse := self.excuse():
            raise NotReady(excuse)
        self.users += 1
        try:
            loaded = self.loaded or await self._warm(self)
            self.used_s = time.monotonic()
            if loaded.ask is None:
                return loaded.run(columns), 0
            try:
                found = await loaded.ask(columns)
            except Exception as error:
                if out := self.out:  # it was the last time that this version was tried
                    raise NotReady(out) from error
                raise
            check_length(found, length(columns))
            return found, self._book(loaded)
        finally:
            self.users -= 1
            self.used_s = time.monotonic()

    def _book(self, loaded: Loaded) -> int:
        """What the model computed since somebody last looked; with several at a time, whoever comes back first pays."""
        if loaded.cpu_ns is None:
            return 0
        total = loaded.cpu_ns()
        spent, self._booked_ns = max(0, total - self._booked_ns), total
        return spent

    # -- what Models does with it

    def heat(self, loaded: Loaded) -> None:
        """It is loaded and proven."""
        self.loaded = loaded
        self.here = loaded.run if loaded.ask is None else None
        self.rows_max = loaded.rows_max or ROWS_MAX
        self.used_s = time.monotonic()
        self.trouble, self.failures, self._out = "", 0, ""
        self._booked_ns = loaded.cpu_ns() if loaded.cpu_ns is not None else 0
        self.slots.allow(loaded.batches_max)

    def cool(self) -> Loaded | None:
        """It is cold from now on; whoever calls closes what this gives back."""
        if not self._out and (out := self.out):
            self._out = out
            self.again_s = time.monotonic() + min(REST_S_MAX, REST_S * 2.0 ** min(self.outs, 10))
            self.outs += 1
        loaded, self.loaded, self.here = self.loaded, None, None
        self.slots.allow(1)
        return loaded

    def fail(self, words: str) -> None:
        """It could not be loaded; the next call after a while tries again."""
        self.trouble = words
        self.failures += 1
        self.again_s = time.monotonic() + min(BACKOFF_S_MAX, 2.0 ** min(self.failures - 1, 10))

    def forgive(self) -> None:
        """A new life: it may be loaded again at once."""
        self._out, self.trouble, self.failures, self.outs = "", "", 0, 0
