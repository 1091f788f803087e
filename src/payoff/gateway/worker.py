"""One inference worker: builds the desk, opens the door, follows the live revisions, and leaves gracefully.

`python -m payoff.gateway.worker --home DIR --fd N --index I`, started by `payoff up`. It knows no database: what it
serves stands in HOME/live, what it answered goes to HOME/journal, and it goes on when the control plane is gone.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import uvloop

from payoff.clock import now_us
from payoff.doors import LOOPBACK, is_loopback
from payoff.errors import PayoffError
from payoff.gateway.http import Connection, Door, Limits
from payoff.gateway.routes import Routes
from payoff.journal.ids import Ids
from payoff.journal.writer import Writer
from payoff.records import Revision
from payoff.serving import Desk, Live, Models, prepare
from payoff.store import live as exchange
from payoff.store.blobs import Blobs

POLL_S = 0.02
HOUSEKEEPING_S = 1.0
DRAIN_S = 8.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the supervisor told this worker."""

    home: Path
    fd: int
    index: int
    lifeline_fd: int | None
    sync: bool
    body_bytes_max: int
    key: str | None


class Follower:
    """Keeps the desk's live revisions equal to HOME/live, and tells the control plane what is ready."""

    def __init__(self, settings: Settings, desk: Desk) -> None:
        self._home = settings.home
        self._index = settings.index
        self._desk = desk
        self._models = Models(Blobs(settings.home / "artifacts"))
        self._prepared: dict[str, Live] = {}
        self._failed: dict[str, tuple[int, str]] = {}
        self._thread = ThreadPoolExecutor(1, "load")
        self._stamp = -1
        self._boot_id = exchange.boot_id()

    async def follow(self) -> None:
        """Look for news for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Take over whatever was published since the last look."""
        stamp = exchange.stamp(self._home)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        published = exchange.read_all(self._home)
        for name in self._desk.lives.keys() - published.keys():
            del self._desk.lives[name]
        for name, found in published.items():
            if isinstance(found, str):
                self._failed[name] = (0, found)
                continue
            await self._take(name, found)
        self._let_go(published)
        self.report()

    async def _take(self, name: str, found: exchange.Live) -> None:
        current = self._desk.lives.get(name)
        if found.current and (current is None or current.revision != found.current):
            ready = self._prepared.pop(name, None)
            if ready is None or ready.revision != found.current:
                ready = await self._load(name, found.current)
            if ready is not None:
                self._desk.lives[name] = ready
        if found.prepare is None:
            self._prepared.pop(name, None)
        elif name not in self._prepared or self._prepared[name].revision != found.prepare:
            ready = await self._load(name, found.prepare)
            if ready is not None:
                self._prepared[name] = ready

    async def _load(self, name: str, revision: Revision) -> Live | None:
        try:
            ready = await asyncio.get_running_loop().run_in_executor(self._thread, prepare, revision, self._models)
        except Exception as error:
            words = str(error) if isinstance(error, PayoffError) else f"{type(error).__name__}: {error}"
            self._failed[name] = (revision.number, words[:4_000])
            return None
        self._failed.pop(name, None)
        return ready

    def _let_go(self, published: dict[str, exchange.Live | str]) -> None:
        kept = [*self._desk.lives.values(), *self._prepared.values()]
        self._models.keep_only({arm.served.digest for live in kept for arm in live.revision.arms})

    def report(self) -> None:
        """Write this worker's status for the control plane."""
        desk = self._desk
        exchange.report(
            self._home,
            self._index,
            exchange.Status(
                worker=self._index,
                pid=os.getpid(),
                boot_id=self._boot_id,
                at_us=now_us(),
                serving={name: live.revision.number for name, live in desk.lives.items()},
                ready={name: live.revision.number for name, live in self._prepared.items()},
                failed=dict(self._failed),
                counters=desk.counters.as_dict(),
            ),
        )


async def work(settings: Settings) -> None:
    """The worker's whole life."""
    loop = asyncio.get_running_loop()
    writer = Writer(settings.home / "journal", f"worker-{settings.index}", sync=settings.sync)
    desk = Desk(writer, Ids(settings.index))
    follower = Follower(settings, desk)
    await follower.refresh()
    listener = socket.socket(fileno=settings.fd)
    listener.setblocking(False)
    hosts = LOOPBACK if is_loopback(listener.getsockname()[0]) else None
    routes = Routes(desk, settings.key, hosts)
    door = Door(routes.answer, Limits(body_bytes_max=settings.body_bytes_max))
    leave = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    if settings.lifeline_fd is not None:
        loop.add_reader(settings.lifeline_fd, leave.set)
    server = await loop.create_server(lambda: Connection(door), sock=listener)
    tasks = [asyncio.create_task(follower.follow()), asyncio.create_task(keep_house(door, writer, follower))]
    await leave.wait()
    if settings.lifeline_fd is not None:
        loop.remove_reader(settings.lifeline_fd)
    server.close()
    await drain(door, desk)
    for task in tasks:
        task.cancel()
    writer.close()


async def keep_house(door: Door, writer: Writer, follower: Follower) -> None:
    """Once a second: slow connections, old segments, the status file."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(HOUSEKEEPING_S)
        now = loop.time()
        for connection in list(door.open):
            connection.check_time(now)
        writer.rotate_if_due()
        follower.report()


async def drain(door: Door, desk: Desk) -> None:
    """Answer what has arrived, take nothing new, and close."""
    door.closing = True
    until = asyncio.get_running_loop().time() + DRAIN_S
    while (door.open or not desk.idle) and asyncio.get_running_loop().time() < until:
        for connection in list(door.open):
            connection.drain()
        await asyncio.sleep(0.01)


def parse(arguments: list[str]) -> Settings:
    """The command line, and PAYOFF_KEY from the environment."""
    parser = argparse.ArgumentParser(prog="payoff.gateway.worker")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--index", type=int, default=0)
    parser.add_argument("--lifeline-fd", type=int)
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--body-max", type=int, default=64 << 20)
    found = parser.parse_args(arguments)
    key = os.environ.get("PAYOFF_KEY") or None
    return Settings(found.home, found.fd, found.index, found.lifeline_fd, found.sync, found.body_max, key)


if __name__ == "__main__":
    uvloop.run(work(parse(sys.argv[1:])))
