"""The load itself, in a process of its own: connections that ask, over raw sockets, for a stated time.

`python -m payoff.bench.load` reads one job as JSON from standard input and writes what it saw as JSON. It stops by
itself. Without a rate each connection asks again as soon as it is answered. With one, requests are due at fixed times
whoever is busy, and latency counts from when a request was due: a slow server cannot hide that others had to wait.
"""

import asyncio
import base64
import json
import math
import re
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import uvloop

from payoff.bench import worked
from payoff.bench.tally import place

WARM_S = 0.2  # asked, not counted
LEAVE_S = 5.0  # for the last answers
DUE_MAX = 200_000  # requests of a rate that wait for a free connection; more are not sent
FIRST_S_MAX = 20.0  # for the first answer of all
AGAIN_S = 0.05  # after a connection that could not be made or was lost
WHY_CHARS = 300
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class AnyCaller(Protocol):
    """One connection, of whatever protocol: told what to ask, it tells the load when it is answered, and lost."""

    lost: "asyncio.Future[None]"

    def ask(self, request: bytes) -> None: ...


@dataclass(slots=True)
class Seen:
    """What came back of the requests that were due while it counted."""

    counts: dict[int, int] = field(default_factory=dict)
    answered: int = 0  # within the time
    failed: int = 0
    unsent: int = 0
    slowest_us: int = 0
    seconds: float = 0.0  # that counted: longer than asked for where nothing was answered in that
    client_s: float = 0.0  # CPU seconds of this process while it counted
    workers_s: float | None = None
    why: str = ""


