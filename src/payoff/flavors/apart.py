"""Model files are opened in a process apart: few rights, bounded time and memory, and no more than files come back.

What is started is a fresh interpreter (`-I`: no PYTHON* variables, no current folder on the path) in a session of its
own, with an empty standard input and none of the parent's environment but what it needs to start.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from payoff.errors import BadInput, ModelFailed, PayoffError, TooLarge
from payoff.flavors.flavor import Prepared
from payoff.flavors.rowfile import Rows, write_rows
from payoff.records.signature import Signature

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE, MODEL, GOLDEN, REPORT, JOB = "sample.npz", "model.onnx", "golden.npz", "report.json", "job.json"
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT")
_REPORT_BYTES_MAX = 4 << 20
_SAID_BYTES_MAX = 16 << 10
_ERRORS: dict[str, type[PayoffError]] = {"BadInput": BadInput, "ModelFailed": ModelFailed, "TooLarge": TooLarge}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use. Memory is address space, of which libraries reserve more than they touch."""

    wall_s_max: float = 300.0
    cpu_s_max: int = 300
    memory_bytes_max: int = 8 << 30
    file_bytes_max: int = 2 << 30  # no ONNX file can be larger than a protobuf message


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is to do: the artefact, a folder for what it makes, and the name that messages use."""

    path: Path
    into: Path
    name: str
    sample: Path | None = None
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Report:
    """What a child says when it is done; `error` is one of _ERRORS, or empty when all went well."""

    signature: Signature | None = None
    environment: dict[str, str] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    message: str = ""


def prepare_apart(module: str, job: Job, sample: pa.Table | None) -> Prepared:
    """Have `module` make an artefact servable; what it refuses is raised here."""
    if sample is None:
        return prepare_apart_with(module, job, {})
    from payoff.flavors.sample import rows_of  # Arrow is there if a table is

    return prepare_apart_with(module, job, {"inputs": rows_of(sample)})


def prepare_apart_with(module: str, job: Job, groups: Mapping[str, Rows]) -> Prepared:
    """The same with any groups of rows."""
    job.into.mkdir(parents=True, exist_ok=True)
    if groups:
        job = replace(job, sample=job.into / SAMPLE)
        write_rows(job.into / SAMPLE, groups)
    report = run_apart(module, job)
    if report.signature is None:
        raise ModelFailed(f"{job.name}: the process that opened it ended without a signature")
    made, golden = job.into / MODEL, job.into / GOLDEN
    return Prepared(
        served_path=made if made.exists() else job.path,
        served_flavor="onnx",
        signature=report.signature,
        golden_path=golden if golden.exists() else None,
        environment=report.environment,
        provenance=report.provenance,
    )


def run_apart(module: str, job: Job) -> Report:
    """Run `python -m module` on a job and read its report; the child and all its own are gone when this returns."""
    with tempfile.TemporaryDirectory(dir=job.into, prefix="apart-") as folder:
        work = Path(folder)
        (work / JOB).write_bytes(msgspec.json.encode(replace(job, into=work), enc_hook=str))
        started = time.monotonic()
        status, said = _watch(module, work, job.limits)
        report = _report(work, job, status, said, time.monotonic() - started)
        for name in (MODEL, GOLDEN):
            if (work / name).is_file() and not (work / name).is_symlink():
                shutil.move(work / name, job.into / name)
    return report


def _watch(module: str, work: Path, limits: Limits) -> tuple[int | None, str]:
    """The exit status (None if time ran out) and the last of what the child said on standard error."""
    child = subprocess.Popen(  # noqa: S603 - our own module, no shell
        [sys.executable, "-I", "-m", module, JOB],
        cwd=work,
        env=environment(os.environ, work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said = _listen(child, time.monotonic() + limits.wall_s_max)
        return child.poll(), said
    finally:
        _end(child)


def environment(ours: Mapping[str, str], work: Path) -> dict[str, str]:
    """The variables of a child: what it needs to start, one thread, and no secret of its parent's."""
    kept = {name: ours[name] for name in _KEPT if name in ours}
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    return kept | threads | {"HOME": str(work), "TMPDIR": str(work), "JOBLIB_MULTIPROCESSING": "0"}


def _listen(child: subprocess.Popen[bytes], until: float) -> str:
    """Wait for the child's end, or for `until`; keeps no more than the last of what it says."""
    said = b""
    assert child.stderr is not None  # noqa: S101 - it was opened as a pipe
    with selectors.DefaultSelector() as selector:
        selector.register(child.stderr, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            if not selector.select(left):
                break
            piece = os.read(child.stderr.fileno(), 65_536)
            if not piece:
                break
            said = (said + piece)[-_SAID_BYTES_MAX:]
    with suppress(subprocess.TimeoutExpired):
        child.wait(max(0.0, until - time.monotonic()))
    return said.decode("utf-8", "replace")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Nothing of the child's session outlives the call."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    if child.stderr is not None:
        child.stderr.close()


def _report(work: Path, job: Job, status: int | None, said: str, seconds: float) -> Report:
    file = work / REPORT
    if status == 0 and file.is_file() and file.stat().st_size <= _REPORT_BYTES_MAX:
        try:
            report = msgspec.json.decode(file.read_bytes(), type=Report)
        except msgspec.MsgspecError as error:
            raise ModelFailed(f"{job.name}: the process that opened it left an unreadable report: {error}") from error
        if report.error:
            raise _ERRORS.get(report.error, ModelFailed)(report.message)
        return report
    raise ModelFailed(f"{job.name} could not be opened: {end_in_words(status, said, seconds, job.limits)}")


def end_in_words(status: int | None, said: str, seconds: float, limits: Limits) -> str:
    """How a child ended that left no report: its exit status (None if time ran out) and its last words."""
    last = next((line for line in reversed(said.splitlines()) if line.strip()), "nothing")[-300:]
    if status is None:
        return f"it was not done after {seconds:.0f} s (the limit is {limits.wall_s_max:g} s), and was stopped"
    if -status in (signal.SIGXCPU, signal.SIGALRM):
        return f"it used more than the {limits.cpu_s_max} s of computing that it may use, and was stopped"
    if -status == signal.SIGXFSZ:
        return f"it wrote a file of more than {limits.file_bytes_max:,} bytes, and was stopped"
    if status < 0:
        name = signal.Signals(-status).name if -status in signal.valid_signals() else -status
        return f"the process that tried it crashed ({name}); nothing else was harmed. It said last: {last}"
    return f"the process that tried it failed ({status}). It said last: {last}"
