"""Anybody's SELECT over the journal: one at a time in a process that can read the tables and nothing else.

Three walls. The text must be one SELECT whose table functions are all known to be harmless (guard). DuckDB then runs
with no file, network, extension or setting open to it, and limits on time and memory. And it runs in a process of its
own with hard limits, so that what exhausts it, or breaks it, breaks nothing else.
"""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa

from payoff import errors
from payoff.store.files import told

_GRACE_S = 10.0  # to start, to take the snapshot and to send the answer
_KINDS = {one.__name__: one for one in (errors.TooLarge, errors.Busy, errors.Unavailable)}


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query; `truncated` if there were more than the limits allow."""

    table: pa.Table
    truncated: bool


def ask(home: Path, text: str, rows_max: int, seconds_max: float, memory_bytes_max: int = 1 << 30) -> Answer:
    """Run one SELECT over the journal of a home; BadInput says what is wrong with it, TooLarge and Busy what it hit.

    Unavailable: the disk has no room for the copy of the fresh rows that the query reads, or the process failed.
    """
    with _scratch(home) as scratch:
        request = {
            "home": str(home.absolute()), "scratch": scratch, "text": text, "rows_max": rows_max,
            "seconds_max": seconds_max, "memory_bytes_max": memory_bytes_max,
        }  # fmt: skip
        command = [sys.executable, "-I", "-m", "payoff.journal.cell"]
        try:
            done = subprocess.run(  # noqa: S603 - our own module, and the text goes in as data
                command, input=orjson.dumps(request), capture_output=True, timeout=seconds_max + _GRACE_S, env={}
            )
        except subprocess.TimeoutExpired as error:
            raise _too_slow(seconds_max) from error
    return _read(done.stdout, done.returncode, home, seconds_max)


@contextmanager
def _scratch(home: Path) -> Iterator[str]:
    """A folder for the copy of the fresh rows, gone afterwards."""
    with told("making room for the query"):
        (home / "run").mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(prefix="sql-", dir=home / "run", ignore_cleanup_errors=True)
    with made as path:
        yield path


def _read(raw: bytes, status: int, home: Path, seconds_max: float) -> Answer:
    head, _, body = raw.partition(b"\n")
    if status in (-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV):
        raise errors.TooLarge("the query needed more memory or time than it may have; select fewer rows or columns")
    if status != 0 or not head:
        raise errors.Unavailable(f"the query process failed with status {status}; try again, or see `payoff doctor`")
    facts = orjson.loads(head)
    if "error" in facts:
        kind = _KINDS.get(facts["kind"], errors.BadInput)
        raise kind(facts["error"].replace(str(home.absolute()), "HOME"))
    return Answer(pa.ipc.open_stream(body).read_all(), facts["truncated"])


def _too_slow(seconds_max: float) -> errors.Busy:
    return errors.Busy(f"the query ran longer than {seconds_max:g} s and was stopped; ask for less, or aggregate more")
