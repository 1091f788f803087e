"""Workers share one door: connections are spread over them, and nobody's is lost when one of them stops or dies."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

import payoff
from payoff.cli.up import listen
from payoff.demo.server import Server, running
from tests.shared import until
from tests.walks import models

pytestmark = pytest.mark.slow

ESTABLISHED = "01"
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def workers(server: Server) -> list[int]:
    """The processes that answer."""
    return [pid for pid in models.children(server.pid) if "payoff.gateway.worker" in models.command(pid)]


def held(server: Server, door: str) -> list[int]:
    """How many connections at a door (HOST:PORT) each worker has, as the system says."""
    end = f":{int(door.rpartition(':')[2]):04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    there = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(end) and row[3] == ESTABLISHED}
    return [len(there & files(pid)) for pid in workers(server)]


def files(pid: int) -> set[str]:
    """What a process has open; nothing if it has gone."""
    found = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed in the meantime
                found.add(str(link.readlink()))
    return found


def shared(server: Server, door: str, count: int) -> list[int]:
    """How many of so many connections, which are all there is at the door, each worker has."""
    until(lambda: sum(held(server, door)) == count, f"all of {count} connections are taken")
    return held(server, door)


def even(shares: list[int]) -> bool:
    return len(shares) == 2 and min(shares) >= 0.3 * sum(shares)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("workers")
    with running(folder / "home", workers=2) as found:
        payoff.connect(found.api).deploy(str(models.saved(folder, 2)), name="times")
        yield found


@pytest.fixture
def settled(server: Server) -> Server:
    """Both workers have come to the door."""

    def both() -> bool:
        with lines(server, 4) as found:
            return all(map(answered, found)) and len(shares := held(server, http(server))) == 2 and 0 not in shares

    until(both, "both workers take connections")
    return server


def http(server: Server) -> str:
    return server.inference.removeprefix("http://")


@contextmanager
def lines(server: Server, count: int, say: bytes = LIVE) -> Iterator[list[socket.socket]]:
    """Connections that have asked once."""
    host, _, port = http(server).partition(":")
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_connection((host, int(port)), timeout=120)) for _ in range(count)]
        for line in found:
            line.sendall(say)
        yield found


def answered(line: socket.socket) -> bool:
    return line.recv(1 << 16).startswith(b"HTTP/1.1 200")


@contextmanager
def halted(pids: list[int]) -> Iterator[None]:
    """Processes that do nothing for a while."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_connections_that_come_one_after_another_are_spread_over_the_workers(settled: Server) -> None:
    """A worker that is kept from its core for a moment misses one, and gets the next."""
    with ExitStack() as stack:
        for _ in range(64):
            assert all(map(answered, stack.enter_context(lines(settled, 1))))
        assert even(shared(settled, http(settled), 64))


@pytest.mark.parametrize("count", [2, 8, 32])
def test_connections_that_come_at_once_are_spread_or_those_that_follow_make_up_for_it(
    settled: Server, count: int
) -> None:
    """Who has more leaves the next ones to the other, however many a burst gave it while the other had no core."""
    with ExitStack() as stack:
        bursts = 0

        def another() -> bool:
            nonlocal bursts
            bursts += 1
            assert all(map(answered, stack.enter_context(lines(settled, count))))
            return even(shared(settled, http(settled), bursts * count))

        until(another, "both workers have their share of the connections")


def test_what_waits_at_the_door_is_answered_though_every_worker_is_killed(settled: Server) -> None:
    with ExitStack() as stack:
        for pid in workers(settled):
            os.kill(pid, signal.SIGSTOP)
        found = stack.enter_context(lines(settled, 40))
        for pid in workers(settled):
            os.kill(pid, signal.SIGKILL)
        assert all(map(answered, found))


def test_a_worker_that_hangs_keeps_nobody_from_the_others(settled: Server) -> None:
    first, _ = workers(settled)
    with halted([first]), lines(settled, 16) as found:
        assert all(map(answered, found))


def test_a_caller_whose_machine_is_gone_is_noticed() -> None:
    with listen("127.0.0.1:0", "--http") as door, socket.create_connection(door.getsockname()):
        one, _ = door.accept()
        with one:
            assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30


class Caller(threading.Thread):
    """A client that keeps its connection, and makes another when it breaks."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.answers = self.breaks = 0
        self.wrong: list[object] = []
        self.leave = threading.Event()

    def run(self) -> None:
        with httpx.Client(timeout=120) as client:
            while not self.leave.is_set():
                try:
                    reply = client.post(self.url, json=[{"x": self.answers}])
                except httpx.ConnectError as error:  # nobody listens: never
                    self.wrong.append(error)
                except httpx.TransportError:
                    self.breaks += 1
                else:
                    self._hear(reply)

    def _hear(self, reply: httpx.Response) -> None:
        if reply.status_code != 200 or reply.json()["predictions"][0]["y"] != 2 * self.answers:
            self.wrong.append(reply.text)
        self.answers += 1


def replaced(server: Server, pid: int) -> None:
    """Wait until there are two workers, none of which is this one."""
    until(lambda: len(now := workers(server)) == 2 and pid not in now, "the worker is replaced")


def test_a_worker_killed_under_load_costs_each_of_its_callers_one_call_and_is_replaced(settled: Server) -> None:
    callers = [Caller(f"{settled.inference}/predict/times") for _ in range(8)]
    for caller in callers:
        caller.start()
    for _ in range(3):
        old = workers(settled)
        goals = [caller.answers + 5 for caller in callers]
        until(
            lambda goals=goals: all(one.answers >= goal for one, goal in zip(callers, goals, strict=True)),  # type: ignore[misc]
            "every caller is answered",
        )
        os.kill(old[0], signal.SIGKILL)
        replaced(settled, old[0])
    for caller in callers:
        caller.leave.set()
    for caller in callers:
        caller.join()
    assert [caller.wrong for caller in callers] == [[]] * 8
    assert all(caller.breaks <= 3 for caller in callers)