class Load:
    """All connections of one process."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.bodies = [base64.b64decode(one) for one in job["requests"]]
        self.seen = Seen()
        self.begins = self.ends = math.inf  # the first answer begins it
        self._first, self._some = asyncio.Event(), asyncio.Event()  # an answer came; one that counts
        self._rate: float | None = job.get("rate")
        self._next = 0
        self._free: deque[AnyCaller] = deque()
        self._due: deque[float] = deque()
        self._busy: dict[AnyCaller, float] = {}  # who waits for an answer, and since when it was due

    async def run(self) -> Seen:
        """Until the time is over and the last answers are there."""
        tasks = [asyncio.create_task(self._connected()) for _ in range(self.job["connections"])]
        with suppress(TimeoutError):  # a model may be cold: the first answer does not count
            await asyncio.wait_for(self._first.wait(), FIRST_S_MAX)
        self.begins = time.perf_counter() + WARM_S
        if self._rate:
            tasks.append(asyncio.create_task(self._pace(self._rate)))
        await self._count()
        until = time.perf_counter() + LEAVE_S
        while (self._busy or self._due) and time.perf_counter() < until:
            await asyncio.sleep(0.01)
        self.seen.unsent += len(self._due)
        for due in self._busy.values():
            self.fail(due, f"no answer within {LEAVE_S:g} s after the end")
        for task in tasks:
            task.cancel()
        return self.seen

    async def _count(self) -> None:
        """The time that counts, and what it took of this machine."""
        await asyncio.sleep(self.begins - time.perf_counter())
        before = self._used()
        await asyncio.sleep(self.begins + self.job["seconds"] - time.perf_counter())
        with suppress(TimeoutError):  # where answers take longer than that
            await asyncio.wait_for(self._some.wait(), FIRST_S_MAX)
        after, self.ends = self._used(), time.perf_counter()
        self.seen.seconds = self.ends - self.begins
        self.seen.client_s = after[0] - before[0]
        self.seen.workers_s = None if before[1] is None or after[1] is None else after[1] - before[1]

    def _used(self) -> tuple[float, float | None]:
        """CPU seconds of this process, and of the workers if it is to look after them."""
        pids = self.job.get("pids")
        return time.process_time(), worked.cpu_s(pids) if pids else None

    async def _connected(self) -> None:
        """Keeps one connection, making it again where it is lost."""
        loop = asyncio.get_running_loop()
        while time.perf_counter() < self.ends:
            caller = self._caller()
            try:
                await loop.create_connection(lambda caller=caller: caller, self.job["host"], self.job["port"],
                                             ssl=_trust(self.job) if self.job.get("tls") else None)  # fmt: skip
            except OSError as error:
                self.fail(time.perf_counter(), f"no connection: {error}")
            else:
                self.free(caller)
                await caller.lost
            await asyncio.sleep(AGAIN_S)

    def _caller(self) -> "AnyCaller":
        if self.job.get("grpc"):
            from payoff.bench.rpc import RpcCaller  # hpack is not needed otherwise

            return RpcCaller(self)
        return Caller(self)

    async def _pace(self, rate: float) -> None:
        """Makes requests due, at fixed times from the start."""
        began, made = time.perf_counter(), 0
        while (now := time.perf_counter()) < self.ends:
            while began + made / rate <= now:
                self._owe(began + made / rate)
                made += 1
            await asyncio.sleep(max(0.0, began + made / rate - time.perf_counter()))

    def _owe(self, due: float) -> None:
        if self._free:
            self._ask(self._free.popleft(), due)
        elif len(self._due) < DUE_MAX:
            self._due.append(due)
        else:
            self.seen.unsent += 1

    def _ask(self, caller: "AnyCaller", due: float) -> None:
        self._next += 1
        self._busy[caller] = due
        caller.ask(self.bodies[self._next % len(self.bodies)])

    def free(self, caller: "AnyCaller") -> None:
        """A connection has nothing to do: the next request, if one is due."""
        now = time.perf_counter()
        if self._due:
            self._ask(caller, self._due.popleft())
        elif self._rate and self._first.is_set():
            self._free.append(caller)
        elif now < self.ends:
            self._ask(caller, now)

    def drop(self, caller: "AnyCaller") -> None:
        """A connection is gone, with the request it was to answer."""
        if caller in self._free:
            self._free.remove(caller)
        if caller in self._busy:
            self.fail(self._busy.pop(caller), "the connection was closed before the answer")

    def answered(self, caller: "AnyCaller", status: bytes, body: bytes) -> None:
        """An answer is there."""
        due = self._busy.pop(caller)
        if status == b"200":
            self._first.set()
            self.count(due, time.perf_counter())
        else:
            self.fail(due, body.decode("utf-8", "replace"))

    def waits(self, caller: "AnyCaller") -> bool:
        """Whether an answer is due on this connection."""
        return caller in self._busy

    def fail(self, due: float, why: str) -> None:
        """A request that was refused, or never answered."""
        self._first.set()
        self.seen.why = self.seen.why or why[:WHY_CHARS]
        if due >= self.begins or self.begins == math.inf:
            self.seen.failed += 1
            self._some.set()

    def count(self, due: float, now: float) -> None:
        """A right answer: its latency counts from when it was due, and in the throughput if it came in time."""
        if self.begins <= now < self.ends:
            self.seen.answered += 1
            self._some.set()
        if now >= self.begins:
            us = int((now - due) * 1e6)
            at = place(us)
            self.seen.counts[at] = self.seen.counts.get(at, 0) + 1
            self.seen.slowest_us = max(self.seen.slowest_us, us)


class Caller(asyncio.Protocol):
    """One connection: one request at a time."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._rest = b""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.drop(self)
        if not self.lost.done():
            self.lost.set_result(None)

    def ask(self, request: bytes) -> None:
        """Send one request; the last must have been answered."""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._rest = self._rest + data if self._rest else data
        size = whole(self._rest)
        if size is None or not self._load.waits(self):
            return
        answer, self._rest = self._rest[:size], self._rest[size:]
        self._load.answered(self, answer[9:12], answer[answer.find(b"\r\n\r\n") + 4 :][:WHY_CHARS])
        if not self._transport.is_closing():
            self._load.free(self)


def whole(data: bytes) -> int | None:
    """How many bytes the first HTTP/1.1 response in `data` has, if all of it is there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(data, 0, end + 2)
    if length is not None:
        size = end + 4 + int(length[1])
        return size if len(data) >= size else None
    if _CHUNKED.search(data, 0, end + 2):
        last = data.find(b"\r\n0\r\n\r\n", end)
        return None if last < 0 else last + 7
    return end + 4


def _trust(job: dict[str, Any]) -> Any:
    from payoff.client.trust import trust

    context = trust().context()
    if job.get("grpc"):
        context.set_alpn_protocols(["h2"])
    return context


def main() -> None:
    """One job."""
    job = json.loads(sys.stdin.buffer.readline())
    sys.stdout.write(json.dumps(asdict(uvloop.run(Load(job).run()))))


if __name__ == "__main__":
    main()
