"""Questions to the journal: tables and fresh segments as one, answered by DuckDB."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from payoff.errors import Busy
from payoff.journal import asked, matured, parted, recent, scan, spent, statement, views
from payoff.journal.sandbox import Answer, ask
from payoff.journal.snapshot import Snapshot, Snapshots
from payoff.journal.terms import Terms
from payoff.records.endpoint import Matures

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
        matures: Matures = Matures.OUTCOME, fee_sql: str | None = None, covariate_sql: str | None = None,
    ) -> matured.Matured:  # fmt: skip
        """The next predictions after `after_id` whose worth is settled; see payoff.journal.matured.

        A prediction is settled when it has an outcome, or when `window_s` have passed; with Matures.WINDOW only then,
        and what happened later does not count. The last `settle_s` are not looked at: ids are taken right before a
        flush, so that within it all workers have written theirs.
        """
        terms = _terms(value_sql, baseline_sql, fee_sql, covariate_sql, declared, matures, window_s, now_us)
        with self._asking(endpoint) as (database, snapshot):
            return matured.find(database, snapshot, matured.Question(endpoint, after_id, terms, limit, settle_s))

    def statement(
        self, endpoint: str, value_sql: str | None, baseline_sql: str | None = None, *, by_day: bool = False,
        day_sql: str | None = None, declared: scan.Declared = _NOTHING, by: Sequence[str] = (),
        matures: Matures = Matures.OUTCOME, window_s: float | None = None, now_us: int = 0, fee_sql: str | None = None,
    ) -> list[statement.Line]:  # fmt: skip
        """What each version earned, in sums; by day of `day_sql` (say `inputs.called_on`), or of the prediction.

        `by` names what else goes apart: "choice", "revision", "instead_of". What is not settled at `now_us`, as in
        `matured`, is summed apart, in flight; without a `window_s` all of it is settled.
        """
        day = day_sql or ("p.time" if by_day else None)
        terms = _terms(value_sql, baseline_sql, fee_sql, None, declared, matures, window_s, now_us)
        with self._asking(endpoint) as (database, snapshot):
            return statement.lines(database, snapshot, endpoint, terms, day, by)

    def spent(
        self,
        endpoint: str,
        since_us: int,
        until_us: int,
        fee_sql: str | None = None,
        declared: scan.Declared = _NOTHING,
    ) -> list[spent.Spent]:
        """Computing time and fees of the predictions made in this time, by hour and version, shadows included."""
        with self._asking(endpoint) as (database, snapshot):
            return spent.hours(database, snapshot, endpoint, since_us, until_us, fee_sql or "0", declared)

    def recent(
        self, endpoint: str, after_id: str, before_id: str, measures: Sequence[str], declared: scan.Declared = _NOTHING
    ) -> pa.Table:
        """What each arm answered between two ids, by the second; see payoff.journal.recent."""
        with self._asking(endpoint) as (database, snapshot):
            return recent.added(database, snapshot, recent.Span(endpoint, after_id, before_id), measures, declared)

    def busiest(self, endpoint: str, after_id: str, before_id: str) -> list[tuple[int, str, str, int]]:
        """For every revision and arm the key that came most often between two ids: (revision, arm, key, rows)."""
        with self._asking(endpoint) as (database, snapshot):
            return recent.busiest(database, snapshot, recent.Span(endpoint, after_id, before_id))

    def behind(self, endpoint: str, rows: int, before_id: str = "~") -> str:
        """An id with so many answered predictions after it and before another id; "" if there are fewer."""
        with self._asking(endpoint) as (database, snapshot):
            return recent.behind(database, snapshot, endpoint, rows, before_id)

    def answered_between(self, endpoint: str) -> tuple[int, int] | None:
        """When the first and the last prediction were made, in microseconds; None where there are none."""
        return recent.between(self.snapshot().relations.get(("predictions", endpoint)))

    def parts(self, endpoint: str, sql: str, declared: scan.Declared = _NOTHING) -> pa.Table:
        """id and part of every prediction that was answered: a text of trusted SQL over `inputs` and `outputs`."""
        with self._asking(endpoint) as (database, snapshot):
            return parted.parts(database, snapshot, endpoint, sql, declared)

    def asked(
        self, endpoint: str, after_id: str, declared: scan.Declared = _NOTHING, within_us: int | None = None
    ) -> pa.Table:
        """What was asked after an id, how it was decided and what became of it; see payoff.journal.asked."""
        with self._asking(endpoint) as (database, snapshot):
            return asked.asked(database, snapshot, endpoint, after_id, declared, within_us)

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

    def told_parts(self, endpoint: str, some: Sequence[str]) -> set[tuple[str, str | None]]:
        """Of which parts (None: the whole) of these predictions an outcome was told: (prediction id, part)."""
        with self._asking(endpoint) as (database, snapshot):
            return views.told_parts(database, snapshot.relations.get(("outcomes", endpoint)), some)

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


def _terms(
    value: str | None, baseline: str | None, fee: str | None, covariate: str | None, declared: scan.Declared,
    matures: Matures, window_s: float | None, now_us: int,
) -> Terms:  # fmt: skip
    """What is not asked for is money sent along, or nothing."""
    return Terms(
        value or "outcome_value", baseline or "NULL", fee or "0", covariate or "NULL", declared, matures, window_s,
        now_us,
    )  # fmt: skip
