"""The control plane's process: `python -m payoff.api.control --home H --fd N`, started by `payoff up`.

It owns the metadata database, gives orders, watches, compacts. It inherits the listening socket, so that callers wait
instead of failing while it starts anew; and it leaves when the supervisor's end of the lifeline closes.
"""

import argparse
import asyncio
import logging
import os
import select
import signal
import socket
import ssl
import threading
from functools import partial
from pathlib import Path

import uvicorn

from payoff.api import app, uploads
from payoff.api.engines import Engines
from payoff.api.refused import Refused
from payoff.api.upkeep import Upkeep
from payoff.deploy import Desk, Intake
from payoff.doors import LOOPBACK, is_loopback, logs
from payoff.doors.tls import Tls, pair
from payoff.errors import PayoffError
from payoff.journal import segment
from payoff.journal.ids import Ids
from payoff.journal.query import Journal
from payoff.journal.writer import Writer
from payoff.monitor.metering import Metering
from payoff.monitor.watch import Watch
from payoff.registry import connect
from payoff.store.blobs import Blobs

WORKER = 1023  # the number in outcome ids: inference workers count from 0
DRAIN_S_MAX = 8
CONNECTIONS_MAX = 512
RENEW_S = 1.0  # between two looks at the certificate
log = logging.getLogger("payoff.control")


def main(arguments: list[str] | None = None) -> int:
    """Runs until told to stop; 1 with words on stderr if it cannot start."""
    asked = _read(arguments)
    logs.set_up(asked.log_format, "control")
    try:
        files = pair(asked.tls_cert, asked.tls_key, asked.tls_client_ca)
        engines = make(asked.home, asked.http_url, asked.sync, os.environ.get("PAYOFF_KEY") or None)
    except PayoffError as error:
        log.error("the control plane cannot start: %s", error)
        return 1
    serve(engines, socket.socket(fileno=asked.fd), asked.lifeline_fd, None if files is None else Tls(files))
    return 0


def make(home: Path, http_url: str, sync: bool, key: str | None) -> Engines:
    """The engines on a home: database up to date, live files as it says, leftovers gone."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    registry = connect(f"sqlite:///{home / 'payoff.db'}", sync=sync)
    desk = Desk(home, registry)
    desk.republish()
    blobs = Blobs(home / "artifacts")
    intake = Intake(home, registry)
    for leftovers in (blobs.sweep, intake.sweep, partial(uploads.sweep, home)):
        leftovers()
    root = home / "journal"
    journal = Journal(home)
    return Engines(
        home=home,
        registry=registry,
        blobs=blobs,
        desk=desk,
        intake=intake,
        journal=journal,
        watch=Watch(home, registry, journal, desk),
        outcomes=Writer(root, "control", sync=sync),
        refused=Refused(home),
        ids=Ids(WORKER, after_us=segment.newest_us(root)),
        http_url=http_url,
        key=key,
    )


def serve(engines: Engines, door: socket.socket, lifeline_fd: int | None, tls: Tls | None = None) -> None:
    """Answers on the door until SIGTERM, SIGINT or the end of the supervisor; then finishes what it holds."""
    hosts = LOOPBACK if is_loopback(str(door.getsockname()[0])) else None
    server = uvicorn.Server(
        uvicorn.Config(
            app.build(engines, hosts), loop="payoff.api.loop:Loop", http="httptools", ws="none", lifespan="on",
            log_config=None, access_log=False, server_header=False, date_header=False, proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX, timeout_keep_alive=75, timeout_graceful_shutdown=DRAIN_S_MAX,
            ssl_context_factory=None if tls is None else lambda *_: _secure(tls),
        )
    )  # fmt: skip
    if lifeline_fd is not None:
        threading.Thread(target=_await_end, args=(lifeline_fd, server), name="lifeline", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it is done, and we are not
        signal.signal(number, lambda *_: None)
    upkeep = Upkeep(engines.home)
    upkeep.start()
    metering = Metering(engines.home, engines.registry, os.getpid() if lifeline_fd is None else os.getppid())
    metering.start()
    engines.watch.start()
    try:
        server.run(sockets=[door])
    finally:
        upkeep.stop()
        metering.stop()
        engines.watch.stop()
        with engines.writing:
            engines.outcomes.close()
        engines.journal.close()


def _secure(tls: Tls) -> ssl.SSLContext:
    """For uvicorn, in its loop. A new certificate is taken over there too, so no handshake meets half of it."""
    _renew(tls)
    return tls.context()


def _renew(tls: Tls) -> None:
    tls.renew()
    asyncio.get_running_loop().call_later(RENEW_S, _renew, tls)


def _await_end(lifeline_fd: int, server: uvicorn.Server) -> None:
    """Nobody ever writes into the lifeline: it becomes readable when its other end is gone.

    Not a read, which would not wait: workers share this pipe, and set it to non-blocking.
    """
    select.select([lifeline_fd], [], [])
    server.should_exit = True


def _read(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="payoff.api.control", description="The control plane; `payoff up` starts it.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True, help="the listening socket, inherited")
    parser.add_argument("--lifeline-fd", type=int, help="the read end of a pipe that the supervisor holds open")
    parser.add_argument("--http-url", default="http://127.0.0.1:8000", help="where the inference door is")
    parser.add_argument("--log-format", choices=logs.FORMATS, default="text")
    parser.add_argument("--sync", action="store_true", help="flush to the disk each time")
    for name in ("--tls-cert", "--tls-key", "--tls-client-ca"):
        parser.add_argument(name, type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    _status = main()
    logging.shutdown()
    os._exit(_status)  # all is closed by now; what libraries do at the interpreter's end is slow and noisy
