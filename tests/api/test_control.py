"""The control process alone: it starts on an inherited socket, asks for its key, leaves in time, and starts anew."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.shared import PATIENCE_S


@dataclass
class Control:
    """A control process, where it answers, and the supervisor's end of its lifeline."""

    process: subprocess.Popen[bytes]
    url: str
    lifeline: int
    log: Path

    def left(self, within_s: float = PATIENCE_S) -> int:
        """How it ended."""
        return self.process.wait(within_s)


Start = Callable[..., Control]


@contextmanager
def _door() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts control processes on one door and one home; none outlives the test."""
    with _door() as door, ExitStack() as stack:
        yield lambda **environment: stack.enter_context(_started(tmp_path, door, environment))


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """One that answers, for tests that leave it as it is."""
    with _door() as door, _started(tmp_path_factory.mktemp("standing"), door, {}) as control:
        httpx.get(f"{control.url}/api/models", timeout=PATIENCE_S).raise_for_status()
        yield control


@contextmanager
def _started(folder: Path, door: socket.socket, environment: dict[str, str]) -> Iterator[Control]:
    read, write = os.pipe()
    command = [sys.executable, "-m", "payoff.api.control", "--home", str(folder / "home")]
    command += ["--fd", str(door.fileno()), "--lifeline-fd", str(read)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command, pass_fds=(door.fileno(), read), env={**os.environ, **environment}, stderr=log, stdout=log
        )
    os.close(read)
    try:
        yield Control(process, f"http://127.0.0.1:{door.getsockname()[1]}", write, folder / "log")
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):  # a test may have closed it
            os.close(write)


def test_a_call_waits_for_the_start_instead_of_failing(start: Start) -> None:
    assert httpx.get(f"{start().url}/api/endpoints", timeout=PATIENCE_S).json() == {"endpoints": []}


def test_with_a_key_every_path_asks_for_it(start: Start) -> None:
    control = start(PAYOFF_KEY="s3cret")
    for path in ("/api/health", "/api/docs", "/api/nowhere", "/"):
        reply = httpx.get(control.url + path, timeout=PATIENCE_S)
        assert (reply.status_code, reply.json()["error"]["kind"]) == (401, "unauthorized")
    headers = {"authorization": "Bearer s3cret"}
    assert httpx.get(f"{control.url}/api/endpoints", headers=headers, timeout=PATIENCE_S).status_code == 200


def test_a_stranger_host_and_a_stranger_page_are_refused(standing: Control) -> None:
    models = f"{standing.url}/api/models"
    assert httpx.get(models, headers={"host": "evil.example"}, timeout=PATIENCE_S).status_code == 401
    assert httpx.get(models, headers={"origin": "http://evil.example"}, timeout=PATIENCE_S).status_code == 401


@pytest.mark.parametrize("how", ["lifeline", "SIGTERM", "SIGINT"])
def test_it_leaves_when_told(start: Start, how: str) -> None:
    control = start()
    httpx.get(f"{control.url}/api/models", timeout=PATIENCE_S)
    if how == "lifeline":
        os.close(control.lifeline)
    else:
        control.process.send_signal(getattr(signal, how))
    assert control.left() == 0
    assert control.log.read_text() == ""


def test_one_that_is_killed_is_replaced_on_the_same_door_without_a_failed_call(start: Start) -> None:
    first = start()
    assert httpx.get(f"{first.url}/api/models", timeout=PATIENCE_S).status_code == 200
    first.process.kill()
    first.left()
    assert httpx.get(f"{start().url}/api/models", timeout=PATIENCE_S).status_code == 200


def test_leftovers_of_an_upload_are_swept_at_the_start(start: Start, tmp_path: Path) -> None:
    left = tmp_path / "home" / "run" / "uploads" / "x"
    left.mkdir(parents=True)
    (left / "part-0").write_bytes(b"half")
    httpx.get(f"{start().url}/api/models", timeout=PATIENCE_S)
    assert not left.exists()


def test_a_home_that_cannot_be_used_is_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "payoff.db").write_text("this is no database")
    control = start()
    assert control.left() == 1
    said = control.log.read_text()
    assert "the control plane cannot start" in said
    assert "Traceback" not in said


def test_without_workers_health_says_what_to_do(standing: Control) -> None:
    found = httpx.get(f"{standing.url}/api/health", timeout=PATIENCE_S).json()
    assert found["healthy"] is False
    wrong = {part["part"]: part["what_to_do"] for part in found["parts"] if part["state"] != "ok"}
    assert wrong.keys() - {"disk"} == {"workers"}  # how full a disk is, is the machine's
    assert wrong["workers"]


@contextmanager
def dripping(control: Control) -> Iterator[None]:
    """Somebody sends a body that is long, a byte at a time."""
    over = threading.Event()

    def drip(slow: socket.socket) -> None:
        with suppress(OSError):  # the control process has had enough of it
            while not over.wait(0.02):
                slow.sendall(b" ")

    with socket.create_connection(("127.0.0.1", int(control.url.rpartition(":")[2]))) as slow:
        slow.sendall(b"POST /api/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{")
        sender = threading.Thread(target=drip, args=(slow,))
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join()


def test_a_body_sent_in_pieces_without_end_does_not_hold_the_others(standing: Control) -> None:
    with dripping(standing):
        assert httpx.get(f"{standing.url}/api/models", timeout=PATIENCE_S).status_code == 200
