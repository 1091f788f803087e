"""The runners of one version: asked one batch each at a time, watched, and started again when they end.

A crash costs the batch that was under way and nothing else: the next waits for the new process. Three in a row without
an answer between them, and the crew is out until it is started anew. A process that has grown close to its limit is
replaced between calls, the new one ready before the old one goes.

Questions come from an event loop or from any thread, so what they share is under one lock, held for a few steps.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from payoff.errors import ModelFailed, PayoffError
from payoff.records.columns import Column, Columns, length, take
from payoff.records.model import Bounds
from payoff.runner.runner import Ended, Runner, WantedMemory
from payoff.runner.wire import Said
from payoff.runner.zygote import Zygotes

CRASHES_MAX = 3  # in a row, without a good answer between
_DELAYS_S = (0.0, 0.1, 0.5, 1.0, 2.0)  # before the next start, by crashes in the last minute
_RECENT_S = 60.0
_LOOK_S = 0.1  # between two looks at a process's memory
_WARM_ROWS_MAX = 8
_WARM_BYTES_MAX = 1 << 20

Offer = Callable[[Runner | ModelFailed], None]


def delay_s(crashes: int) -> float:
    """How long to wait before the next start, after so many crashes lately."""
    return _DELAYS_S[min(max(crashes - 1, 0), len(_DELAYS_S) - 1)]


def grown(now_bytes: int, loaded_bytes: int, limit_bytes: int) -> bool:
    """Whether a process has come so close to its limit that a new one should take its place.

    Four fifths, or half-way from where it began to the limit, if that is more: a large model is not a leak.
    """
    return now_bytes > max(0.8 * limit_bytes, (loaded_bytes + limit_bytes) / 2)


class Crew:
    """The processes of one version, `bounds.processes` of them."""

    def __init__(
        self,
        python: Path,
        kind: str,
        artefact: Path,
        options: Mapping[str, Any],
        bounds: Bounds,
        scratch: Path,
        *,
        kinds_path: Path | None = None,
        zygotes: Zygotes | None = None,
    ) -> None:
        self._start: Callable[[], Runner] = lambda: Runner.start(
            python, kind, artefact, options, bounds, scratch, kinds_path=kinds_path, zygotes=zygotes
        )
        self._bounds = bounds
        self._lock = threading.Lock()
        self._all: dict[Runner, int] = {}  # with the memory each had when it was loaded
        self._idle: list[Runner] = []
        self._waiting: deque[Offer] = deque()
        self._leaving: set[Runner] = set()  # end when they have answered
        self._grown: set[Runner] = set()  # another one is started in their place
        self._described: dict[str, Any] = {}
        self._warm: dict[str, Column] | None = None
        self._crashes = 0
        self._lately: deque[float] = deque(maxlen=len(_DELAYS_S))
        self._out = ""
        self._closed = threading.Event()  # until it is started
        self._closed.set()
        self._gone_cpu_ns = 0
        self._looked_s = 0.0
        self.restarts = 0

    # -- life

    def start(self) -> None:
        """Start what is not running, and forget what went wrong before. Blocks; ModelFailed says why it cannot be."""
        missing = self._bounds.processes - len(self._all)
        runners = self._started(missing) if missing > 0 else []
        with self._lock:
            self._crashes, self._out = 0, ""
            self._lately.clear()
            self._closed.clear()
        for runner in runners:
            self._join(runner)

    def _started(self, missing: int) -> list[Runner]:
        with ThreadPoolExecutor(missing, thread_name_prefix="start a model") as pool:
            starts = [pool.submit(self._start) for _ in range(missing)]
        failures = [error for start in starts if (error := start.exception()) is not None]
        runners = [start.result() for start in starts if start.exception() is None]
        try:
            if failures:
                raise failures[0]
            self._described = runners[0].describe()
        except BaseException:
            for runner in runners:
                runner.close()
            raise
        return runners

    def close(self) -> None:
        """End all processes; who waits for an answer is told so."""
        with self._lock:
            self._closed.set()
            runners = list(self._all)
            waiting, self._waiting = self._waiting, deque()
            self._idle, self._leaving, self._grown, self._warm = [], set(), set(), None
        for offer in waiting:
            offer(_unloaded())
        for runner in runners:
            self._bury(runner)

    def describe(self) -> dict[str, Any]:
        """What the model takes and is, as its kind told it at the start."""
        return self._described

    def is_out(self) -> str:
        """Why it answers no more and is not started again; empty while it does."""
        return self._out

    @property
    def cpu_ns(self) -> int:
        """Computing time that all processes of this crew have used, those that are gone included."""
        return self._gone_cpu_ns + sum(runner.cpu_ns for runner in list(self._all))

    @property
    def rss_bytes(self) -> int:
        """Memory that its processes have in use now."""
        return sum(runner.rss_bytes for runner in list(self._all))

    @property
    def pids(self) -> list[int]:
        """Of the processes that serve now."""
        return [runner.pid for runner in list(self._all)]

    @property
    def walls(self) -> dict[str, str]:
        """Which walls stand around the processes: each with why it does not, or ""."""
        return next((runner.walls for runner in list(self._all)), {})

    # -- asking

    def run(self, columns: Columns) -> dict[str, Column]:
        """The answer to these rows; blocks until it is there. ModelFailed says why there is none."""
        runner = self._take_now() or self._take_later()
        loop = runner.wire.loop
        if loop is not None and loop.is_running() and not _in(loop):
            self._release(runner)
            return asyncio.run_coroutine_threadsafe(self.ask(columns), loop).result()
        try:
            answer = runner.ask(columns)
        except Ended as error:
            raise self._crashed(runner, error) from error
        except BaseException as error:
            self._survived(runner, error)
            raise
        self._answered(runner, columns)
        return answer

    async def ask(self, columns: Columns) -> dict[str, Column]:
        """The same for an event loop, which goes on meanwhile. Who stops waiting for the answer harms nobody."""
        runner = self._take_now() or await self._take_soon()
        heard: asyncio.Future[dict[str, Column]] = asyncio.get_running_loop().create_future()
        try:
            runner.begin(runner.question(columns), lambda said: self._hear(runner, columns, heard, said))
        except BaseException:
            self._release(runner)
            raise
        return await heard

    def _hear(self, runner: Runner, columns: Columns, heard: asyncio.Future[dict[str, Column]], said: Said) -> None:
        """The reply is there, or there will be none; in the event loop."""
        try:
            if isinstance(said, Exception):
                raise said
            answer = runner.answer(said, length(columns))
        except ModelFailed as error:
            self._survived(runner, error)
            if not heard.done():
                heard.set_exception(error)
        except Exception as error:
            self._mourn(runner, error, heard)
        else:
            self._answered(runner, columns)
            if not heard.done():
                heard.set_result(answer)

    def _mourn(self, runner: Runner, error: Exception, heard: asyncio.Future[dict[str, Column]] | None) -> None:
        """Ending a process takes time, which an event loop does not have."""

        def end() -> None:
            failure = self._crashed(runner, runner.lost(error))
            if heard is not None:
                _tell(heard, failure)

        _in_background(end)

    # -- who is free

    def _take_now(self) -> Runner | None:
        """A runner that is free, or None if all are busy or being started."""
        with self._lock:
            self._refuse()
            runner = self._idle.pop() if self._idle else None
        if runner is not None and runner.gone:  # it ended while nobody asked
            self._mourn(runner, EOFError(), None)
            return None
        return runner

    def _take_later(self) -> Runner:
        offers: queue.SimpleQueue[Runner | ModelFailed] = queue.SimpleQueue()
        self._queue(offers.put)
        got = offers.get()
        if isinstance(got, ModelFailed):
            raise got
        return got

    async def _take_soon(self) -> Runner:
        loop = asyncio.get_running_loop()
        offered: asyncio.Future[Runner] = loop.create_future()

        def hand(got: Runner | ModelFailed) -> None:
            if isinstance(got, ModelFailed):
                if not offered.done():
                    offered.set_exception(got)
            elif offered.done():
                self._release(got)
            else:
                offered.set_result(got)

        def offer(got: Runner | ModelFailed) -> None:
            try:
                loop.call_soon_threadsafe(hand, got)
            except RuntimeError:  # the loop is closed
                if isinstance(got, Runner):
                    self._release(got)

        self._queue(offer)
        try:
            return await offered
        except asyncio.CancelledError:
            if offered.done() and not offered.cancelled() and offered.exception() is None:
                self._release(offered.result())
            raise

    def _queue(self, offer: Offer) -> None:
        with self._lock:
            self._refuse()
            if not self._idle:
                self._waiting.append(offer)
                return
            runner = self._idle.pop()
        offer(runner)

    def _refuse(self) -> None:
        if self._out:
            raise ModelFailed(self._out)
        if self._closed.is_set():
            raise _unloaded()

    def _release(self, runner: Runner) -> None:
        """It is free: for who waits, or for the next."""
        with self._lock:
            if runner not in self._all or runner in self._leaving:
                offer = None
            elif self._waiting:
                offer = self._waiting.popleft()
            else:
                self._idle.append(runner)
                return
        if offer is not None:
            offer(runner)
        else:
            _in_background(lambda: self._bury(runner))

    def _join(self, runner: Runner) -> None:
        """A new one is ready."""
        runner.wire.unasked = lambda said: self._mourn(
            runner, said if isinstance(said, Exception) else EOFError(), None
        )
        with self._lock:
            if not self._closed.is_set() and not self._out:
                self._all[runner] = runner.held_bytes
        self._release(runner)

    # -- how it went

    def _answered(self, runner: Runner, columns: Columns) -> None:
        self._crashes = 0
        if self._warm is None:
            self._keep(columns)
        now_s = time.monotonic()
        if now_s - self._looked_s > _LOOK_S:
            self._looked_s = now_s
            self._look(runner, self._bounds.memory_bytes_max)
        self._release(runner)

    def _survived(self, runner: Runner, error: BaseException) -> None:
        """It failed and lives. If it found no memory while holding much itself, it is better replaced."""
        if runner.ended:
            self._crashed(runner, Ended(runner.ended))
            return
        if isinstance(error, WantedMemory):
            self._look(runner, self._bounds.memory_bytes_max // 2)
        self._release(runner)

    def _look(self, runner: Runner, limit_bytes: int) -> None:
        loaded = self._all.get(runner)
        if loaded is None or runner in self._grown or not grown(runner.held_bytes, loaded, limit_bytes):
            return
        self._grown.add(runner)
        _in_background(lambda: self._replace(runner))

    def _keep(self, columns: Columns) -> None:
        """Some rows that it has answered, with which a new process is warmed."""
        rows = take(columns, slice(0, _WARM_ROWS_MAX))
        if sum(column.values.nbytes for column in rows.values()) <= _WARM_BYTES_MAX:
            self._warm = {
                name: Column(column.values.copy(), None if column.valid is None else column.valid.copy())
                for name, column in rows.items()
            }

    def _crashed(self, runner: Runner, ended: Ended) -> ModelFailed:
        """Count it, have another started unless it is too many, and say both."""
        with self._lock:
            known = runner in self._all and runner not in self._leaving
        self._bury(runner)
        if self._closed.is_set():
            return _unloaded()
        if not known:
            return ended
        return ModelFailed(f"{ended}; {self._strike(str(ended))}")

    def _strike(self, why: str) -> str:
        """One more process ended: what is done about it, in words."""
        with self._lock:
            self._crashes += 1
            now_s = time.monotonic()
            self._lately.append(now_s)
            delay = delay_s(sum(now_s - then < _RECENT_S for then in self._lately))
            if self._crashes >= CRASHES_MAX:
                times = f"{self._crashes} times in a row with no answer between"
                self._out = f"the model's process ended {times}, so it is not started again; the last time: {why}"
        if self._out:
            self._leave()
            return f"that was {self._crashes} times in a row, so it is not started again"
        _in_background(lambda: self._revive(delay))
        return "it is started again"

    def _leave(self) -> None:
        """Out: nobody waits any longer, and no process stays."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            runners = list(self._all)
        for offer in waiting:
            offer(ModelFailed(self._out))
        for runner in runners:
            self._bury(runner)

    # -- in the background

    def _revive(self, delay: float) -> None:
        """Another process in the place of one that ended."""
        if self._closed.wait(delay):
            return
        try:
            runner = self._warmed()
        except PayoffError as error:
            if not self._closed.is_set():
                self._strike(str(error))
            return
        self.restarts += 1
        self._join(runner)

    def _replace(self, old: Runner) -> None:
        """Another process in the place of one that has grown; that goes when it has answered."""
        try:
            runner = self._warmed()
        except PayoffError:
            return  # the old one goes on until it cannot
        with self._lock:
            was_there, was_idle = old in self._all, old in self._idle
            if was_there:
                self._leaving.add(old)
            if was_idle:
                self._idle.remove(old)
        if not was_there:  # it ended meanwhile, and another one has its place
            runner.close()
            return
        self.restarts += 1
        self._join(runner)
        if was_idle:
            self._bury(old)

    def _warmed(self) -> Runner:
        """A new process that has answered once; an error that is only about the rows says it works."""
        runner = self._start()
        try:
            if self._warm is None:
                runner.describe()
            else:
                runner.ask(self._warm)
        except Ended:
            raise
        except ModelFailed:
            pass
        return runner

    def _bury(self, runner: Runner) -> None:
        """End it, and remember only what it has used."""
        runner.close()
        with self._lock:
            if self._all.pop(runner, None) is not None:
                self._gone_cpu_ns += runner.cpu_ns
            self._leaving.discard(runner)
            self._grown.discard(runner)
            if runner in self._idle:
                self._idle.remove(runner)


def _unloaded() -> ModelFailed:
    return ModelFailed("the model was unloaded; ask again, and it is loaded again")


def _in(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _tell(heard: asyncio.Future[Any], error: Exception) -> None:
    """Fail a future of an event loop from another thread."""

    def fail() -> None:
        if not heard.done():
            heard.set_exception(error)

    try:
        heard.get_loop().call_soon_threadsafe(fail)
    except RuntimeError:
        return  # the loop is closed: nobody waits


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="watch a model", daemon=True).start()
