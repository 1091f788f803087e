"""Counts that outlive the process that counts: one small mapped file each under HOME/run, added up by whoever asks.

A process owns its sheet: it adds in place, without a lock or a system call, and what it counted stays when it is
killed. Whoever takes its place goes on with the same sheet, so no count ever goes back while `payoff up` runs. A sheet
has a head, with the numbers of the process itself, and lines, each with its labels and its cells.
"""

import fcntl
import logging
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from operator import add
from pathlib import Path

from payoff.store.files import folder

log = logging.getLogger("payoff.store")
MAGIC = b"payoff sheet 1\n\0"
LINES_MAX = 8_192  # 32 MiB; what has other labels is counted together after that
OTHER = "other"

_PREFIX = "metrics-"
_HEAD_BYTES = 16_384  # a mapping begins at a multiple of a page, and pages have up to so many bytes
_LINE_BYTES, _LABELS_BYTES = 4_096, 512
_PIECE_LINES = 128  # mapped at once; each mapping holds a file descriptor
_OWN_BYTES = 64  # where the process's own numbers begin
_LINES_CELL = 2  # of the head: how many lines there are
_SEPARATOR = "\x1f"
_NAMES_MAX = 64  # processes that may go by one name at a time: one that leaves, one that takes its place
CELLS = (_LINE_BYTES - _LABELS_BYTES) // 8
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """All sheets of a home: the processes' own numbers by name, and the lines of all of them added up."""

    own: dict[str, list[int]] = field(default_factory=dict)
    lines: dict[Labels, list[int]] = field(default_factory=dict)


class Sheet:
    """The sheet of this process. `own` holds its own numbers; `line` gives the cells of labels, to be added to.

    Where the disk has no room for it the process counts for itself alone: nobody goes without an answer for a number.
    """

    def __init__(self, home: Path, name: str) -> None:
        self._file = _take(home, name)
        self._size = os.fstat(self._file.fileno()).st_size if self._file else 0
        self._head = self._mapped(0, _HEAD_BYTES).cast("q")
        self._head.cast("B")[: len(MAGIC)] = MAGIC
        self.own = self._head[_OWN_BYTES // 8 :]
        self._pieces: list[memoryview] = []
        self._lines: dict[Labels, memoryview] = {}
        for place in range(min(self._head[_LINES_CELL], (self._size - _HEAD_BYTES) // _LINE_BYTES)):
            raw = self._raw(place)
            self._lines[_labels(raw)] = _cells(raw)

    def line(self, *labels: str) -> memoryview:
        """The cells of these labels, the same at every call."""
        if labels not in self._lines and len(self._lines) >= LINES_MAX:
            labels = (labels[0], *(OTHER,) * (len(labels) - 1))
        if labels not in self._lines:
            self._lines[labels] = self._add(_SEPARATOR.join(labels).encode()[:_LABELS_BYTES])
        return self._lines[labels]

    def _add(self, labels: bytes) -> memoryview:
        place = len(self._lines)
        raw = self._raw(place)
        raw[: len(labels)] = labels
        self._head[_LINES_CELL] = place + 1  # whoever reads sees a line when it is whole
        return _cells(raw)

    def _raw(self, place: int) -> memoryview:
        piece, line = divmod(place, _PIECE_LINES)
        while len(self._pieces) <= piece:
            start = _HEAD_BYTES + len(self._pieces) * _PIECE_LINES * _LINE_BYTES
            self._pieces.append(self._mapped(start, _PIECE_LINES * _LINE_BYTES))
        return self._pieces[piece][line * _LINE_BYTES : (line + 1) * _LINE_BYTES]

    def _mapped(self, start: int, size: int) -> memoryview:
        try:
            if self._file:
                self._grow(self._file, start + size)
                return memoryview(mmap.mmap(self._file.fileno(), size, offset=start))
        except OSError as error:
            log.warning("counts stay in this process, the disk does not take them: %s", error.strerror or error)
            self._file = None
        return memoryview(mmap.mmap(-1, size))

    def _grow(self, file: FileIO, size: int) -> None:
        """Written, not only promised: storing into a page that the disk has no room for ends a process."""
        while self._size < size:
            self._size += os.pwrite(file.fileno(), bytes(size - self._size), self._size)


def read(home: Path) -> Counts:
    """What all processes of a home counted, also those that are gone."""
    counts = Counts()
    for path in sorted((home / "run").glob(f"{_PREFIX}*")):
        try:
            raw = path.read_bytes()
        except OSError:
            continue  # it is gone by now
        if raw.startswith(MAGIC) and len(raw) >= _HEAD_BYTES:
            counts.own[path.name.removeprefix(_PREFIX)] = memoryview(raw)[_OWN_BYTES:_HEAD_BYTES].cast("q").tolist()
            _add_up(counts.lines, raw)
    return counts


def sweep(home: Path) -> None:
    """Begin anew; only while nobody counts."""
    for path in (home / "run").glob(f"{_PREFIX}*"):
        path.unlink(missing_ok=True)


def _add_up(sums: dict[Labels, list[int]], raw: bytes) -> None:
    for line in _whole_lines(memoryview(raw)):
        labels, cells = _labels(line), _cells(line).tolist()
        sums[labels] = list(map(add, sums[labels], cells)) if labels in sums else cells


def _whole_lines(raw: memoryview) -> Iterator[memoryview]:
    said = raw[:_HEAD_BYTES].cast("q")[_LINES_CELL]
    for place in range(min(said, (len(raw) - _HEAD_BYTES) // _LINE_BYTES)):
        start = _HEAD_BYTES + place * _LINE_BYTES
        yield raw[start : start + _LINE_BYTES]


def _labels(line: memoryview) -> Labels:
    return tuple(bytes(line[:_LABELS_BYTES]).rstrip(b"\0").decode("utf-8", "replace").split(_SEPARATOR))


def _cells(line: memoryview) -> memoryview:
    return line[_LABELS_BYTES:].cast("q")


def _take(home: Path, name: str) -> FileIO | None:
    """The file of that name, locked; the next one if whoever had it before has not left yet; None if there is none."""
    for number in range(_NAMES_MAX):
        path = folder(home / "run") / (f"{_PREFIX}{name}.{number}" if number else f"{_PREFIX}{name}")
        try:
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        except OSError as error:
            log.warning("counts stay in this process, %s cannot be opened: %s", path, error.strerror)
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        return file
    return None
