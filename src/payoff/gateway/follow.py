"""Keeps a worker's live revisions equal to HOME/live, and tells the control plane what is ready.

Loading a model may take long and happens on threads of their own. A change that needs no loading, a kill above all,
never waits for one that does: it takes effect at the next look, which comes every 20 ms. When a worker starts, what is
published answered before: it is taken over asleep, so that the doors open at once, and woken and warmed while calls
come in.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from payoff.clock import now_us
from payoff.environments.environments import Environments
from payoff.errors import ModelFailed, PayoffError
from payoff.gateway.process import settle
from payoff.records import Arm, Revision, Role
from payoff.serving import Desk, Heat, Live, Models, Seat, prepare
from payoff.serving.models import words
from payoff.store import live as exchange
from payoff.store.blobs import Blobs
from payoff.store.files import folder
from payoff.store.folders import Unpacked

LOOK_S = 0.02
AGAIN_S = 0.5  # after a failure
WARM_MAX = 2  # models loaded at the same time when a worker starts
WISH_S_MAX = 300.0  # somebody waits so long for an endpoint that he wants warm
REST_S = 0.002  # between two endpoints that are woken: calls go first
log = logging.getLogger("payoff.gateway")


class Follower:
    """One worker's view of what is published."""

    def __init__(self, home: Path, index: int, desk: Desk, heat: Heat) -> None:
        self._home = home
        self._index = index
        self._desk = desk
        environments = Environments.of(home)
        room = home / "run" / f"runners-{index}"
        shutil.rmtree(room, ignore_errors=True)  # what a worker left that was killed
        unpacked = Unpacked(home / "unpacked")
        self.models = Models(Blobs(home / "artifacts"), unpacked, environments, folder(room), heat)
        self._reader = exchange.Reader(home)
        self._published: dict[str, exchange.Live | str] = {}
        self._prepared: dict[str, Live] = {}
        self._failed: dict[str, tuple[Revision, str]] = {}
        self._loading: dict[str, tuple[Revision, asyncio.Task[None]]] = {}
        self._asleep: dict[str, Revision] = {}
        self._rousing: asyncio.Task[None] | None = None
        self._wishes: dict[str, int] = {}
        self._warmed: dict[str, tuple[int, str]] = {}
        self._warming: set[asyncio.Task[None]] = set()
        self._stamp = -1
        self._boot_id = exchange.boot_id()

    async def start(self) -> None:
        """Take over what is published now, and begin to wake and warm it."""
        stamp, self._published = exchange.stamp(self._home), self._reader.read()
        for name, found in self._published.items():
            if isinstance(found, exchange.Live) and found.current is not None:
                self._asleep[name] = found.current
                self._desk.asleep[name] = partial(self._wake, name, found.current)
        self._stamp = stamp
        for name in self._published:
            self._settle(name)
        self._rousing = asyncio.get_running_loop().create_task(self._rouse())
        self._hear_wishes()
        self.report()

    async def follow(self) -> None:
        """Look for news for ever; what goes wrong once, a full disk say, is told and tried again."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self.look()
            except (PayoffError, OSError) as error:
                self._stamp = -1  # whatever was missed is seen at the next look
                log.error("worker %d cannot follow the live revisions: %s", self._index, error)
                await asyncio.sleep(AGAIN_S)

    def look(self) -> None:
        """Take over what was published since the last look."""
        stamp = exchange.stamp(self._home)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        self._published = self._reader.read()
        for name in {*self._desk.names(), *self._prepared, *self._failed} - self._published.keys():
            self._desk.replace(name, None)
            self._put_to_rest(name)
            self._prepared.pop(name, None)
            self._failed.pop(name, None)
            self._warmed.pop(name, None)
        for name in self._published:
            self._settle(name)
        self._hear_wishes()
        self.let_go()
        self.report()

    def _hear_wishes(self) -> None:
        """Warm the endpoints that somebody, at this worker or another, wants warm and still waits for."""
        wishes = exchange.wanted_warm(self._home)
        for name, number in wishes.items():
            if number > self._wishes.get(name, 0) and now_us() - number < WISH_S_MAX * 1e6:
                task = asyncio.get_running_loop().create_task(self._warm_all(name, number))
                self._warming.add(task)
                task.add_done_callback(self._warming.discard)
        self._wishes = wishes

    async def _warm_all(self, name: str, number: int) -> None:
        """All models of an endpoint; what comes of it is in the report."""
        said = ""
        try:
            await self.models.heat_all(self._desk.find(name).seats)
        except Exception as error:
            said = words(error)
        self._warmed[name] = (number, said)
        self.report()

    def _wake(self, name: str, revision: Revision) -> Live:
        """Make ready what was taken over; its models are cold, and prove themselves when they are loaded."""
        self._asleep.pop(name, None)
        try:
            return prepare(revision, self.models)
        except Exception as error:
            self._failed[name] = (revision, words(error))
            raise ModelFailed(f"{name} cannot answer: {words(error)}") from error

    async def _rouse(self) -> None:
        """Load what was taken over, the newest first, as much as is to stay hot; and wake all of it, bit by bit."""
        newest = sorted(self._asleep.values(), key=lambda revision: revision.created_at_us, reverse=True)
        seats = [seat for one in newest[: self.models.limits.hot_max] for seat in self.models.seats(one)]
        hot = iter(dict.fromkeys(seats[: self.models.limits.hot_max]))
        warming = asyncio.gather(*(self._warm(hot) for _ in range(WARM_MAX)))
        for revision in newest:
            with suppress(Exception):  # it is in the report
                self._desk.wake(revision.endpoint)
            await asyncio.sleep(REST_S)
        await warming
        settle()

    async def _warm(self, seats: Iterator[Seat]) -> None:
        """One after the other; calls that come meanwhile need the processor too."""
        for seat in seats:
            with suppress(ModelFailed):  # it is in the report
                await self.models.heat(seat)

    def _put_to_rest(self, name: str) -> None:
        """What was asleep is not to be woken any more."""
        self._asleep.pop(name, None)
        self._desk.asleep.pop(name, None)

    def _current(self, name: str) -> Revision | None:
        live = self._desk.lives.get(name)
        return live.revision if live is not None else self._asleep.get(name)

    def _settle(self, name: str) -> None:
        found = self._published.get(name)
        if not isinstance(found, exchange.Live):
            return  # the file cannot be read: what is served stays
        current = self._current(name)
        if found.current is not None and found.current is not current and found.current != current:
            ready = self._ready(name, found.current)
            if ready is not None:
                self._put_to_rest(name)
                self._desk.replace(name, ready)
        if found.prepare is not None and self._ready(name, found.prepare) is not None:
            return
        if found.prepare is None:
            self._prepared.pop(name, None)
            self._forget_failure(name, found.current)

    def _ready(self, name: str, revision: Revision) -> Live | None:
        """The revision if it can answer now; otherwise it is being loaded, or has failed."""
        prepared = self._prepared.get(name)
        if prepared is not None and prepared.revision == revision:
            return prepared
        if name in self._failed and self._failed[name][0] == revision:
            return None
        fresh = self._fresh(name, revision)
        if all(seat.loaded is not None and not seat.out for seat in fresh):
            return self._prepare_now(name, revision)
        if name not in self._loading:
            task = asyncio.get_running_loop().create_task(self._load(name, revision, fresh))
            self._loading[name] = (revision, task)
        return None

    def _fresh(self, name: str, revision: Revision) -> list[Seat]:
        """What has to be loaded and proven before the revision answers: versions that are new to the endpoint, and
        those that are out and come back. What has answered before may be cold."""
        current = self._current(name)
        known = set(self.models.seats(current)) if current is not None else set()
        seats = [(arm, self.models.seat(arm)) for arm in revision.arms]
        return [seat for arm, seat in seats if seat not in known or (seat.out and arm.role is not Role.KILLED)]

    def _prepare_now(self, name: str, revision: Revision) -> Live | None:
        try:
            self._prepared[name] = prepare(revision, self.models)
        except Exception as error:
            self._failed[name] = (revision, words(error))
            return None
        self._failed.pop(name, None)
        return self._prepared[name]

    async def _load(self, name: str, revision: Revision, seats: list[Seat]) -> None:
        """Load the models of a revision on the side; whatever comes of it, settle again."""
        try:
            await self.models.heat_all(seats)
        except Exception as error:
            self._failed[name] = (revision, words(error))
        finally:
            del self._loading[name]
        self._settle(name)
        self.report()

    def _forget_failure(self, name: str, current: Revision | None) -> None:
        if name in self._failed and self._failed[name][0] != current:
            del self._failed[name]

    def let_go(self) -> None:
        """Free what nothing needs; not while something is being loaded or woken, which may need it next."""
        self._desk.let_go()
        self.models.cool_down()
        if not self._loading and not self._asleep:
            kept = [*self._desk.lives.values(), *self._prepared.values()]
            self.models.keep_only({seat for live in kept for seat in live.seats} | self._desk.in_use())

    def report(self) -> None:
        """Write this worker's status for the control plane."""
        unread = {name: (0, found) for name, found in self._published.items() if isinstance(found, str)}
        failed = {name: (revision.number, text) for name, (revision, text) in self._failed.items()}
        models = {
            "models_hot": self.models.hot,
            "models_loaded": self.models.loads,
            "models_closed": self.models.closes,
        }
        serving = {name: revision.number for name, revision in self._asleep.items()}
        status = exchange.Status(
            worker=self._index,
            pid=os.getpid(),
            boot_id=self._boot_id,
            at_us=now_us(),
            serving=serving | {name: live.revision.number for name, live in self._desk.lives.items()},
            ready={name: live.revision.number for name, live in self._prepared.items()},
            failed=unread | self._cold_failures() | failed,
            counters=self._desk.counters.as_dict() | models,
            out={name: out for name, live in self._desk.lives.items() if (out := _out(live))},
            resident=tuple(_resident(seat) for seat in self.models.resident),
            warmed=dict(self._warmed),
        )
        exchange.report(self._home, self._index, status)

    def _cold_failures(self) -> dict[str, tuple[int, str]]:
        """Versions that are served, were let go of, and could not be loaded again."""
        found = {}
        for name, live in self._desk.lives.items():
            if trouble := next((seat.trouble for seat in live.seats if seat.trouble), ""):
                found[name] = (live.revision.number, trouble)
        return found


def _resident(seat: Seat) -> exchange.Resident:
    """What a loaded version takes, and how it is computed."""
    loaded = seat.loaded
    if loaded is None:
        return exchange.Resident(seat.model, seat.version, 0)
    return exchange.Resident(
        model=seat.model,
        version=seat.version,
        held_bytes=loaded.held_bytes,
        pids=tuple(loaded.pids()),
        engine=loaded.engine,
        threaded=loaded.threaded,
        one_row_us=loaded.pace.one_row_s * 1e6 if loaded.pace is not None else None,
        rows_max=loaded.rows_max,
    )


def _out(live: Live) -> dict[str, str]:
    """The arms that are out in this worker, and why."""
    arms: list[tuple[Arm, Seat]] = list(zip(live.revision.arms, live.seats, strict=True))
    return {arm.name: seat.out for arm, seat in arms if seat.out}
