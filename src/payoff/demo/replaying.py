"""The replay process as the story sees it: told how far to go, heard day by day."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from payoff.demo.server import Server
from payoff.errors import Unavailable

Day = dict[str, Any]


class Replay:
    """A bank calling its customers, in another process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def until(self, row: int) -> Iterator[Day]:
        """Let it call customers up to a row; gives each day when payoff has judged it."""
        assert self._process.stdin is not None  # noqa: S101
        assert self._process.stdout is not None  # noqa: S101
        self._process.stdin.write(f"until {row}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            said = json.loads(line)
            if "reached" in said:
                return
            yield said
        raise Unavailable("the replay ended early; what it said stands above")


@contextmanager
def replaying(server: Server, endpoint_url: str, start: int, days_per_s: float) -> Iterator[Replay]:
    """The process, until the block ends."""
    command = [sys.executable, "-m", "payoff.demo.replay", "--predict-url", endpoint_url, "--api-url", server.api]
    command += ["--start", str(start), "--days-per-s", str(days_per_s)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        yield Replay(process)
    finally:
        process.terminate()
        process.wait()
