"""What one request costs a worker in CPU, without sockets: bytes in, bytes out, in one process.

    python -m benchmarks.hotpath [--model tabular] [--rows 1] [--turns 2000] [--repeats 5] [--only json,on,32]
                               [--profile]

The worker's own doors, desk and journal run in this process; requests are handed to `Connection.data_received` of 1 or
32 connections in one turn of the loop, and a transport that keeps nothing counts the answers. gRPC calls come as h2load
sends them, also 32 on one connection (`--only streams`). Figures are CPU microseconds of this process per request, the
least and the median of the repeats; `model` is what onnxruntime alone takes for the same rows in one call.
"""

import argparse
import asyncio
import cProfile
import pstats
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import hpack
import onnxruntime as ort
import uvloop

import payoff
from benchmarks import artefacts, loading, machine
from benchmarks.unrecorded_worker import Unrecorded
from payoff.demo.server import running
from payoff.gateway import grpc_door, h2, h2_frames, h2_limits
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


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked in one turn: by how many connections, how many requests each."""

    form: str  # json | binary | grpc
    on: bool  # the journal
    connections: int = 1
    streams: int = 1

    @property
    def words(self) -> set[str]:
        """What it is called."""
        many = {"streams"} if self.streams > 1 else {str(self.connections)}
        return {self.form, "on" if self.on else "off"} | many


class Wire(asyncio.Transport):
    """A transport that counts answers and keeps the last one. `answered` says whether all of a turn have come."""

    def __init__(self, driver: "Driver", answered: Callable[[], bool]) -> None:
        super().__init__()
        self._driver, self._answered = driver, answered
        self.last = b""

    def write(self, data: Any) -> None:
        self.last = data
        if self._answered():
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
    """Hands every connection what comes in one turn, and the next when all is answered.

    `turns` gives what comes in so many turns.
    """

    def __init__(self, connections: list[Any], turns: Callable[[int], Iterator[bytes]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._make = turns
        self._connections = connections
        self.wires = [Wire(self, answered(connection)) for connection in connections]
        self._waiting = self._turns = 0
        self._done: asyncio.Future[None] = self._loop.create_future()
        for connection, wire in zip(self._connections, self.wires, strict=True):
            connection.connection_made(wire)

    async def run(self, turns: int) -> float:
        """CPU seconds of this process for so many turns."""
        self._next = iter([*self._make(turns)]).__next__
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
        self._waiting, request = len(self._connections), self._next()
        for connection in self._connections:
            connection.data_received(request)


def answered(connection: Any) -> Callable[[], bool]:
    """Whether a connection has been answered all it asked: over HTTP after each write."""
    return (lambda: not connection.streams.calls) if isinstance(connection, h2.Connection) else lambda: True


class Calls:
    """What a gRPC client sends in one turn, the way h2load does."""

    def __init__(self, message: bytes, streams: int) -> None:
        self._message, self._streams = message, streams
        self._encoder = hpack.Encoder()
        self._stream = 1
        self._block = b""

    def turns(self, count: int) -> Iterator[bytes]:
        """The bytes of so many turns; before the first the greeting."""
        for _ in range(count):
            yield (_HELLO if self._stream == 1 else b"") + b"".join(self._call() for _ in range(self._streams))

    def _call(self) -> bytes:
        stream, self._stream = self._stream, self._stream + 2
        if stream < 5:  # then the table of headers is full
            self._block = self._encoder.encode(
                [
                    (":method", "POST"), (":scheme", "http"), (":authority", "127.0.0.1:8001"),
                    hpack.NeverIndexedHeaderTuple(":path", loading.METHOD_PATH),
                    ("user-agent", "h2load"), ("content-type", "application/grpc"), ("te", "trailers"),
                    hpack.NeverIndexedHeaderTuple("content-length", str(len(self._message))),
                ]
            )  # fmt: skip
        head = h2_frames.frame(h2_frames.HEADERS, h2_frames.END_HEADERS, stream, self._block)
        return head + h2_frames.frame(h2_frames.DATA, h2_frames.END_STREAM, stream, self._message)


_WINDOW = (1 << 30) - 1
_HELLO = h2_frames.PREFACE + h2_frames.settings({h2_frames.FIRST_WINDOW: _WINDOW}) + h2_frames.grant(0, _WINDOW)


def requests(made: artefacts.Made, model: str, name: str, count: int) -> dict[str, bytes]:
    """So many rows as JSON and as binary, head and all, the way wrk sends them, and as a gRPC message."""
    rows = made.take(model, count)
    binary, head_bytes = artefacts.binary_body(rows, name)
    start = f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n".encode()
    extra = b"content-type: application/octet-stream\r\nInference-Header-Content-Length: %d\r\n" % head_bytes
    return {
        "json": _whole(start + b"content-type: application/json\r\n", artefacts.json_body(rows, name)),
        "binary": _whole(start + extra, binary),
        "grpc": artefacts.grpc_body(rows, model, name),
    }


def _whole(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def model_alone_us(path: Path, rows: Any, count: int) -> float:
    """CPU microseconds of onnxruntime in one call, shared by so many requests."""
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


async def measured(home: Path, model: str, request: bytes, case: Case, options: Any) -> dict[str, Any]:
    """One row of the table."""
    with tempfile.TemporaryDirectory(dir=home) as journal:
        writer = Writer(Path(journal), "worker-0") if case.on else Unrecorded(Path(journal), "worker-0")
        desk = Desk(writer, Ids(0))  # type: ignore[arg-type]
        follower = Follower(home, 0, desk, Heat())
        await follower.start()
        regions = Regions(home, allowed=False, bytes_max=1 << 20)
        v2 = V2(desk, home, regions, Repository(desk, home), ROWS_MAX)
        driver = driven(desk, v2, request, case)
        await warm(driver, model)
        found = await timed(driver, case.connections * case.streams, options)
        if options.profile:
            await profiled(driver, options.turns)
        writer.close()
        follower.models.close()
    return found


def driven(desk: Desk, v2: V2, request: bytes, case: Case) -> Driver:
    """The connections of a case to its door."""
    hosts = frozenset({"127.0.0.1"})
    if case.form == "grpc":
        over_grpc = grpc_door.door(desk, v2, None, hosts, h2_limits.Limits())
        calls = Calls(request, case.streams)
        return Driver([over_grpc.connection() for _ in range(case.connections)], calls.turns)
    routes = Routes(desk, v2, None, hosts, 64 << 20)
    over_http = Door(routes.answer, explain)
    return Driver([Connection(over_http) for _ in range(case.connections)], lambda turns: repeat(request, turns))


async def warm(driver: Driver, model: str) -> None:
    """Until the model is hot and everything remembered; the answer must be one."""
    await driver.run(1)
    await asyncio.sleep(0.2)
    await driver.run(200)
    last = bytes(driver.wires[0].last)
    amiss = last.startswith(b"HTTP/") and not last.startswith(b"HTTP/1.1 200")
    if amiss or artefacts.OUTPUTS[model].encode() not in last:
        raise SystemExit(f"the door did not answer as it should: {last[:400]!r}")


async def timed(driver: Driver, batch: int, options: Any) -> dict[str, Any]:
    """CPU microseconds per request."""
    turns = max(1, options.turns // (1 if batch == 1 else 4))
    found = [await driver.run(turns) / turns / batch * 1e6 for _ in range(options.repeats)]
    return {"least us": min(found), "median us": statistics.median(found)}


async def profiled(driver: Driver, turns: int) -> None:
    """Where the time goes, by function."""
    profile = cProfile.Profile(time.process_time)  # what others compute meanwhile is not ours
    profile.enable()
    await driver.run(turns)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(35)


def cases(only: str) -> Iterator[Case]:
    """All there are, or of them what is named."""
    wanted = {word for word in only.split(",") if word}
    for form in ("json", "binary", "grpc"):
        for on in (True, False):
            found = [Case(form, on, 1), Case(form, on, 32)] + [Case(form, on, 1, 32)] * (form == "grpc")
            yield from (case for case in found if wanted <= case.words)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=("tabular", "network"), default="tabular")
    parser.add_argument("--rows", type=int, default=1, help="of each request")
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
        bodies = requests(made, options.model, artefacts.INPUT, options.rows)
        for case in cases(options.only):
            batch = case.connections * case.streams
            rows_a_turn = made.take(options.model, batch * options.rows)
            alone = model_alone_us(made.path(options.model), rows_a_turn, batch)
            found = uvloop.run(measured(folder / "home", options.model, bodies[case.form], case, options))
            rows.append({"format": case.form, "journal": "on" if case.on else "off", "connections": case.connections,
                         "requests a turn": batch, **found, "model": alone})  # fmt: skip
            print(machine.table(rows[-1:]).splitlines()[-1], flush=True)
    if options.only or options.profile or options.model != "tabular" or options.rows != 1:
        print(machine.table(rows))
    else:
        machine.write("hotpath", (__doc__ or "").strip(), rows, about)


if __name__ == "__main__":
    main()
