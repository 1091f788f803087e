"""A model's process as its owner sees it: how much it uses, whether and how it ended, and its end with all its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from payoff.runner.nursery import Log, nursery

START = Path(__file__).parent / "guest" / "start.py"
_BURY_S = 10.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_HELD = re.compile(r"^Rss(?:Anon|Shmem):\s*(\d+) kB$", re.MULTILINE)


class Process(Protocol):
    """A process that serves one model."""

    pid: int
    log: Log

    def status(self) -> int | None:
        """None while it runs; else its exit status, or minus the signal that ended it."""

    def end(self) -> int:
        """End it and everything it started; its exit status as above. Gives back all it held here."""


def command_of(python: Path) -> list[str]:
    """The interpreter and the first file it runs; its environment's packages are found only when the walls stand."""
    return [str(python), "-I", "-S", "-u", str(START)]


class Direct:
    """A process started for one model."""

    def __init__(
        self, python: Path, scratch: Path, variables: Mapping[str, str], theirs: socket.socket, *more: str
    ) -> None:
        home = nursery()
        self.log, writes = home.listen()
        try:
            command = [*command_of(python), str(theirs.fileno()), str(os.getpid()), *more]
            self._popen = home.start(command, scratch, variables, [theirs.fileno()], writes)
        except BaseException:
            home.forget(self.log)
            raise
        finally:
            os.close(writes)
        self.pid = self._popen.pid

    def status(self) -> int | None:
        """Looks without burying: as long as nobody does, its number and its group's are nobody else's."""
        if self._popen.returncode is not None:
            return self._popen.returncode
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def end(self) -> int:
        """The group first: its number is safe only until the leader is buried."""
        if self._popen.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
            nursery().forget(self.log)
        return self._popen.returncode


class Forked:
    """A process that a zygote forked; the zygote alone may bury it, and the leash says what became of it."""

    def __init__(self, pid: int, leash: socket.socket, log: Log) -> None:
        self.pid = pid
        self.log = log
        self._leash = leash
        self._lock = threading.Lock()
        self._status: int | None = None

    def status(self) -> int | None:
        """As the zygote tells it; a zygote that is gone took its children with it."""
        if self._status is None and self._lock.acquire(blocking=False):  # else somebody waits for its end
            try:
                self._leash.setblocking(False)
                with suppress(BlockingIOError):
                    self._read()
            finally:
                self._lock.release()
        return self._status

    def end(self) -> int:
        """Let go of the leash, and wait until the zygote has buried it."""
        with self._lock:
            return self._end()

    def _end(self) -> int:
        if self._status is None:
            with suppress(OSError):
                self._leash.shutdown(socket.SHUT_WR)
            self._leash.settimeout(_BURY_S)
            try:
                self._read()
            except TimeoutError:
                self._status = -signal.SIGKILL  # the zygote hangs; whoever ends it ends this
        if self._leash.fileno() >= 0:
            self._leash.close()
            nursery().forget(self.log)
        assert self._status is not None  # noqa: S101 - read above
        return self._status

    def _read(self) -> None:
        try:
            told = self._leash.recv(8)
        except ConnectionError:
            told = b""
        self._status = int.from_bytes(told, "little", signed=True) if told else -signal.SIGKILL


def rss_bytes(pid: int) -> int:
    """Memory that a process has in use now; 0 where that cannot be known."""
    return _statm(pid)[1] * _PAGE_BYTES


def tree_bytes(pid: int) -> int:
    """Memory that a process and all it started hold for themselves or share: not what is a copy of a file."""
    found, left = 0, [pid]
    while left:
        one = left.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            left += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except OSError:
            continue
        found += sum(int(kib) << 10 for kib in _HELD.findall(status))
    return found


def held_bytes(pid: int) -> int:
    """What its limit counts (all it may write to, in use or not), or what is in use, if that is more."""
    _, resident, _, _, _, data, _ = _statm(pid)
    return max(resident, data) * _PAGE_BYTES


def _statm(pid: int) -> tuple[int, ...]:
    """Sizes in pages, as proc(5) has them."""
    try:
        return tuple(map(int, Path(f"/proc/{pid}/statm").read_bytes().split()))
    except OSError:
        return (0,) * 7


def cpu_ns(pid: int) -> int:
    """Computing time that a process and its threads have used; 0 where that cannot be known.

    The clock of another process: glibc's clock_getcpuclockid(3), as Linux numbers them.
    """
    if not sys.platform.startswith("linux"):
        return 0
    try:
        return time.clock_gettime_ns(~pid << 3 | 2)
    except OSError:
        return 0


def end_in_words(status: int | None, log: Log) -> str:
    """How a process ended, with the last line that it printed."""
    said = f'; it said last: "{log.last_line}"' if log.last_line else ""
    if status is None or status == 0:
        return f"it left{said}"
    if status < 0:
        name = signal.Signals(-status).name if -status in signal.valid_signals() else str(-status)
        return f"it was ended by {name}{said}"
    return f"it left with exit status {status}{said}"
