"""Workers share one door: connections are spread over them, and nobody's is lost when one of them stops or dies."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

import payoff
from payoff.cli.up import listen
from payoff.demo.server import Server
from tests.walks import models

pytestmark = pytest.mark.slow

LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def workers(server: Server) -> list[int]:
    """The processes that answer."""
    return [pid for pid in models.children(server.pid) if "payoff.gateway.worker" in models.command(pid)]


def sockets(pid: int) -> int:
    """How many a process has open."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return sum(link.startswith("socket:") for link in links)


def taken(server: Server, count: int) -> list[int]:
    """How many of so many connections each worker takes."""
    both = workers(server)
    before = [sockets(pid) for pid in both]
    with lines(server, count) as found:
        assert all(map(answered, found))
        return [sockets(pid) - old for pid, old in zip(both, before, strict=True)]


@pytest.fixture
def settled(server: Server) -> Server:
    """Both workers have come to the door, and have let go of what they held."""
    while 0 in taken(server, 4):
        time.sleep(0.05)
    time.sleep(0.2)
    return server


@contextmanager
def lines(server: Server, count: int, say: bytes = LIVE) -> Iterator[list[socket.socket]]:
    """Connections that have asked once."""
    host, _, port = server.inference.removeprefix("http://").partition(":")
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_connection((host, int(port)), timeout=60)) for _ in range(count)]
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


@pytest.mark.parametrize("count", [2, 8, 32])
def test_connections_are_spread_over_the_workers(settled: Server, count: int) -> None:
    shares = taken(settled, count)
    assert sum(shares) == count
    assert min(shares) >= 0.3 * count


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
        with httpx.Client(timeout=60) as client:
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


def test_a_worker_killed_under_load_costs_each_of_its_callers_one_call_and_is_replaced(
    server: Server, tmp_path: Path
) -> None:
    payoff.connect(server.api).deploy(str(models.saved(tmp_path, 2)), name="times")
    callers = [Caller(f"{server.inference}/predict/times") for _ in range(8)]
    for caller in callers:
        caller.start()
    for _ in range(3):
        old = workers(server)
        heard = [caller.answers for caller in callers]
        while any(caller.answers < before + 5 for caller, before in zip(callers, heard, strict=True)):
            time.sleep(0.01)
        os.kill(old[0], signal.SIGKILL)
        while len(now := workers(server)) < 2 or old[0] in now:
            time.sleep(0.01)
    for caller in callers:
        caller.leave.set()
    for caller in callers:
        caller.join()
    assert [caller.wrong for caller in callers] == [[]] * 8
    assert all(caller.breaks <= 3 for caller in callers)
