"""What one request costs a worker in CPU, without sockets: bytes in, bytes out, in one process.

    python -m benchmarks.hotpath [--model tabular] [--turns 2000] [--repeats 5] [--only json,on,32] [--profile]

The worker's own door, routes, desk and journal run in this process; requests are handed to `Connection.data_received`
of 1 or 32 connections in one turn of the loop, and a transport that keeps nothing counts the answers. Figures are CPU
microseconds of this process per request, the least and the median of the repeats; `model` is what onnxruntime alone
takes for the same rows in one call.
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnxruntime as ort
import uvloop

import payoff
from benchmarks import artefacts, machine
from benchmarks.unrecorded_worker import Unrecorded
from payoff.demo.server import running
from payoff.gateway.follow import Follower
from payoff.gateway.http import Connection
from payoff.gateway.repository import Repository
from payoff.gateway.request import Door
from payoff.gateway.routes import Routes, explain
from payoff.gateway.shared_memory import Regions
from payoff.gateway.tensors import ROWS_MAX
from payoff.gateway.v2 import V2
from payoff.journal.ids import Ids
from payoff.journal.writer import Writer
from payoff.serving import Desk, Heat

BATCHES = (1, 32)


class Wire(asyncio.Transport):
    """A transport that counts answers and keeps the last one."""

    def __init__(self, driver: "Driver") -> None:
        super().__init__()
        self._driver = driver
        self.last = b""

    def write(self, data: Any) -> None:
        self.last = data
        self._driver.heard()

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def close(self) -> None:
        raise SystemExit(f"the door closed a connection after saying {bytes(self.last[:300])!r}")


class Driver:
    """Hands every connection one request a turn, and the next ones when all are answered."""

    def __init__(self, door: Door, connections: int, request: bytes) -> None:
        self._loop = asyncio.get_running_loop()
        self._request = request
        self._connections = [Connection(door) for _ in range(connections)]
        self.wires = [Wire(self) for _ in range(connections)]
        for connection, wire in zip(self._connections, self.wires, strict=True):
            connection.connection_made(wire)
        self._waiting = self._turns = 0
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self, turns: int) -> float:
        """CPU seconds of this process for so many turns."""
        self._turns, self._done = turns, self._loop.create_future()
        began = time.process_time()
        self._ask()
        await self._done
        return time.process_time() - began

    def heard(self) -> None:
        self._waiting -= 1
        if self._waiting == 0:
            self._turns -= 1
            if self._turns:
                self._loop.call_soon(self._ask)
            else:
                self._done.set_result(None)

    def _ask(self) -> None:
        self._waiting = len(self._connections)
        for connection in self._connections:
            connection.data_received(self._request)


def requests(made: artefacts.Made, model: str, name: str) -> dict[str, bytes]:
    """One row as JSON and as binary, head and all, the way wrk sends it."""
    rows = made.take(model, 1)
    binary, head_bytes = artefacts.binary_body(rows, name)
    start = f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n".encode()
    extra = b"content-type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n" % head_bytes
    return {
        "json": _whole(start + b"content-type: application/json\r\n", artefacts.json_body(rows, name)),
        "binary": _whole(start + extra, binary),
    }


def _whole(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def model_alone_us(path: Path, rows: Any, count: int) -> float:
    """CPU microseconds per row of onnxruntime for so many rows in one call."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    asked = {session.get_inputs()[0].name: rows}
    found = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(1_000):
            session.run(None, asked)
        found.append((time.process_time() - began) / 1_000 / count * 1e6)
    return min(found[1:])


async def measured(home: Path, model: str, request: bytes, batch: int, on: bool, options: Any) -> dict[str, Any]:
    """One row of the table."""
    with tempfile.TemporaryDirectory(dir=home) as journal:
        writer = Writer(Path(journal), "worker-0") if on else Unrecorded(Path(journal), "worker-0")
        desk = Desk(writer, Ids(0))  # type: ignore[arg-type]
        follower = Follower(home, 0, desk, Heat())
        await follower.start()
        regions = Regions(home, allowed=False, bytes_max=1 << 20)
        v2 = V2(desk, home, regions, Repository(desk, follower.models.heat_all), ROWS_MAX)
        routes = Routes(desk, v2, None, frozenset({"127.0.0.1"}), 64 << 20)
        driver = Driver(Door(routes.answer, explain), batch, request)
        await warm(driver, model)
        found = await timed(driver, batch, options)
        if options.profile:
            await profiled(driver, options.turns)
        writer.close()
        follower.models.close()
    return found


async def warm(driver: Driver, model: str) -> None:
    """Until the model is hot and everything remembered; the answer must be one."""
    await driver.run(1)
    await asyncio.sleep(0.2)
    await driver.run(200)
    last = bytes(driver.wires[0].last)
    if not last.startswith(b"HTTP/1.1 200") or artefacts.OUTPUTS[model].encode() not in last:
        raise SystemExit(f"the door did not answer as it should: {last[:400]!r}")


async def timed(driver: Driver, batch: int, options: Any) -> dict[str, Any]:
    """CPU microseconds per request."""
    turns = max(1, options.turns // (1 if batch == 1 else 4))
    found = [await driver.run(turns) / turns / batch * 1e6 for _ in range(options.repeats)]
    return {"least us": min(found), "median us": statistics.median(found)}


async def profiled(driver: Driver, turns: int) -> None:
    """Where the time goes, by function."""
    profile = cProfile.Profile()
    profile.enable()
    await driver.run(turns)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(35)


def cases(only: str) -> Iterator[tuple[str, bool, int]]:
    """Format, journal on or off, connections; of those only what is named."""
    wanted = {word for word in only.split(",") if word}
    for form in ("json", "binary"):
        for on in (True, False):
            for batch in BATCHES:
                if wanted <= {form, "on" if on else "off", str(batch)}:
                    yield form, on, batch


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=("tabular", "network"), default="tabular")
    parser.add_argument("--turns", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="such as json,on,32; nothing is written then")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    about, rows = machine.describe(), []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        made = artefacts.make(folder)
        with running(folder / "home", workers=1) as server:
            payoff.connect(server.api).deploy(str(made.path(options.model)), name=options.model)
        bodies = requests(made, options.model, artefacts.INPUT)
        for form, on, batch in cases(options.only):
            alone = model_alone_us(made.path(options.model), made.take(options.model, batch), batch)
            found = uvloop.run(measured(folder / "home", options.model, bodies[form], batch, on, options))
            rows.append({"format": form, "journal": "on" if on else "off", "requests a turn": batch,
                         **found, "model": alone})  # fmt: skip
            print(machine.table(rows[-1:]).splitlines()[-1], flush=True)
    if options.only or options.profile or options.model != "tabular":
        print(machine.table(rows))
    else:
        machine.write("hotpath", (__doc__ or "").strip(), rows, about)


if __name__ == "__main__":
    main()
