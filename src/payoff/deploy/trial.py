"""A version asked apart: loaded as a worker loads it, in a process of its own, given rows, timed and weighed.

The control plane itself never opens a model. The child is this module too: `python -I -m payoff.deploy.trial`.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import msgspec

from payoff.environments.environments import Environments
from payoff.errors import ModelFailed, PayoffError
from payoff.flavors.apart import environment
from payoff.flavors.flavor import FLAVORS, Loaded, Servable
from payoff.flavors.rowfile import Rows, read_rows, write_rows
from payoff.records.model import Served
from payoff.runner.zygote import Zygotes
from payoff.store.blobs import Blobs
from payoff.store.folders import Unpacked

JOB, ROWS, ANSWERS, REPORT, SAID = "job.json", "rows.npz", "answers.npz", "report.json", "said.txt"
WALL_S_MAX = 600.0
_ASKED_S, _PASSES_MAX = 0.5, 50  # how long the rows are asked again to learn the speed
_ASKS_OTHERS = ("remote", "chain")  # they need what the server's own environment says, as in a worker


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is to do."""

    home: Path
    served: Served


@dataclass(frozen=True, slots=True)
class Report:
    """What it says: how long loading took, how fast it answered, what it holds in memory; or why it failed."""

    load_seconds: float = 0.0
    rows_per_s: float = 0.0
    memory_bytes: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A version's answers to rows, and what they cost."""

    answers: Rows
    report: Report


def run(home: Path, served: Served, rows: Rows) -> Trial:
    """Ask a version these rows, which are as its signature says; ModelFailed if it cannot be loaded or asked."""
    with tempfile.TemporaryDirectory(prefix="payoff-trial-") as folder:
        work = Path(folder)
        write_rows(work / ROWS, {"inputs": rows})
        (work / JOB).write_bytes(msgspec.json.encode(Job(home.resolve(), served), enc_hook=str))
        _watch(work, served)
        try:
            report = msgspec.json.decode((work / REPORT).read_bytes(), type=Report)
        except (OSError, msgspec.MsgspecError) as error:
            last = (work / SAID).read_text(errors="replace").strip().rpartition("\n")[2][-300:]
            raise ModelFailed(f"the process that asked it ended early; it said last: {last or 'nothing'}") from error
        if report.error:
            raise ModelFailed(report.error)
        groups, _ = read_rows(work / ANSWERS)
        return Trial(groups["outputs"], report)


def _watch(work: Path, served: Served) -> None:
    """The child, until its end or until time is over."""
    plain = {**os.environ, "TMPDIR": str(work)} if served.flavor in _ASKS_OTHERS else environment(os.environ, work)
    shared = {name: os.environ[name] for name in ("PAYOFF_ENVIRONMENTS",) if name in os.environ}
    with (work / SAID).open("wb") as said:
        child = subprocess.Popen(  # our own module, no shell
            [sys.executable, "-I", "-m", "payoff.deploy.trial"],
            cwd=work, env=plain | shared, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            child.wait(WALL_S_MAX)
        except subprocess.TimeoutExpired as error:
            raise ModelFailed(f"it was not done after {WALL_S_MAX:.0f} s, and was stopped") from error
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


# -- the child's side


class _Around:
    """What a worker offers a flavor that loads a model (payoff.flavors.Surroundings)."""

    def __init__(self, home: Path) -> None:
        self._blobs = Blobs(home / "artifacts")
        self._unpacked = Unpacked(home / "unpacked")
        self._environments = Environments.of(home)
        self.room = Path.cwd()
        self.zygotes: Zygotes | None = None
        self.shared: Path | None = None

    def artefact(self, served: Served) -> Path:
        path = self._blobs.path(served.digest)
        return self._unpacked.path(served.digest, path) if served.folder else path

    def python(self, environment: str) -> Path:
        return self._environments.find(environment).python

    def load(self, served: Served) -> Loaded:
        return cast(Servable, FLAVORS.take(served.flavor)).load(served, self)


def main() -> None:
    """Do the job in the current folder and leave a report."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = msgspec.json.decode(Path(JOB).read_bytes(), type=Job, dec_hook=lambda kind, text: kind(text))
    try:
        report = _ask(job)
    except PayoffError as error:
        report = Report(error=str(error))
    Path(REPORT).write_bytes(msgspec.json.encode(report))


def _ask(job: Job) -> Report:
    groups, _ = read_rows(Path(ROWS))
    rows = groups["inputs"]
    before_bytes, began_s = _held_bytes(), time.perf_counter()
    loaded = _Around(job.home).load(job.served)
    try:
        load_s = time.perf_counter() - began_s
        answers = loaded.run(rows.columns)
        write_rows(Path(ANSWERS), {"outputs": Rows(job.served.signature.outputs, answers)})
        speed = _rows_per_s(loaded, rows)
        return Report(load_s, speed, max(0, _held_bytes() - before_bytes))
    finally:
        loaded.close()


def _rows_per_s(loaded: Loaded, rows: Rows) -> float:
    """All rows at once, again and again for a while; the fastest pass counts."""
    best, until = float("inf"), time.perf_counter() + _ASKED_S
    for _ in range(_PASSES_MAX):
        began = time.perf_counter()
        loaded.run(rows.columns)
        now = time.perf_counter()
        best = min(best, now - began)
        if now > until:
            break
    return len(rows) / best


def _held_bytes() -> int:
    """What this process and all that it started hold in memory; 0 where the system does not say (not Linux)."""
    if not Path("/proc/self/statm").exists():
        return 0
    parents = {pid: _parent(pid) for pid in (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())}
    family, grown = {os.getpid()}, True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        family, grown = family | more, bool(more)
    return sum(_resident(pid) for pid in family)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # what libraries do at the interpreter's end is slow and noisy
