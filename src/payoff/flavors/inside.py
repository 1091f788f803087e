"""The child's side of a job: bind itself to the limits first, then work, and say in a file how it went."""

import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from payoff.errors import PayoffError
from payoff.flavors.apart import JOB, REPORT, Job, Limits, Report

Work = Callable[[Job], Report]


def main(work: Work) -> None:
    """Do the job in the current folder. Runs in a child process only: it limits its own process for good."""
    job = msgspec.json.decode(Path(JOB).read_bytes(), type=Job, dec_hook=lambda kind, text: kind(text))
    _limit(job.limits)
    try:
        report = work(job)
    except PayoffError as error:
        report = Report(error=type(error).__name__, message=str(error))
    except MemoryError:
        limit = f"{job.limits.memory_bytes_max / (1 << 30):.1f} GiB"
        report = Report(
            error="TooLarge", message=f"{job.name} needs more memory than the {limit} it may use to be opened"
        )
    except RecursionError:
        report = Report(error="BadInput", message=f"{job.name} is nested too deeply to be opened")
    Path(REPORT).write_bytes(msgspec.json.encode(report))


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
