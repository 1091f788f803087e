"""One inference worker: builds the desk, opens the doors, follows the live revisions, and leaves gracefully.

`python -m payoff.gateway.worker --home DIR --fd N --index I`, started by `payoff up`. It knows no database: what it
serves stands in HOME/live, what it answered goes to HOME/journal, and it goes on when the control plane is gone.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import uvloop

from payoff.doors import LOOPBACK, is_loopback, logs
from payoff.doors.tls import HTTP, HTTP2, Tls
from payoff.errors import PayoffError
from payoff.gateway import process
from payoff.gateway.accept import Acceptor
from payoff.gateway.alert import Alert
from payoff.gateway.board import Board, Turns
from payoff.gateway.follow import Follower
from payoff.gateway.http import Connection
from payoff.gateway.metrics import Vitals
from payoff.gateway.repository import Repository
from payoff.gateway.request import Door, Limits
from payoff.gateway.routes import Routes, explain
from payoff.gateway.settings import Settings, parse
from payoff.gateway.shared_memory import Regions
from payoff.gateway.slow import SlowLog
from payoff.gateway.tensors import ROWS_MAX
from payoff.gateway.v2 import V2
from payoff.journal.ids import Ids
from payoff.journal.segment import newest_us
from payoff.journal.writer import Writer
from payoff.serving import Desk, Heat
from payoff.serving.meter import Meter
from payoff.store.sheets import Sheet

HOUSEKEEPING_S = 1.0
DRAIN_S = 8.0
GRACE_TURNS, TURN_S = 25, 0.01  # a worker that leaves still hears what was sent before its callers could know
log = logging.getLogger("payoff.gateway")


class Hall(Protocol):
    """What the connections of one door share.

    A connection keeps itself in `open`, and has `check_time(now)`, which ends it if it takes too long to say something,
    and `drain()`, which ends it unless an answer is under way.
    """

    open: set[Any]
    closing: bool  # an answer is the last of its connection
    refused: int  # connections


@dataclass(frozen=True, slots=True)
class Doors:
    """The doors of a worker, and who takes their connections."""

    settings: Settings
    board: Board
    tls: Tls | None
    connections_max: int
    halls: list[Hall] = field(default_factory=list)
    acceptors: list[Acceptor] = field(default_factory=list)

    def open(self, fd: int, hall: Hall, made: Callable[[], asyncio.Protocol], alpn: Sequence[str] = HTTP) -> None:
        """Take connections from a listening socket that is shared with the other workers."""
        turns = Turns(self.board, len(self.acceptors), self.settings.index)
        secure = self.tls.context(alpn) if self.tls is not None else None
        acceptor = Acceptor(socket.socket(fileno=fd), made, turns, secure)
        hall.open = acceptor.open
        self.halls.append(hall)
        self.acceptors.append(acceptor)
        acceptor.start()

    def check_time(self) -> None:
        """End connections that say nothing for too long."""
        now = asyncio.get_running_loop().time()
        for hall in self.halls:
            for line in list(hall.open):
                line.check_time(now)

    async def close(self, idle: Callable[[], bool]) -> None:
        """Take nothing new, answer what has arrived, and close. Turns of the loop are counted, not only seconds: where
        the machine is too busy to run this process, what has arrived has not been read yet."""
        loop = asyncio.get_running_loop()
        for acceptor in self.acceptors:
            acceptor.close()
        for hall in self.halls:
            hall.closing = True
        began, turns = loop.time(), 0
        while (self._busy() or not idle()) and loop.time() < began + DRAIN_S:
            await asyncio.sleep(TURN_S)
            turns += 1
            if turns > GRACE_TURNS:
                self._drain()

    def numbers(self) -> dict[str, int]:
        """How many connections are open, were taken, and were refused."""
        taken = sum(acceptor.taken for acceptor in self.acceptors)
        refused = sum(hall.refused for hall in self.halls)
        still = sum(len(hall.open) for hall in self.halls)
        return {"connections_open": still, "connections": taken, "connections_refused": refused}

    def _busy(self) -> bool:
        return any(hall.open for hall in self.halls) or any(acceptor.coming for acceptor in self.acceptors)

    def _drain(self) -> None:
        for hall in self.halls:
            for line in list(hall.open):
                line.drain()


async def work(settings: Settings) -> None:
    """The worker's whole life."""
    journal = settings.home / "journal"
    writer = Writer(journal, f"worker-{settings.index}", sync=settings.sync)
    sheet = Sheet(settings.home, str(settings.index))
    desk = Desk(writer, Ids(settings.index, after_us=newest_us(journal)), meter=Meter(sheet))
    finish = look_on(desk, sheet, settings)
    follower = Follower(settings.home, settings.index, desk, _heat(settings))
    await follower.start()
    leave = told_to_leave(settings.lifeline_fd)
    doors = Doors(settings, Board(settings.board_fd, settings.workers), settings.tls, process.raise_files())
    process.settle()
    open_http(doors, desk)
    await open_grpc(doors, desk)
    open_flight(doors, desk)
    vitals = Vitals(sheet, desk, writer, follower.models, doors.numbers)
    vitals.tick()
    lives = (follower.follow(), keep_house(doors, writer, follower, vitals), vitals.feel_lag())
    tasks = [asyncio.create_task(life) for life in lives]
    for task in tasks:  # a worker without one of them is deaf: it leaves, and the supervisor starts another
        task.add_done_callback(lambda _: leave.set())
    await leave.wait()
    await doors.close(lambda: desk.idle)
    for task in tasks:
        task.cancel()
    writer.close()
    vitals.tick()
    finish()
    follower.models.close()


