"""A payoff of its own for the demo: `payoff up` in a process tree, on free ports."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from payoff.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Server:
    """Where a running payoff answers."""

    inference: str
    api: str
    pid: int
    grpc: str = ""  # HOST:PORT
    flight: str = ""  # the same


@contextmanager
def running(home: Path, workers: int = 2, patience_s: float = 120.0, flags: Sequence[str] = ()) -> Iterator[Server]:
    """`payoff up` on free loopback ports, with these flags besides, until the block ends."""
    command = [sys.executable, "-m", "payoff.cli.main", "up", "--home", str(home), "--workers", str(workers)]
    command += ["--http", "127.0.0.1:0", "--console", "127.0.0.1:0", *flags]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
    try:
        yield wait(home, process, patience_s)
    finally:
        process.terminate()
        process.wait()


def wait(home: Path, process: subprocess.Popen[bytes], patience_s: float) -> Server:
    """The server, as soon as both its doors answer."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until and process.poll() is None:
        doors = home / "run" / "doors"
        if doors.exists():
            found = dict(line.split() for line in doors.read_text().splitlines())
            inference, api = f"http://{found['http']}", f"http://{found['console']}"
            server = Server(inference, api, process.pid, found.get("grpc", ""), found.get("flight", ""))
            if answers(f"{server.api}/api/health") and answers(f"{server.inference}/v2/health/ready"):
                return server
        time.sleep(0.02)
    words = (home / "server.log").read_text()[-2_000:]
    raise Unavailable(f"payoff up did not start within {patience_s:g} s; it said:\n{words}")


def answers(url: str) -> bool:
    """Whether a door answers at all."""
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False
