"""A small house for journal tests: one endpoint, a writer, and rows that say what they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from payoff.clock import Clock, now_us
from payoff.journal.frame import HAPPENED, PART, Learned, Noted, Stream
from payoff.journal.ids import Ids, parse, text
from payoff.journal.query import Journal
from payoff.journal.writer import Writer
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

ENDPOINT = "term-deposit"
PREDICTED = (
    ("inputs", Field("age", Type.INT64)),
    ("inputs", Field("job", Type.TEXT, nullable=True)),
    ("outputs", Field("probability", Type.FLOAT64)),
    ("decision", Field("decision", Type.BOOL)),
)
TRUTH = (
    ("outcome", Field("subscribed", Type.BOOL, nullable=True)),
    ("outcome", Field("duration_s", Type.FLOAT64, nullable=True)),
    ("value", Field("value", Type.FLOAT64, nullable=True)),
)


class House:
    """Writes rows the way a worker and the control process do."""

    def __init__(self, home: Path, clock: Clock = now_us) -> None:
        self.home = home
        self.clock = clock
        self.ids = Ids(1, clock)
        self.journal = Journal(home)
        self.writers: list[Writer] = []

    def writer(self, name: str = "worker-1", **settings: object) -> Writer:
        writer = Writer(self.home / "journal", name, **settings)  # type: ignore[arg-type]
        self.writers.append(writer)
        return writer

    def answer(
        self, writer: Writer, ages: Sequence[int], *, endpoint: str = ENDPOINT, version: int | None = 1,
        shadow: bool = False, of: Sequence[str] | None = None, flush: bool = True, at_us: int | None = None,
        choice: str = "", share: float = 1.0, keys: Sequence[str | None] | None = None,
    ) -> list[str]:  # fmt: skip
        """Note one prediction per age; its probability is age / 100. Gives the ids."""
        n = len(ages)
        high, low = self.ids.take(n) if of is None else parse(of)
        stream = Stream("predictions", endpoint, 1, f"arm-{version}", "deposit", version, shadow, choice, share,
                        columns=PREDICTED)  # fmt: skip
        age = np.array(ages, np.int64)
        nothing = np.zeros(n, np.int64)
        inputs = {"age": Column(age), "job": Column(np.array([f"job {a}" for a in ages], object))}
        outputs, decision = {"probability": Column(age / 100)}, Column(age % 2 == 0)
        at = np.full(n, self.clock() if at_us is None else at_us)
        key = None if keys is None else Column(np.array(keys, object), np.array([one is not None for one in keys]))
        rows = Noted(n, high, low, at, nothing, age * 10, key, "all traffic", inputs, outputs, decision)
        writer.note(stream, rows)
        if flush:
            writer.flush()
        return text(high, low)

    def learn(
        self, writer: Writer, predictions: Sequence[str], subscribed: Sequence[bool | None],
        value: Sequence[float | None] | None = None, *, endpoint: str = ENDPOINT,
        part: Sequence[str | None] | None = None, happened_us: Sequence[int | None] | None = None,
    ) -> list[str]:  # fmt: skip
        """Note one outcome per prediction; duration_s is 60 where it is known whether they subscribed."""
        n = len(predictions)
        high, low = self.ids.take(n)
        money = [None] * n if value is None else list(value)
        told = [each is not None for each in subscribed]
        outcome = {"subscribed": _column(subscribed, bool), "duration_s": Column(np.full(n, 60.0), np.array(told))}
        columns = (*TRUTH, *([PART] if part else []), *([HAPPENED] if happened_us else []))
        rows = Learned(
            n, high, low, np.full(n, self.clock()), *parse(predictions), outcome, _column(money, float),
            None if happened_us is None else _column(happened_us, int),
            None if part is None else _column(part, str, object),
        )  # fmt: skip
        writer.note(Stream("outcomes", endpoint, columns=columns), rows)
        writer.flush()
        return text(high, low)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What trusted SQL finds."""
        database = self.journal.connect()
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()


def _column(values: Sequence[object], kind: type, dtype: type | None = None) -> Column:
    known = np.array([value is not None for value in values], bool)
    return Column(np.array([kind(value) if value is not None else kind() for value in values], dtype or kind), known)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    for writer in house.writers:
        writer.close()
    house.journal.close()