def look_on(desk: Desk, sheet: Sheet, settings: Settings) -> Callable[[], None]:
    """Who sees the batches go by: what keeps the loop awake, the log of slow calls, and traces if they are asked for.

    Gives what to call at the end.
    """
    desk.onlookers.append(Alert())
    if settings.slow_ms > 0:
        desk.onlookers.append(SlowLog(settings.slow_ms, sheet.own))
    if settings.otel is None:
        return lambda: None
    from payoff.gateway.exporter import Exporter
    from payoff.gateway.traces import Tracer

    tracer = Tracer(Exporter(settings.otel, settings.index, sheet.own), settings.otel_share)
    desk.onlookers.append(tracer)
    return tracer.close


def _heat(settings: Settings) -> Heat:
    """Its share of the cores is what one call of a large model may have."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads_max = max(1, cores // settings.workers)
    return Heat(hot_max=settings.hot_max, threads_max=threads_max, engines=settings.engines)


def told_to_leave(lifeline_fd: int | None) -> asyncio.Event:
    """Set by SIGTERM, by SIGINT, and when the supervisor is gone."""
    loop = asyncio.get_running_loop()
    leave = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    if lifeline_fd is not None:
        lifeline = lifeline_fd

        def gone() -> None:
            loop.remove_reader(lifeline)
            leave.set()

        loop.add_reader(lifeline, gone)
    return leave


def open_http(doors: Doors, desk: Desk) -> None:
    """The HTTP door."""
    settings = doors.settings
    here = is_here(settings.fd)
    regions = Regions(settings.home, allowed=here, bytes_max=settings.body_bytes_max)
    v2 = V2(desk, settings.home, regions, Repository(desk, settings.home), ROWS_MAX)
    routes = Routes(desk, v2, settings.key, LOOPBACK if here else None, settings.body_bytes_max)
    connections_max = min(Limits().connections_max, doors.connections_max)
    limits = Limits(body_bytes_max=settings.body_bytes_max, connections_max=connections_max)
    door = Door(routes.answer, explain, limits, streams=routes.stream)
    doors.open(settings.fd, door, lambda: Connection(door))


async def open_grpc(doors: Doors, desk: Desk) -> None:
    """The gRPC door, if there is one."""
    settings = doors.settings
    if settings.grpc_fd is None:
        return
    from payoff.gateway import grpc_door

    here = is_here(settings.grpc_fd)
    regions = Regions(settings.home, allowed=here, bytes_max=settings.body_bytes_max)
    v2 = V2(desk, settings.home, regions, Repository(desk, settings.home), ROWS_MAX)
    limits = grpc_door.limits(settings.body_bytes_max, doors.connections_max)
    if settings.grpc_server == "grpcio":
        hall = await grpc_door.of_grpcio(grpc_door.door(desk, v2, settings.key, None, limits), settings)
        doors.halls.append(hall)
        return
    door = grpc_door.door(desk, v2, settings.key, LOOPBACK if here else None, limits)
    doors.open(settings.grpc_fd, door, door.connection, HTTP2)


def open_flight(doors: Doors, desk: Desk) -> None:
    """The Arrow Flight door, if there is one."""
    settings = doors.settings
    if settings.flight_fd is None:
        return
    from payoff.gateway import flight

    relay = flight.door(desk, settings.home, settings.key)
    doors.open(settings.flight_fd, relay, relay.front, HTTP2)


def is_here(fd: int) -> bool:
    """Whether only this machine can reach a listening socket."""
    with socket.socket(fileno=os.dup(fd)) as listener:
        return is_loopback(listener.getsockname()[0])


async def keep_house(doors: Doors, writer: Writer, follower: Follower, vitals: Vitals) -> None:
    """Once a second: slow connections, old segments, models that nobody uses, the status file, numbers."""
    while True:
        await asyncio.sleep(HOUSEKEEPING_S)
        doors.check_time()
        if doors.tls is not None:
            doors.tls.renew()
        try:
            writer.rotate_if_due()
            follower.let_go()
            follower.report()
            vitals.tick()
        except (PayoffError, OSError) as error:
            log.error("housekeeping failed, it is tried again: %s", error)


if __name__ == "__main__":
    _settings = parse(sys.argv[1:])
    logs.set_up(_settings.log_format, f"worker {_settings.index}")
    if _settings.pin:
        process.pin(_settings.index)
    uvloop.run(work(_settings))
    logging.shutdown()
    os._exit(0)  # all is closed by now, and a model that is still being loaded is not waited for
