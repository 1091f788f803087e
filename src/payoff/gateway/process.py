"""What a worker asks of the machine for itself: open files, a core of its own, no pauses for garbage."""

import contextlib
import gc
import os
import resource

FILES_MAX = 65_536
FILES_OTHER = 512  # of them: models, the journal, runners


def raise_files() -> int:
    """Allow this process as many open files as the system lets it, and tell how many connections that leaves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wished = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wished:
        with contextlib.suppress(OSError, ValueError):  # macOS has another limit beside this one
            resource.setrlimit(resource.RLIMIT_NOFILE, (wished, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return FILES_MAX if soft == resource.RLIM_INFINITY else max(1, soft - FILES_OTHER)


def pin(index: int) -> None:
    """Run on one core only, another one for each worker while there are enough. Linux."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[index % len(cores)]})


def settle() -> None:
    """What is there now stays for good: the garbage collector need not look at it.

    A full collection of what a worker has imported takes 40 ms, in which nobody is answered; calls leave no garbage.
    """
    gc.freeze()
