"""How fast the journal is: rows per second in, bytes per row, compaction, and questions over many predictions.

python -m benchmarks.journal [--rows 10000000]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe, write
from payoff.clock import now_us
from payoff.journal import segment
from payoff.journal.compact import compact
from payoff.journal.frame import Learned, Noted, Stream
from payoff.journal.ids import Ids
from payoff.journal.query import Journal
from payoff.journal.writer import Writer
from payoff.records.columns import Column
from payoff.records.signature import Field, Type

FEATURES = 30
DAY_US = 86_400_000_000
ANSWER = (("outputs", Field("label", Type.INT64)), ("outputs", Field("probability", Type.FLOAT32)),
          ("decision", Field("decision", Type.BOOL)))  # fmt: skip
SHAPES: dict[str, tuple[tuple[str, Field], ...]] = {
    "one tensor float32[30]": (("inputs", Field("features", Type.FLOAT32, (FEATURES,))), *ANSWER),
    "30 columns float64": (*(("inputs", Field(f"f{i}", Type.FLOAT64)) for i in range(FEATURES)), *ANSWER),
}
VALUE = "case when decision then (case when outcome.bought then 60 else 0 end) - 2 else 0 end"
DECLARED = {"outcome": (Field("bought", Type.BOOL),)}


SQL = {
    "count(*)": "select count(*) from predictions",
    "avg(outputs.probability) by version": "select version, avg(outputs.probability) from predictions group by 1",
    "predictions per day": "select date, count(*) from predictions group by 1",
    "one day, decided": "select count(*) from predictions where date = current_date - 15 and decision",
    "last outcomes counted": "select count(*) from outcomes where outcome.bought",
    "joined with outcomes, by version": """
        select version, count(*), avg(outcome.bought::int)
        from predictions p join outcomes o on o.prediction_id = p.id group by 1""",
}
METHOD = (
    "One process, one writer. A row has 30 features (one float32 tensor, or 30 float64 columns: normal numbers "
    "rounded to two decimals), a label, a probability and a decision. 'write' goes from arrays in memory to flushed, "
    "ids included, best of three. The questions run over predictions of three versions, spread over 30 days, with an "
    "outcome for every second one, all compacted: asked once ('first'), then five times ('best'); 'payoff sql' starts "
    "a process each time."
)


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="predictions to ask questions about")
    chosen = parser.parse_args()
    machine = describe()
    rows = [writing(shape, batch, sync=False) for shape in SHAPES for batch in (1, 100, 10_000)]
    rows.append(writing("one tensor float32[30]", 1, sync=True))
    with tempfile.TemporaryDirectory(prefix="payoff-benchmark-") as home:
        rows += filling(Path(home), chosen.rows)
        rows += questions(Path(home), chosen.rows)
    write("journal", METHOD, rows, machine)


def writing(shape: str, batch: int, sync: bool) -> dict[str, Any]:
    """Rows per second from arrays in memory to flushed."""
    flushes = 300 if sync else max(20, 20_000 // (batch + 4))
    best, size = 0.0, 0
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            writer, ids = Writer(Path(folder), "w", sync=sync, segment_bytes_max=1 << 40), Ids()
            stream = Stream("predictions", "e", 1, "champion", "m", 1, columns=SHAPES[shape])
            rows = _rows(shape, batch, np.random.default_rng(1))
            began = time.perf_counter()
            for _ in range(flushes):
                _note(writer, stream, ids, rows, now_us())
            best = max(best, batch * flushes / (time.perf_counter() - began))
            size = segment.segments(Path(folder))[0].size
            writer.close()
    return {
        "case": f"write {shape}, {batch:,} a flush{', --sync' if sync else ''}",
        "rows_per_s": round(best),
        "us_per_flush": batch / best * 1e6,
        "bytes_per_row": size / batch / flushes,
    }


def filling(home: Path, rows: int) -> list[dict[str, Any]]:
    """Write and compact the predictions that the questions are about."""
    chance = np.random.default_rng(2)
    start_us, batch = now_us() - 30 * DAY_US, 10_000
    clock = [start_us]
    ids = Ids(0, lambda: clock[0])
    truth = Stream("outcomes", "e", columns=(("outcome", Field("bought", Type.BOOL)),))
    streams = [
        Stream("predictions", "e", v, "champion", "m", v, columns=SHAPES["one tensor float32[30]"]) for v in (1, 2, 3)
    ]
    wrote = compacted = 0.0
    for first in range(0, rows, 500_000):
        began = time.perf_counter()
        writer = Writer(home / "journal", "w")
        for at in range(first, min(first + 500_000, rows), batch):
            clock[0] = start_us + (30 * DAY_US) * at // rows
            high, low = _note(
                writer, streams[3 * at // rows], ids, _rows("one tensor float32[30]", batch, chance), clock[0]
            )
            clock[0] += 1_000_000
            half = batch // 2
            known = {"bought": Column(chance.random(half) < 0.1)}
            writer.note(truth, Learned(half, *ids.take(half), np.full(half, clock[0]), high[::2], low[::2], known))
            writer.flush()
        writer.close()
        wrote, began = wrote + time.perf_counter() - began, time.perf_counter()
        compact(home)
        compacted += time.perf_counter() - began
    size = {kind: sum(f.stat().st_size for f in (home / "tables" / "e" / kind).rglob("date=*/*.parquet"))
            for kind in ("predictions", "outcomes")}  # fmt: skip
    return [
        {"case": f"write {rows:,} predictions and {rows // 2:,} outcomes", "rows_per_s": round(1.5 * rows / wrote)},
        {"case": "compact them", "rows_per_s": round(1.5 * rows / compacted)},
        {"case": "in the table, a prediction", "bytes_per_row": size["predictions"] / rows},
        {"case": "in the table, an outcome", "bytes_per_row": size["outcomes"] / (rows // 2)},
    ]


def questions(home: Path, rows: int) -> list[dict[str, Any]]:
    """Seconds per question: the first time, and the best of five more."""
    journal = Journal(home)
    relation = journal.snapshot().relations["predictions", "e"]
    late = sorted(relation.files, key=lambda file: file.high)[-1].low
    database = journal.connect()
    asked: dict[str, Callable[[], Any]] = {"take a snapshot": journal.snapshot}
    asked |= {name: partial(_run, database, sql) for name, sql in SQL.items()}
    asked |= {
        "statement per version": lambda: journal.statement("e", VALUE, "1.0", declared=DECLARED),
        "matured, the newest tail": lambda: _matured(journal, late),
        "matured, 100,000 from the start": lambda: _matured(journal, None),
        "newest 100 predictions": lambda: journal.predictions("e", 100),
        "is one id known": lambda: journal.known_ids("e", [late]),
        "are 10,000 ids known": lambda: journal.known_ids("e", _some(database)),
        "payoff sql: avg(outputs.probability)": lambda: journal.sql("select avg(outputs.probability) from predictions"),
    }
    _some(database)
    return [{"case": f"over {rows:,}: {name}"} | _timed(ask) for name, ask in asked.items()]


def _run(database: Any, sql: str) -> Any:
    return database.execute(sql).fetchall()


def _matured(journal: Journal, after: str | None) -> Any:
    return journal.matured("e", after, VALUE, None, 0.0, now_us(), declared=DECLARED)


_SAMPLE: list[str] = []


def _some(database: Any) -> list[str]:
    if not _SAMPLE:
        _SAMPLE.extend(row[0] for row in database.execute("select id from predictions using sample 10000").fetchall())
    return _SAMPLE


def _timed(ask: Callable[[], Any]) -> dict[str, float]:
    seconds = []
    for _ in range(6):
        began = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - began)
    return {"first_s": round(seconds[0], 4), "best_s": round(min(seconds[1:]), 4)}


def _rows(shape: str, n: int, chance: np.random.Generator) -> tuple[dict[str, Column], dict[str, Column], Column]:
    features = np.round(chance.normal(size=(n, FEATURES)), 2)
    if shape.startswith("one"):
        inputs = {"features": Column(features.astype(np.float32))}
    else:
        inputs = {f"f{i}": Column(np.ascontiguousarray(features[:, i])) for i in range(FEATURES)}
    probability = chance.random(n).astype(np.float32)
    outputs = {"label": Column((probability > 0.5).astype(np.int64)), "probability": Column(probability)}
    return inputs, outputs, Column(probability > 0.07)


def _note(writer: Writer, stream: Stream, ids: Ids, rows: tuple[Any, Any, Column], at_us: int) -> tuple[Any, Any]:
    n = len(rows[2])
    high, low = ids.take(n)
    at = np.full(n, at_us)
    writer.note(stream, Noted(n, high, low, at, at, at, None, "all traffic", *rows))
    writer.flush()
    return high, low


if __name__ == "__main__":
    main()
