"""What the control plane does beside answering: compaction, in a process of its own so that its memory goes back."""

import logging
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from payoff.journal import segment

INTERVAL_S = 30.0
LOOK_S = 5.0  # at a compaction that runs
COMPACT_S_MAX = 3600.0
BEHIND_BYTES = 128 << 20  # that wait: their rows stay in the memory of whoever reads the journal
log = logging.getLogger("payoff.upkeep")


class Upkeep:
    """A thread that compacts closed segments every now and then, until it is told to stop.

    Everybody else goes first; not once `behind_bytes` wait, for under full load there may be no end of that.
    """

    def __init__(
        self, home: Path, interval_s: float = INTERVAL_S, behind_bytes: int = BEHIND_BYTES, look_s: float = LOOK_S
    ) -> None:
        self.behind_bytes = behind_bytes
        self._home = home
        self._interval_s, self._look_s = interval_s, look_s
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends a compaction that runs: what it has not finished, the next one does."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            if closed(self._home):
                self._compact()

    def _compact(self) -> None:
        """Behind everybody else. Where that is not enough it begins anew as anybody: it may be ended at any time."""
        try:
            process, said = self._finish(first=self._behind)
            if process.returncode == -signal.SIGKILL and not self._stop.is_set():
                process, said = self._finish(first=True)
        except (OSError, subprocess.TimeoutExpired) as error:
            log.error("compaction did not run: %s", error)
            return
        if process.returncode and not self._stop.is_set():
            log.error("compaction failed (%s): %r", process.returncode, said[-2000:].decode("utf-8", "replace"))

    def _finish(self, first: bool) -> "tuple[subprocess.Popen[bytes], bytes]":
        """Run it to its end, and what it said; one that lets others go first is ended when it falls behind."""
        command = [sys.executable, "-m", "payoff.journal.compact", str(self._home)]
        self._process = process = subprocess.Popen(  # noqa: S603 - our own module
            command if first else ["nice", "-n", "10", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=first,  # Linux may share the cores out by session, and in this one are all questions
        )  # fmt: skip
        if self._stop.is_set():  # there was no process yet to be ended
            process.kill()
        for _ in range(int(COMPACT_S_MAX / self._look_s)):
            with suppress(subprocess.TimeoutExpired):
                return process, process.communicate(timeout=self._look_s)[1]
            if not first and self._behind:
                process.kill()
        raise subprocess.TimeoutExpired(command, COMPACT_S_MAX)

    @property
    def _behind(self) -> bool:
        return waiting_bytes(self._home) >= self.behind_bytes


def closed(home: Path) -> list[Path]:
    """The segments that nobody writes any more and that are not yet in a table."""
    return [one.path for one in _closed(home)]


def waiting_bytes(home: Path) -> int:
    """How much is in them."""
    return sum(one.size for one in _closed(home))


def _closed(home: Path) -> list[segment.Segment]:
    return [one for one in segment.segments(home / "journal") if segment.is_closed(one.path)]
