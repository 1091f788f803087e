"""The child's side of a job: bind itself to the limits first, then work, and say in a file how it went."""

import os
import re
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from payoff.errors import PayoffError
from payoff.flavors.apart import JOB, REPORT, Job, Limits, Report

Work = Callable[[Job], Report]

# Python's own names (sys.audit) for what opening a model has no need of.
_SHUT = re.compile(
    r"os\.(system|exec|spawn|posix_spawn|fork|forkpty|kill|killpg|remove|rename|rmdir|symlink|link|chmod|chown|truncate)"
    r"|(subprocess|pty|socket|urllib|ftplib|smtplib|http|webbrowser|shutil)\..*"
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Shut(PermissionError):
    """Something tried to start a process, reach the network or write outside its folder."""


def main(work: Work, before: Callable[[Job], None] | None = None) -> None:
    """Do the job in the current folder. Runs in a child process only: it limits its own process for good.

    Everything that the job needs was imported before (or is, by `before`), while it can still be compiled and cached.
    """
    job = msgspec.json.decode(Path(JOB).read_bytes(), type=Job, dec_hook=lambda kind, text: kind(text))
    _limit(job.limits)
    if before is not None:
        before(job)
    shut()
    try:
        report = work(job)
    except PayoffError as error:
        report = Report(error=type(error).__name__, message=str(error))
    except Shut as tried:
        message = f"{job.name} was not opened: it tried what no model has to do ({tried}); deploy it as ONNX"
        report = Report(error="BadInput", message=message)
    except MemoryError:
        limit = f"{job.limits.memory_bytes_max / (1 << 30):.1f} GiB"
        report = Report(
            error="TooLarge", message=f"{job.name} needs more memory than the {limit} it may use to be opened"
        )
    except RecursionError:
        report = Report(error="BadInput", message=f"{job.name} is nested too deeply to be opened")
    Path(REPORT).write_bytes(msgspec.json.encode(report))


def shut() -> None:
    """From here on this process starts none, reaches no network and writes only in its own folder.

    A second wall behind the list of `pickles.py`, for code in Python: it cannot be taken down again (PEP 578), but what
    runs as machine code could walk past it. That is why the process is a separate one with nothing in it worth having.
    """
    home = f"{Path.cwd().resolve()}{os.sep}"

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and not _may_write(path, home):
                raise Shut(f"writing {path!r}")
        elif _SHUT.fullmatch(event):
            raise Shut(event)

    sys.addaudithook(refuse)


def _may_write(path: object, home: str) -> bool:
    if isinstance(path, int):  # a file that is open already
        return True
    text = str(Path(os.fsdecode(path)).resolve()) if isinstance(path, str | bytes | os.PathLike) else ""
    return text.startswith(home) or text == os.devnull


def _limit(limits: Limits) -> None:
    """From here on the kernel holds this process to its limits, whatever it opens."""
    memory = limits.memory_bytes_max
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s_max, limits.cpu_s_max + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes_max, limits.file_bytes_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Python turns "file too large" into an exception; and a child outlives its time by itself if the parent is gone.
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_REAL, limits.wall_s_max + 5)
