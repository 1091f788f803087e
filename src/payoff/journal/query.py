"""Questions to the journal: tables and fresh segments as one, answered by DuckDB."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from payoff.errors import Busy
from payoff.journal import matured, scan, statement, views
from payoff.journal.sandbox import Answer, ask
from payoff.journal.snapshot import Snapshot, Snapshots

_NOTHING: scan.Declared = {}
_CELLS_MAX = 2  # questions of strangers at a time: each may take a gigabyte and two cores


class Journal:
    """The journal of a home, for reading. May be used by several threads; each question sees the newest rows.

    SQL texts given to `matured` and `statement` are trusted: they come from payoff.expressions, never from a caller.
    They read `inputs`, `outputs`, `decision`, `outcome` and `outcome_value` (money sent along), null when unknown.
    `declared` names the columns they may read, so that they are there before the first row that has them.
    """

    def __init__(self, home: Path, *, memory_bytes_max: int = 2 << 30) -> None:
        self.home = home
        self._snapshots = Snapshots(home)
        self._lock = threading.Lock()
        self._cells = threading.BoundedSemaphore(_CELLS_MAX)
        self.memory_bytes_max = memory_bytes_max
        self._database = views.open_database(home, memory_bytes_max)

    def snapshot(self) -> Snapshot:
        """All rows as of now."""
        with self._lock:
            return self._snapshots.take()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB of its own with the views predictions, shadows, outcomes and outcome_log, as of now.

        They are there for all endpoints together, and for each one in a schema of its name. Trusted use only.
        """
        database, snapshot = views.open_database(self.home, self.memory_bytes_max), self.snapshot()
        views.register(database, snapshot.relations.values())
        views.create(database, snapshot)
        return database

    def sql(self, text: str, rows_max: int = 10_000, seconds_max: float = 30.0) -> Answer:
        """The answer to anybody's SELECT, from a locked-down process; raises BadInput for anything else.

        Busy says that it took too long or that two others are running, TooLarge that it took too much memory.
        """
        if not self._cells.acquire(blocking=False):
            raise Busy(f"{_CELLS_MAX} queries are running, which is the limit; try again when one is done")
        try:
            return ask(self.home, text, rows_max, seconds_max)
        finally:
            self._cells.release()

    def matured(
        self, endpoint: str, after_id: str | None, value_sql: str | None, baseline_sql: str | None, window_s: float,
        now_us: int, limit: int = 100_000, *, settle_s: float = 1.0, declared: scan.Declared = _NOTHING,
    ) -> matured.Matured:  # fmt: skip
        """The next predictions after `after_id` whose worth is settled; see payoff.journal.matured.

        `window_s` is how long a missing outcome holds back those after it. The last `settle_s` are not looked at: ids
        are taken right before a flush, so that within it all workers have written theirs.
        """
        value, baseline = value_sql or "outcome_value", baseline_sql or "NULL"
        question = matured.Question(endpoint, after_id, value, baseline, window_s, now_us, limit, settle_s, declared)
        with self._asking(endpoint) as (database, snapshot):
            return matured.find(database, snapshot, question)

    def statement(
        self, endpoint: str, value_sql: str | None, baseline_sql: str | None = None, *, by_day: bool = False,
        day_sql: str | None = None, declared: scan.Declared = _NOTHING,
    ) -> list[statement.Line]:  # fmt: skip
        """What each version earned, in sums; by day of `day_sql` (say `inputs.called_on`), or of the prediction."""
        day = day_sql or ("p.time" if by_day else None)
        value, baseline = value_sql or "outcome_value", baseline_sql or "NULL"
        with self._asking(endpoint) as (database, snapshot):
            return statement.lines(database, snapshot, endpoint, value, baseline, day, declared)

    def predictions(self, endpoint: str, limit: int = 100, before: str | None = None) -> pa.Table:
        """The newest predictions before an id, shadows too, newest first, with their last outcome."""
        with self._asking(endpoint) as (database, snapshot):
            return views.newest(database, snapshot, endpoint, limit, before)

    def count(self, endpoint: str) -> dict[str, int]:
        """How many predictions, shadows and outcomes (corrections counted) there are."""
        with self._asking(endpoint) as (database, snapshot):
            return views.count(database, snapshot, endpoint)

    def known_ids(self, endpoint: str, some: Sequence[str]) -> set[str]:
        """Which of these ids are predictions of the endpoint."""
        with self._asking(endpoint) as (database, snapshot):
            return views.known_ids(database, snapshot.relations.get(("predictions", endpoint)), some)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    @contextmanager
    def _asking(self, endpoint: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, Snapshot]]:
        snapshot = self.snapshot()
        database = self._database.cursor()
        try:
            views.register(database, [each for each in snapshot.relations.values() if each.kind[1] == endpoint])
            yield database, snapshot
        finally:
            database.close()
