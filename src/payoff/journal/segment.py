"""Segment files: who writes one, which are closed, and the bytes in them. No pyarrow here: workers use it.

A segment `<opened us>-<writer>.seg` belongs to one writer, which holds an exclusive flock on it for as long as it may
still write. Nobody ever appends to a segment again once its lock is gone: closing is letting go, and dying is closing.
It gets its name only when it is locked, so a file of that name that can be locked is closed for good.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from payoff.errors import Conflict
from payoff.journal import ids
from payoff.journal.frame import BLOCK, MAGIC, checksum

SUFFIX = ".seg"
NEWEST = "newest"  # a file: the upper half of the newest id that is in no segment any more


class Segment(NamedTuple):
    """One segment file, as the directory shows it."""

    path: Path
    size: int

    @property
    def opened_us(self) -> int:
        return int(self.path.name.partition("-")[0])

    @property
    def writer(self) -> str:
        return self.path.name.partition("-")[2].removesuffix(SUFFIX)


class Scan(NamedTuple):
    """What the bytes of a segment, from some offset on, hold."""

    bodies: list[tuple[int, int]]  # where the whole blocks' bodies begin and end, within the bytes given
    end: int  # how many bytes they take
    newest: int  # the upper half of the newest id in them, 0 if there are none
    broken: bool  # what follows `end` is a whole block with a wrong checksum, or no block at all


def create(root: Path, writer: str, at_us: int) -> tuple[int, Path]:
    """A new, empty, locked segment: its file descriptor and path."""
    root.mkdir(parents=True, exist_ok=True)
    while True:
        path = root / f"{at_us:017d}-{writer}{SUFFIX}"
        hidden = root / f".{path.name}.{os.getpid()}"
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.link(hidden, path)
            return descriptor, path
        except FileExistsError:  # a clock set back: the name was used before
            os.close(descriptor)
            at_us += 1
        except OSError:
            os.close(descriptor)
            raise
        finally:
            hidden.unlink(missing_ok=True)


def segments(root: Path) -> list[Segment]:
    """All segments, in the order they were opened."""
    found = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name.endswith(SUFFIX) and not entry.name.startswith("."):
                    found.append(Segment(root / entry.name, entry.stat().st_size))
    except FileNotFoundError:
        return []
    return sorted(found)


def scan(raw: memoryview | bytes) -> Scan:
    """The whole blocks at the start of some bytes."""
    view, at, newest = memoryview(raw), 0, 0
    bodies: list[tuple[int, int]] = []
    while at + BLOCK.size <= len(view):
        magic, length, crc, high = BLOCK.unpack_from(view, at)
        begin, end = at + BLOCK.size, at + BLOCK.size + length
        if magic != MAGIC:
            return Scan(bodies, at, newest, True)
        if end > len(view):
            break
        if checksum(view[begin:end], high) != crc:
            return Scan(bodies, at, newest, True)
        bodies.append((begin, end))
        at, newest = end, max(newest, high)
    return Scan(bodies, at, newest, False)


def read(path: Path, start: int = 0) -> bytes:
    """The bytes of a segment from an offset to its end of this moment."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read()


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file (made if need be); yields False, without it, if `wait` is off and somebody has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    finally:
        os.close(descriptor)


def is_closed(path: Path) -> bool:
    """True once the writer of a segment has let go of it, or died."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        return _flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def _flock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True


def newest_us(root: Path) -> int:
    """The time of the newest id in the journal, 0 if there is none: where the ids of a new process start.

    Segments of one writer follow each other, so its last one with rows is enough; what is no longer in segments is
    remembered by compaction.
    """
    while True:
        highs: dict[str, int] = {}
        try:
            for each in reversed(segments(root)):
                highs[each.writer] = highs.get(each.writer) or scan(read(each.path)).newest
        except FileNotFoundError:  # compacted meanwhile
            continue
        remembered = root / NEWEST
        known = int(remembered.read_text()) if remembered.exists() else 0
        return ids.high_time_us(max(known, *highs.values(), 0))


def require_plain(writer: str) -> str:
    """A writer's name becomes part of a file name."""
    if not writer or "/" in writer or writer.startswith("."):
        raise Conflict(f"{writer!r} cannot name a journal writer; use letters, digits and '-'")
    return writer
