"""Versions, revisions and endpoint files that the tests of deploy share."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from payoff.records import Field, Revision, Served, Signature, Type, Version
from payoff.registry import Registry, connect
from payoff.store import live, processes

Make = Callable[..., Version]

INPUTS = (Field("age", Type.INT64), Field("job", Type.TEXT, nullable=True))
OUTPUTS = (Field("label", Type.TEXT), Field("probability", Type.FLOAT32))


def _version(number: int, model: str = "term-deposit", **changed: object) -> Version:
    """A version with the signature of a small classifier; `inputs` and `outputs` replace it."""
    signature = replace(Signature(INPUTS, OUTPUTS), **changed)  # type: ignore[arg-type]
    digest = f"{number:064x}"
    served = Served("onnx", digest, signature)
    return Version(model, number, digest, "onnx", served, 1_000, 0, "anna")


@pytest.fixture
def version() -> Make:
    return _version


class Player(threading.Thread):
    """Plays a worker: follows HOME/live as one does and reports; a child process lends it its life."""

    def __init__(self, home: Path, number: int) -> None:
        super().__init__(daemon=True)
        self.home, self.number = home, number
        self.body = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.boot_id = processes.identity(self.body.pid) or ""
        self.fails: dict[str, str] = {}  # digest -> words
        self.deadly: set[str] = set()  # digests whose loading kills it
        self.slow: set[str] = set()  # digests that wait for `go`
        self.go, self.asked, self.stopping = threading.Event(), threading.Event(), threading.Event()
        self.serving: dict[str, int] = {}
        self.ready: dict[str, int] = {}
        self.failed: dict[str, tuple[int, str]] = {}
        self.looks_s = 0.02
        self.report()

    def run(self) -> None:
        seen: tuple[int, bool] | None = None
        while not self.stopping.wait(self.looks_s):
            if seen != (seen := (live.stamp(self.home), self.go.is_set())):
                for endpoint, found in live.read_all(self.home).items():
                    assert isinstance(found, live.Live)
                    self.follow(endpoint, found)
                if self.body.poll() is not None:
                    return
                self.report()

    def follow(self, endpoint: str, found: live.Live) -> None:
        if found.current and self.load(found.current):
            self.serving[endpoint] = found.current.number
        if found.prepare is None:
            self.ready.pop(endpoint, None)
            number, _ = self.failed.get(endpoint, (0, ""))
            if found.current is None or number != found.current.number:
                self.failed.pop(endpoint, None)
        elif self.load(found.prepare):
            self.ready[endpoint] = found.prepare.number

    def load(self, revision: Revision) -> bool:
        digests = {arm.served.digest for arm in revision.arms}
        if digests & self.slow:
            self.asked.set()
            if not self.go.is_set():
                return False  # a worker loads in a thread and looks on
        if digests & self.deadly:
            self.die()
            return False
        for digest in digests & self.fails.keys():
            self.failed[revision.endpoint] = (revision.number, self.fails[digest])
            return False
        return True

    def report(self) -> None:
        status = live.Status(
            self.number, self.body.pid, self.boot_id, 0, dict(self.serving), dict(self.ready), dict(self.failed)
        )
        live.report(self.home, self.number, status)

    def finish_loading(self) -> None:
        """What it was slow at is loaded when it looks next."""
        self.go.set()

    def die(self) -> None:
        self.body.kill()
        self.body.wait()

    def stop(self) -> None:
        self.stopping.set()
        self.join()
        self.die()
        assert self.body.stdin is not None
        self.body.stdin.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def registry(home: Path) -> Registry:
    return connect(f"sqlite:///{home / 'payoff.db'}")


@pytest.fixture
def workers(home: Path) -> Iterator[Callable[[int], list[Player]]]:
    """Starts so many workers."""
    started: list[Player] = []

    def start(count: int) -> list[Player]:
        new = [Player(home, len(started) + n) for n in range(count)]
        started.extend(new)
        for player in new:
            player.start()
        return new

    yield start
    for player in started:
        player.stop()
