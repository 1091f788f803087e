"""What the control plane does beside answering: compaction, in a process of its own so that its memory goes back."""

import logging
import subprocess
import sys
import threading
from pathlib import Path

from payoff.journal import segment

INTERVAL_S = 30.0
COMPACT_S_MAX = 3600.0
log = logging.getLogger("payoff.upkeep")


class Upkeep:
    """A thread that compacts closed segments every now and then, until it is told to stop."""

    def __init__(self, home: Path, interval_s: float = INTERVAL_S) -> None:
        self._home = home
        self._interval_s = interval_s
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
        command = ["nice", "-n", "10", sys.executable, "-m", "payoff.journal.compact", str(self._home)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            _, said = self._process.communicate(timeout=COMPACT_S_MAX)
        except (OSError, subprocess.TimeoutExpired) as error:
            log.error("compaction did not run: %s", error)
            return
        if self._process.returncode and not self._stop.is_set():
            log.error("compaction failed (%s): %r", self._process.returncode, said[-2000:].decode("utf-8", "replace"))


def closed(home: Path) -> list[Path]:
    """The segments that nobody writes any more and that are not yet in a table."""
    return [one.path for one in segment.segments(home / "journal") if segment.is_closed(one.path)]
