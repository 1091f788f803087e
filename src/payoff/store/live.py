"""What the control plane and the workers tell each other, as small files: no socket, no database, no lock to wait for.

The control plane publishes what each endpoint is to serve (`HOME/live/ENDPOINT.json`); each worker reports what it does
serve (`HOME/run/worker-N.json`). The database is the truth and these files are derived from it: they are not synced to
disk, and the control plane writes all of them anew when it starts.
"""

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from payoff.clock import now_us
from payoff.records.endpoint import Revision
from payoff.records.names import check
from payoff.store import processes
from payoff.store.files import TEMPORARY, folder, replace, told


@dataclass(frozen=True, slots=True)
class Live:
    """What one endpoint serves now, and what its workers are to load and warm before it does."""

    current: Revision | None
    prepare: Revision | None = None


@dataclass(frozen=True, slots=True)
class Resident:
    """A version that a worker has loaded: what it takes of the worker's own memory, and the processes it runs in."""

    model: str
    version: int
    held_bytes: int
    pids: tuple[int, ...] = ()
    engine: str = ""  # what computes it; empty where nobody knows
    threaded: bool = False  # whether it computes in a thread, so that it holds up no other model of the worker
    one_row_us: float | None = None  # of a call with one row, measured when it was loaded
    rows_max: int = 0  # that pay in one call; 0 where nobody knows


@dataclass(frozen=True, slots=True)
class Status:
    """What one worker does: per endpoint the revision it serves, the one it made ready, the one it could not load.

    `out` holds the arms, of the revisions it serves, whose model crashed again and again and is asked no more.
    """

    worker: int
    pid: int
    boot_id: str  # from `boot_id()`: tells this process from a later one with the same pid
    at_us: int
    serving: dict[str, int] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    failed: dict[str, tuple[int, str]] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    out: dict[str, dict[str, str]] = field(default_factory=dict)  # endpoint -> arm -> why
    resident: tuple[Resident, ...] = ()
    warmed: dict[str, tuple[int, str]] = field(default_factory=dict)  # endpoint -> the wish that was met, or why not


_YOUNG_NS = 1_000_000_000
_NO_MARK = (0, 0, 0)  # of a file that is to be read again
_LIVE = msgspec.json.Decoder(Live)
_STATUS = msgspec.json.Decoder(Status)


def publish(home: Path, revision: Revision | None, prepare: Revision | None = None) -> bool:
    """Tell the workers what an endpoint serves, and what to make ready; takes well under a millisecond.

    An older revision never replaces a newer one, so that of two orders given at once the later holds, whoever comes
    last: then nothing is written and the answer is False. `revision` is None for an endpoint before its first.
    """
    endpoint = _endpoint(revision, prepare)
    with _changing(home) as live:
        before = _read(live / f"{endpoint}.json")
        if isinstance(before, Live) and _number(before.current) > _number(revision):
            return False
        replace(live / f"{endpoint}.json", msgspec.json.encode(Live(revision, prepare)))
        return True


def publish_all(home: Path, revisions: Iterable[Revision]) -> None:
    """Make the files say what the database says, no more and no less; for the start of the control plane."""
    with _changing(home) as live:
        files = {f"{revision.endpoint}.json": Live(revision) for revision in revisions}
        for name, content in files.items():
            replace(live / name, msgspec.json.encode(content))
        for path in live.iterdir():
            if path.name not in files and path.suffix in (".json", TEMPORARY):
                path.unlink()
    _sweep_run(home)


def withdraw(home: Path, endpoint: str) -> None:
    """Take back what was to be made ready; what the endpoint serves stays."""
    with _changing(home) as live:
        path = live / f"{check(endpoint, 'endpoint')}.json"
        before = _read(path)
        if isinstance(before, Live) and before.current is not None:
            replace(path, msgspec.json.encode(Live(before.current)))
        else:
            path.unlink(missing_ok=True)


def remove(home: Path, endpoint: str) -> None:
    """The endpoint is no more; removing what is not there is fine."""
    with _changing(home) as live:
        (live / f"{check(endpoint, 'endpoint')}.json").unlink(missing_ok=True)
        (home / "run" / "warm" / endpoint).unlink(missing_ok=True)


def want_warm(home: Path, endpoint: str) -> int:
    """Ask all workers to have the models of an endpoint loaded.

    The wish has a number, the time in microseconds or more than that of the one before; `Status.warmed` has who met it.
    """
    with _changing(home):
        path = folder(home / "run" / "warm") / check(endpoint, "endpoint")
        number = max(now_us(), _wish(path) + 1)
        replace(path, b"%d" % number)
        return number


def wanted_warm(home: Path) -> dict[str, int]:
    """The latest wish for each endpoint, by its number."""
    return {path.name: _wish(path) for path in (home / "run" / "warm").glob("[!.]*")}


