"""One inference worker: builds the desk, opens the door, follows the live revisions, and leaves gracefully.

`python -m payoff.gateway.worker --home DIR --fd N --index I`, started by `payoff up`. It knows no database: what it
serves stands in HOME/live, what it answered goes to HOME/journal, and it goes on when the control plane is gone.
"""

import asyncio
import logging
import os
import signal
import socket
import sys

import uvloop

from payoff.doors import LOOPBACK, is_loopback
from payoff.errors import PayoffError
from payoff.gateway.follow import Follower
from payoff.gateway.http import Connection, Door, Limits
from payoff.gateway.routes import Routes
from payoff.gateway.settings import Settings, parse
from payoff.journal.ids import Ids
from payoff.journal.segment import newest_us
from payoff.journal.writer import Writer
from payoff.serving import Desk, Heat

HOUSEKEEPING_S = 1.0
log = logging.getLogger("payoff.gateway")
DRAIN_S = 8.0


async def work(settings: Settings) -> None:
    """The worker's whole life."""
    loop = asyncio.get_running_loop()
    journal = settings.home / "journal"
    writer = Writer(journal, f"worker-{settings.index}", sync=settings.sync)
    desk = Desk(writer, Ids(settings.index, after_us=newest_us(journal)))
    follower = Follower(settings.home, settings.index, desk, Heat(hot_max=settings.hot_max))
    await follower.start()
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
    for task in tasks:  # a worker without one of them is deaf: it leaves, and the supervisor starts another
        task.add_done_callback(lambda _: leave.set())
    await leave.wait()
    if settings.lifeline_fd is not None:
        loop.remove_reader(settings.lifeline_fd)
    server.close()
    await drain(door, desk)
    for task in tasks:
        task.cancel()
    writer.close()
    follower.models.close()


async def keep_house(door: Door, writer: Writer, follower: Follower) -> None:
    """Once a second: slow connections, old segments, models that nobody uses, the status file."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(HOUSEKEEPING_S)
        now = loop.time()
        for connection in list(door.open):
            connection.check_time(now)
        try:
            writer.rotate_if_due()
            follower.let_go()
            follower.report()
        except (PayoffError, OSError) as error:
            log.error("housekeeping failed, it is tried again: %s", error)


async def drain(door: Door, desk: Desk) -> None:
    """Answer what has arrived, take nothing new, and close."""
    door.closing = True
    until = asyncio.get_running_loop().time() + DRAIN_S
    while (door.open or not desk.idle) and asyncio.get_running_loop().time() < until:
        for connection in list(door.open):
            connection.drain()
        await asyncio.sleep(0.01)


if __name__ == "__main__":
    uvloop.run(work(parse(sys.argv[1:])))
    logging.shutdown()
    os._exit(0)  # all is closed by now, and a model that is still being loaded is not waited for
