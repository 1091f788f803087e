"""The models of a worker: a seat for every version, so many of them hot, the rest a file away."""

import asyncio
import ctypes
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from payoff.errors import ModelFailed, PayoffError
from payoff.flavors import Loaded
from payoff.records import Arm, Revision, Served
from payoff.runner.zygote import Zygotes
from payoff.serving.proof import Proof
from payoff.serving.scale import Scale
from payoff.serving.seat import NotReady, Seat
from payoff.serving.threads import Threads
from payoff.store.blobs import Blobs
from payoff.store.folders import Unpacked

if TYPE_CHECKING:
    from payoff.environments.environments import Environments

QUICK = ("onnx", "rule")  # they start nothing and ask nobody: what takes long never keeps them from loading


@dataclass(frozen=True, slots=True)
class Heat:
    """How many models stay loaded, how they are loaded, and how long a call waits for one that is not."""

    hot_max: int = 50
    idle_s_max: float = 3_600.0  # unused for so long, a model is let go of
    wait_s_max: float = 30.0  # of a call, for a cold model
    loads_max: int = 4  # at the same time, of either kind
    threads_max: int = 1  # of the CPU that one call of a large model may have: the worker's share of the cores
    engines: tuple[str, ...] = ()  # that are only used if asked for


class Models:
    """Seats by version, shared by every revision that needs them. Belongs to one event loop."""

    def __init__(
        self, blobs: Blobs, unpacked: Unpacked, environments: "Environments", room: Path, limits: Heat = Heat()
    ) -> None:
        self.limits = limits
        self.room = room
        self.shared: Path | None = unpacked.root
        self.zygotes: Zygotes | None = Zygotes(read=[blobs.root, unpacked.root], write=[room])
        self.loads = self.closes = 0
        self._blobs = blobs
        self._unpacked = unpacked
        self._environments = environments
        self._seats: dict[bytes, Seat] = {}
        self._tasks: dict[Seat, asyncio.Task[Loaded | NotReady]] = {}
        self._quick = ThreadPoolExecutor(limits.loads_max, "load")
        self._slow = ThreadPoolExecutor(limits.loads_max, "start")
        self._closer = ThreadPoolExecutor(limits.loads_max, "close")
        self._scale = Scale()
        self._threads = Threads()

    def seat(self, arm: Arm) -> Seat:
        """The seat of an arm's version, cold if nobody needed it before."""
        key = msgspec.msgpack.encode((arm.model, arm.version, arm.served))
        if key not in self._seats:
            self._seats[key] = Seat(arm.served, self._warm, arm.model, arm.version)
        return self._seats[key]

    def seats(self, revision: Revision) -> list[Seat]:
        """The seats of its arms."""
        return [self.seat(arm) for arm in revision.arms]

    @property
    def hot(self) -> int:
        """How many are loaded."""
        return len(self.resident)

    @property
    def resident(self) -> list[Seat]:
        """Those that are loaded."""
        return [seat for seat in self._seats.values() if seat.loaded is not None]

    async def heat(self, seat: Seat) -> None:
        """Load and prove a seat that is cold, or out; takes as long as it takes. ModelFailed says why it cannot be."""
        if seat.out:
            self._close(seat)
            seat.forgive()
        if seat.loaded is not None:
            return
        result = await asyncio.shield(self._loading(seat))
        if isinstance(result, NotReady):
            raise ModelFailed(str(result)) from result

    async def heat_all(self, seats: Iterable[Seat]) -> None:
        """All of these; the first failure is told when the others have come to their end too."""
        results = await asyncio.gather(*map(self.heat, seats), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def cool_down(self) -> None:
        """Let go of models that are out, that nobody used for long, and of the longest unused beyond the limit."""
        free = sorted((s for s in self._seats.values() if s.loaded and not s.users), key=lambda seat: seat.used_s)
        old_s = time.monotonic() - self.limits.idle_s_max
        beyond = self.hot - self.limits.hot_max
        for place, seat in enumerate(free):
            if place < beyond or seat.used_s < old_s or seat.out:
                self._close(seat)

    def keep_only(self, needed: Iterable[Seat]) -> None:
        """Let go of every seat that no revision needs, but for those with a batch or being loaded."""
        kept = set(needed)
        for key, seat in list(self._seats.items()):
            if seat not in kept and not seat.users and seat not in self._tasks:
                del self._seats[key]
                self._close(seat)

    def close(self) -> None:
        """Let go of everything, at the end of the worker; waits until it is gone."""
        for seat in self._seats.values():
            self._close(seat)
        for threads in (self._quick, self._slow):
            threads.shutdown(wait=False, cancel_futures=True)
        self._closer.shutdown()
        self._threads.close()
        if self.zygotes is not None:
            self.zygotes.close()

    # -- what flavors are offered (payoff.flavors.Surroundings); called in the threads that load

    def artefact(self, served: Served) -> Path:
        """The file of the version, or its folder."""
        path = self._path(served.digest)
        return self._unpacked.path(served.digest, path) if served.folder else path

    def python(self, environment: str) -> Path:
        """The interpreter of an environment."""
        return self._environments.find(environment).python

    def load(self, served: Served) -> Loaded:
        """The model, loaded and proven on its sample rows here; it is the caller's to close."""
        golden = self._path(served.golden) if served.golden is not None else None
        loaded = Proof(served, self, golden, self.limits.threads_max, self.limits.engines).load()
        if loaded.in_process and not loaded.held_bytes:
            loaded = replace(loaded, held_bytes=self._path(served.digest).stat().st_size)
        return self._threads.place(loaded)

    def _path(self, digest: str) -> Path:
        if not self._blobs.has(digest):
            raise ModelFailed(f"artefact {digest[:12]} is missing from artifacts/; deploy the model again")
        return self._blobs.path(digest)

    # -- hot and cold

    async def _warm(self, seat: Seat) -> Loaded:
        """For a call that found the seat cold; NotReady if it takes longer than a call waits, or fails."""
        task = self._loading(seat)
        done, _ = await asyncio.wait([task], timeout=self.limits.wait_s_max)
        if not done:
            raise NotReady(f"the model is still being loaded after {self.limits.wait_s_max:g} s; try again in a while")
        result = task.result()
        if isinstance(result, NotReady):
            raise result
        return result

    def _loading(self, seat: Seat) -> "asyncio.Task[Loaded | NotReady]":
        """The one load of this seat, whoever waits for it."""
        task = self._tasks.get(seat)
        if task is None:
            task = self._tasks[seat] = asyncio.get_running_loop().create_task(self._load(seat))
        return task

    async def _load(self, seat: Seat) -> Loaded | NotReady:
        threads = self._quick if seat.served.flavor in QUICK else self._slow
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(
                threads, self._scale.weigh, seat.served.flavor, partial(self.load, seat.served)
            )
        except Exception as error:
            seat.fail(words(error))
            return NotReady(seat.trouble)
        finally:
            del self._tasks[seat]
        self.loads += 1
        seat.heat(loaded)
        self.cool_down()
        return loaded

    def _close(self, seat: Seat) -> None:
        """The closing may take a while and happens aside; the model is unused from this moment on."""
        loaded = seat.cool()
        if loaded is not None:
            self.closes += 1
            self._closer.submit(_end, [loaded])


def words(error: Exception) -> str:
    """What went wrong, for people."""
    text = str(error) if isinstance(error, PayoffError) else f"{type(error).__name__}: {error}"
    return text[:_WORDS_MAX]


_WORDS_MAX = 4_000


def _end(held: list[Loaded]) -> None:
    """Close a model and give its memory back to the system; `held` is the last to hold it."""
    with suppress(Exception):
        held[0].close()
    held.clear()
    if (trim := _trimmer()) is not None:
        trim(0)


@cache
def _trimmer() -> Any:
    """glibc's malloc_trim: without it, what a model gave back stays with this process. None on other systems."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