def serves(home: Path, endpoint: str) -> bool:
    """Whether workers are told of this endpoint."""
    return (home / "live" / f"{endpoint}.json").exists()


def stamp(home: Path) -> int:
    """A number that grows with every change; costs one stat(2). Take it before reading, and no change is missed.

    It is the size of an empty (sparse) file that every change makes a byte longer: times of files and folders come in
    clock ticks of milliseconds, and two changes within one would look like one.
    """
    try:
        return (home / "live" / ".changes").stat().st_size
    except FileNotFoundError:
        return 0


def read_all(home: Path) -> dict[str, Live | str]:
    """What every endpoint serves; where a file cannot be read, the reason, and the worker keeps what it had."""
    return Reader(home).read()


class Reader:
    """Reads what every endpoint serves, again and again; files that have not changed since are not read again.

    A file counts as unchanged if it was old when it was read and looks the same: times of files come in ticks of some
    milliseconds, and of two changes within one the second would be missed.
    """

    def __init__(self, home: Path) -> None:
        self._live = home / "live"
        self._found: dict[str, tuple[tuple[int, int, int], Live | str]] = {}

    def read(self) -> dict[str, Live | str]:
        """As `read_all`; what is unchanged is the same object as before."""
        self._found = {path.name: found for path in self._paths() if (found := self._look(path)) is not None}
        return {name.removesuffix(".json"): live for name, (_, live) in self._found.items()}

    def _paths(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._live) as entries:
                found = [one for one in entries if one.name.endswith(".json") and not one.name.startswith(".")]
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda entry: entry.name)

    def _look(self, entry: os.DirEntry[str]) -> tuple[tuple[int, int, int], Live | str] | None:
        before = self._found.get(entry.name)
        try:
            state = entry.stat()
        except FileNotFoundError:
            return None
        mark = (state.st_ino, state.st_mtime_ns, state.st_size)
        if before is not None and before[0] == mark:
            return before
        young = time.time_ns() - state.st_mtime_ns < _YOUNG_NS
        live = _read(Path(entry.path))
        return None if live is None else (_NO_MARK if young else mark, live)


def boot_id() -> str:
    """What a worker writes into its status, so that nobody takes another process for it."""
    return processes.identity(os.getpid()) or ""


def report(home: Path, worker: int, status: Status) -> None:
    """A worker says what it serves; in one step, without sync."""
    with told(f"writing the status of worker {worker}"):
        replace(folder(home / "run") / f"worker-{worker}.json", msgspec.json.encode(status))


def statuses(home: Path, *, alive_only: bool = True) -> list[Status]:
    """What the workers last said, by number; those whose process is gone only if asked for."""
    said = [status for path in (home / "run").glob("worker-*.json") if (status := _status(path)) is not None]
    return sorted((s for s in said if not alive_only or _alive(s)), key=lambda status: status.worker)


@contextmanager
def _changing(home: Path) -> Iterator[Path]:
    """The folder, for one writer at a time (threads and processes); whatever happens, readers look again after it."""
    with told(f"publishing in {home / 'live'}"):
        live = folder(home / "live")
        changes = os.open(live / ".changes", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(changes, fcntl.LOCK_EX)
            try:
                yield live
            finally:
                os.ftruncate(changes, os.fstat(changes).st_size + 1)
        finally:
            os.close(changes)


def _endpoint(revision: Revision | None, prepare: Revision | None) -> str:
    names = {one.endpoint for one in (revision, prepare) if one is not None}
    if len(names) != 1:
        raise ValueError(f"one endpoint is published at a time, got {sorted(names) or 'none'}")
    return check(names.pop(), "endpoint")


def _number(revision: Revision | None) -> int:
    return 0 if revision is None else revision.number


def _read(path: Path) -> Live | str | None:
    """The content, why it cannot be read, or None where there is nothing."""
    try:
        live = _LIVE.decode(path.read_bytes())
        found = _endpoint(live.current, live.prepare)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        return f"{path.name} cannot be read: {error}; restart the control plane, it writes the file anew"
    return live if f"{found}.json" == path.name else f"{path.name} is about {found!r}; it was renamed by hand"


def _wish(path: Path) -> int:
    """The number of a wish; 0 where there is none."""
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return 0


def _status(path: Path) -> Status | None:
    """What a worker said; a file that cannot be read counts as silence, for the worker soon writes the next one."""
    try:
        return _STATUS.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def _alive(status: Status) -> bool:
    return processes.identity(status.pid) == status.boot_id


def _sweep_run(home: Path) -> None:
    """Remove what dead workers left: their last words, and files they were killed in the middle of."""
    for path in (home / "run").glob("worker-*.json"):
        status = _status(path)
        if status is None or not _alive(status):
            path.unlink(missing_ok=True)
    for path in (home / "run").glob(f".worker-*{TEMPORARY}"):
        if processes.identity(int(path.name.split(".")[-3])) is None:
            path.unlink(missing_ok=True)
