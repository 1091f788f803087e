"""Rows move from segments to tables exactly once, and a reader never notices."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from payoff.journal import segment
from payoff.journal.compact import ASIDE, GATE, NOTE, SNAPSHOT, Report, compact
from payoff.journal.frame import Noted, Stream
from payoff.journal.reader import Tail
from payoff.journal.snapshot import Snapshots
from payoff.journal.tables import File, Table
from payoff.journal.tidy import crowds
from payoff.records.columns import Column
from payoff.records.signature import Field, Type
from tests.journal.conftest import ENDPOINT, House
from tests.shared import PATIENCE_S, until

KIND = ("predictions", ENDPOINT)
NOON_US = 1_795_003_200_000_000  # files are merged by date, and no date ends while a test runs


def test_compaction_moves_closed_segments_and_leaves_open_ones(house: House) -> None:
    closed, open_ = house.writer("a"), house.writer("b")
    house.answer(closed, [1, 2, 3])
    closed.close()
    house.answer(open_, [4])
    report = compact(house.home)
    assert (report.segments, report.predictions, report.torn_bytes, report.damage) == (1, 3, 0, ())
    assert [each.writer for each in segment.segments(house.home / "journal")] == ["b"]
    assert house.rows("select count(*) from predictions") == [(4,)]


def test_an_empty_home_has_nothing_to_compact(house: House) -> None:
    report = compact(house.home)
    assert (report.segments, report.busy) == (0, False)


def test_the_table_is_a_delta_table_that_others_can_read(house: House) -> None:
    writer = house.writer()
    made = house.answer(writer, range(10))
    writer.close()
    compact(house.home)
    path = house.home / "tables" / ENDPOINT / "predictions"
    rows: list[Any] = pa.table(DeltaTable(path).scan()).to_pylist()
    assert sorted(row["id"] for row in rows) == made
    assert {row["inputs"]["age"] for row in rows} == set(range(10))
    assert {str(row["date"]) for row in rows} == {str(row["time"].date()) for row in rows}


def test_the_log_of_a_table_gets_checkpoints_and_readers_follow(house: House) -> None:
    snapshots, table = Snapshots(house.home), Table(house.home / "tables", KIND)
    for number in range(1, 61):
        rows = pa.concat_tables(_fresh(house))
        table.append([rows], number)
        relation = snapshots.take().relations[KIND]
        assert sum(file.rows for file in relation.files) == number
    assert list((house.home / "tables" / ENDPOINT / "predictions" / "_delta_log").glob("*.checkpoint.parquet"))
    assert Table(house.home / "tables", KIND).compaction == 0
    table.append([rows], 60)
    table.append([rows], 59)
    assert sum(file.rows for file in table.files) == 60


def _fresh(house: House) -> list[pa.Table]:
    """One row, read from a segment that is then thrown away."""
    writer = house.writer()
    house.answer(writer, [1])
    writer.close()
    (held,) = Tail(house.home / "journal").look()
    held.path.unlink()
    return held.tables[KIND]


def test_only_one_compaction_runs_at_a_time(house: House) -> None:
    with segment.locked(house.home / "journal" / ".compact.lock"):
        assert compact(house.home) == Report(busy=True)


def test_work_noted_and_half_done_is_finished_once(house: House) -> None:
    """Killed after the commit and before the segments went: the next run must not add the rows again."""
    writer = house.writer()
    house.answer(writer, range(5))
    writer.close()
    kept = {each.path: each.path.read_bytes() for each in segment.segments(house.home / "journal")}
    names = ",".join(f'"{path.name}"' for path in kept)
    compact(house.home)
    for path, raw in kept.items():
        path.write_bytes(raw)
    (house.home / "journal" / NOTE).write_text(f'{{"number": 1, "segments": [{names}]}}')
    assert house.rows("select count(*), count(distinct id) from predictions") == [(5, 5)]
    compact(house.home)
    assert house.rows("select count(*), count(distinct id) from predictions") == [(5, 5)]
    assert segment.segments(house.home / "journal") == []


def test_work_noted_and_not_begun_is_done(house: House) -> None:
    writer = house.writer()
    house.answer(writer, range(5))
    writer.close()
    names = ",".join(f'"{each.path.name}"' for each in segment.segments(house.home / "journal"))
    (house.home / "journal" / NOTE).write_text(f'{{"number": 1, "segments": [{names}]}}')
    assert house.rows("select count(*) from predictions") == [(5,)]
    compact(house.home)
    assert house.rows("select count(*) from predictions") == [(5,)]
    assert not (house.home / "journal" / NOTE).exists()


def test_what_cannot_be_read_is_kept_aside_and_reported(house: House) -> None:
    writer = house.writer()
    house.answer(writer, [30])
    good = segment.segments(house.home / "journal")[0].size
    house.answer(writer, [31])
    house.answer(writer, [32])
    writer.close()
    path = segment.segments(house.home / "journal")[0].path
    raw = bytearray(path.read_bytes())
    raw[good + 40] ^= 1
    path.write_bytes(raw)
    report = compact(house.home)
    assert [(each.segment, each.offset) for each in report.damage] == [(path.name, good)]
    assert (house.home / "journal" / ASIDE / f"{path.name}.{good}").read_bytes() == raw[good:]
    assert house.rows("select inputs.age from predictions") == [(30,)]


def test_readers_see_every_row_once_while_compaction_runs(house: House) -> None:
    """Two readers look all the time, each with its own view, while rows are answered and compacted."""
    wrong: list[str] = []
    flushed = [0]
    stop = threading.Event()

    def look() -> None:
        snapshots = Snapshots(house.home)
        while not stop.is_set():
            least = flushed[0]
            relation = snapshots.take().relations.get(KIND)
            if relation is None:
                continue
            seen = Counter(relation.fresh["id"].to_pylist())
            for file in relation.files:
                seen.update(pq.read_table(file.path, columns=["id"])["id"].to_pylist())
            twice = [each for each, times in seen.items() if times > 1]
            if twice or len(seen) < least:
                wrong.append(f"{len(twice)} twice, {len(seen)} of at least {least}")

    with ThreadPoolExecutor(2) as threads:
        readers = [threads.submit(look) for _ in range(2)]
        try:
            for _ in range(15):
                writer = house.writer()
                for _ in range(4):
                    flushed[0] += len(house.answer(writer, range(20)))
                writer.close()
                compact(house.home)
        finally:
            stop.set()
        for reader in readers:
            reader.result()
    assert wrong == []
    assert house.rows("select count(*), count(distinct id) from predictions") == [(1200, 1200)]


def test_a_compaction_waits_for_those_who_read_and_those_who_come_then_wait_for_it(house: House) -> None:
    """So that it has its turn, though there may be no moment at which nobody reads."""
    root = house.home / "journal"
    house.answer(writer := house.writer(), [30, 31])
    writer.close()
    compacting = threading.Thread(target=compact, args=(house.home,))
    reading = threading.Thread(target=Snapshots(house.home).take)
    with segment.locked(root / SNAPSHOT, shared=True):
        compacting.start()
        until(lambda: not _open(root), "compaction shuts the gate")
        reading.start()
        reading.join(0.2)
        assert reading.is_alive()
        assert segment.segments(root)
    reading.join(PATIENCE_S)
    compacting.join(PATIENCE_S)
    assert not reading.is_alive()
    assert not segment.segments(root)


def _open(root: Path) -> bool:
    """Whether a reader who comes now may look."""
    with segment.locked(root / GATE, shared=True, wait=False) as mine:
        return mine


def test_small_files_are_merged_sorted_and_nothing_is_lost(house: House) -> None:
    made: list[str] = []
    merged = 0
    for _ in range(10):
        writer = house.writer()
        made += house.answer(writer, range(50), at_us=NOON_US)
        writer.close()
        merged += compact(house.home).merged
    table = Table(house.home / "tables", KIND)
    table.refresh()
    assert merged >= 8
    assert len(table.files) < 8
    assert sum(file.rows for file in table.files) == len(made)
    for file in table.files:
        ids = [str(each) for each in pq.read_table(file.path, columns=["id"])["id"].to_pylist()]
        assert ids == sorted(ids)
        assert (file.low, file.high) == (ids[0], ids[-1])
    assert sorted(str(row[0]) for row in house.rows("select id from predictions")) == made


def test_vacuum_deletes_what_merging_replaced_once_it_is_old(house: House) -> None:
    for _ in range(8):
        writer = house.writer()
        house.answer(writer, range(5), at_us=NOON_US)
        writer.close()
        compact(house.home)
    folder = house.home / "tables" / ENDPOINT / "predictions"
    table = Table(house.home / "tables", KIND)
    table.refresh()
    before = len(list(folder.glob("date=*/*.parquet")))
    assert table.vacuum(1) == 0
    assert before > len(table.files)
    table.vacuum(0)
    assert len(list(folder.glob("date=*/*.parquet"))) == len(table.files)
    assert house.rows("select count(*) from predictions") == [(40,)]


def test_files_are_merged_with_their_like() -> None:
    def file(name: str, size: int, date: str = "2026-01-01") -> File:
        return File(name, date, 1, size, "", "", "", "")

    small, large = [file(f"s{i}", 20_000) for i in range(8)], [file(f"l{i}", 9 << 20) for i in range(7)]
    elsewhere = [file(f"e{i}", 20_000, f"2026-02-{i + 1:02d}") for i in range(8)]
    done = [file(f"d{i}", 17 << 20) for i in range(20)]
    assert list(crowds([*small, *large, *elsewhere, *done])) == [sorted(small)]


def _answer_with(house: House, field: Field, values: Column, version: int) -> None:
    stream = Stream("predictions", ENDPOINT, 1, "arm", "m", version, columns=(("inputs", field),))
    n = len(values)
    nothing = np.zeros(n, np.int64)
    writer = house.writer()
    writer.note(stream, Noted(n, *house.ids.take(n), nothing, nothing, nothing, None, "", {field.name: values}, {}))
    writer.close()


def test_columns_come_and_go_and_change_type_and_nothing_is_lost(house: House) -> None:
    steps = [
        (Field("age", Type.INT32), Column(np.array([30, 31], np.int32))),
        (Field("age", Type.FLOAT32), Column(np.array([30.5], np.float32))),
        (Field("Age", Type.UINT8), Column(np.array([7], np.uint8))),
        (Field("x", Type.FLOAT64, (2,)), Column(np.array([[1.0, 2.0]]))),
    ]
    for compacted in (False, True):
        for version, (field, values) in enumerate(steps):
            _answer_with(house, field, values, version)
            if compacted:
                compact(house.home)
        ages = house.rows("select inputs.age from predictions where version < 3 order by id")
        assert ages == [(30.0,), (31.0,), (30.5,), (7.0,)] * (2 if compacted else 1)
        assert house.rows("select distinct inputs.x from predictions where version = 3") == [([1.0, 2.0],)]
    _answer_with(house, Field("age", Type.TEXT), Column(np.array(["old"], object)), 9)
    assert house.rows("select inputs.age from predictions where version in (1, 9) order by id") == [
        ("30.5",), ("30.5",), ("old",),
    ]  # fmt: skip
    compact(house.home)
    assert house.rows("select count(*), count(inputs.age), count(inputs.x) from predictions") == [(11, 9, 2)]


def test_integers_beyond_a_float_stay_exact(house: House) -> None:
    big = np.array([2**53 + 1, 2**64 - 1], np.uint64)
    _answer_with(house, Field("n", Type.UINT64), Column(big), 1)
    assert [int(str(row[0])) for row in house.rows("select inputs.n from predictions order by 1")] == big.tolist()
    compact(house.home)
    assert [int(str(row[0])) for row in house.rows("select inputs.n from predictions order by 1")] == big.tolist()
