"""One thread that starts the processes of models and listens to what they print.

Linux ties a child to the thread that started it (PR_SET_PDEATHSIG fires when that thread ends), so all are started from
one that lives as long as payoff's process. What a model prints is kept to its last 16 KiB; one that prints without end
is slowed down, not payoff.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

SAID_BYTES_MAX = 16 << 10
_PIECE = 64 << 10  # as much as a pipe holds
_REST_S = 0.005  # between two readings of a pipe that is full each time

Made = TypeVar("Made")


@dataclass(slots=True)
class Log:
    """The last of what one process printed; `fd` is the end of the pipe that is read, -1 once it is closed."""

    fd: int
    said: bytes = field(default=b"", init=False)

    def read(self) -> int:
        """Take what is there: how many bytes, 0 at the end, -1 where there is nothing now."""
        try:
            piece = os.read(self.fd, _PIECE)
        except BlockingIOError:
            return -1
        self.said = (self.said + piece)[-SAID_BYTES_MAX:]
        return len(piece)

    @property
    def last_line(self) -> str:
        """The last line that is not empty, or nothing."""
        lines = self.said.decode("utf-8", "replace").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[-300:]


class Nursery:
    """The thread; `nursery()` gives the one of this process."""

    def __init__(self) -> None:
        self._jobs: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._bell, self._ringer = os.pipe()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._bell, selectors.EVENT_READ)
        threading.Thread(target=self._live, name="models' processes", daemon=True).start()

    def do(self, job: Callable[[], Made]) -> Made:
        """Run a short job in the thread, and wait for it."""
        future: Future[Made] = Future()
        self._jobs.append((future, job))
        os.write(self._ringer, b"!")
        return future.result()

    def listen(self) -> tuple[Log, int]:
        """A log, and the end of its pipe for a process to print into; the caller closes that."""
        reads, writes = os.pipe()
        os.set_blocking(reads, False)
        log = Log(reads)
        self.do(lambda: self._selector.register(reads, selectors.EVENT_READ, log))
        return log, writes

    def forget(self, log: Log) -> None:
        """The process has ended: take what it said last, and close the pipe."""
        self.do(lambda: self._close(log))

    def start(
        self, command: Sequence[str], cwd: Path, variables: Mapping[str, str], fds: Sequence[int], log: int
    ) -> subprocess.Popen[bytes]:
        """A process in a session of its own, without our variables and files."""

        def popen() -> subprocess.Popen[bytes]:
            return subprocess.Popen(  # noqa: S603 - our own script, no shell
                command,
                cwd=cwd,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=fds,
                start_new_session=True,
            )

        return self.do(popen)

    def _live(self) -> None:
        while True:
            full = False
            for key, _ in self._selector.select():
                if key.data is None:
                    self._work()
                elif key.data.fd >= 0:
                    count = key.data.read()
                    full |= count == _PIECE
                    if count == 0:
                        self._close(key.data)
            if full:
                time.sleep(_REST_S)

    def _work(self) -> None:
        os.read(self._bell, 4_096)
        while self._jobs:
            future, job = self._jobs.popleft()
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)

    def _close(self, log: Log) -> None:
        if log.fd < 0:
            return
        with suppress(OSError):
            for _ in range(4):  # not for ever: somebody may still write
                if log.read() <= 0:
                    break
        self._selector.unregister(log.fd)
        os.close(log.fd)
        log.fd = -1


_the: tuple[int, Nursery] | None = None
_lock = threading.Lock()


def nursery() -> Nursery:
    """The one of this process, made when first asked for; a fork has none of its parent's threads and makes its own."""
    global _the
    with _lock:
        if _the is None or _the[0] != os.getpid():
            _the = os.getpid(), Nursery()
        return _the[1]
