"""Files that are there whole or not at all, readable by their owner only; and what to say when the disk refuses."""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from payoff.errors import Unavailable

TEMPORARY = ".tmp"  # how the names of files end that are not there yet

_ADVICE = {
    errno.ENOSPC: "make room on the disk and repeat",
    errno.EDQUOT: "make room in the quota of this account and repeat",
    errno.EFBIG: "raise the limit on file sizes (`ulimit -f`) and repeat",
    errno.EROFS: "the disk is mounted read-only: remount it or use another --home",
    errno.EACCES: "give this account the right to write there or use another --home",
    errno.EPERM: "give this account the right to write there or use another --home",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`) and repeat",
    errno.ENOTDIR: "a file stands where a folder should be: move it away or use another --home",
    errno.EEXIST: "a file stands where a folder should be: move it away or use another --home",
    errno.EIO: "the disk itself fails: look at the system log and move the home elsewhere",
}


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turns what the disk refuses into Unavailable: what was being done, why it failed, what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, "look at the disk and repeat")
        raise Unavailable(f"{doing} failed: {reason}; nothing was kept; {advice}") from error


def folder(path: Path) -> Path:
    """The folder; where it or a parent is missing, it is made for its owner only (mode 0700)."""
    if not path.is_dir():
        folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def write(fd: int, data: bytes) -> None:
    """All of the data: one write(2) may take only a part."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def replace(path: Path, data: bytes) -> None:
    """Put a file in place in one step: a reader sees the old one or the new one, whole.

    It is not synced: for files that can be made again after a loss of power.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}{TEMPORARY}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write(fd, data)
        finally:
            os.close(fd)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a loss of power; syncing a file keeps its bytes, not its name (fsync(2))."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
