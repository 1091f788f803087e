"""kill -9 at any moment: what was flushed is in the journal, once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from payoff.journal.compact import compact
from tests.journal.conftest import House
from tests.shared import until

WRITER = """
import os, sys
from pathlib import Path
import numpy as np
from payoff.journal.frame import Noted, Stream
from payoff.journal.ids import Ids, text
from payoff.journal.writer import Writer
from payoff.records.columns import Column
from payoff.records.signature import Field, Type
ids = Ids(int(sys.argv[2]))
writer = Writer(Path(sys.argv[1], "journal"), f"worker-{sys.argv[2]}", segment_bytes_max=20_000)
stream = Stream("predictions", "e", columns=(("inputs", Field("x", Type.INT64)), ("inputs", Field("s", Type.TEXT))))
turn = 0
while True:
    n = 1 + turn % 40
    high, low = ids.take(n)
    zeros = np.zeros(n, np.int64)
    words = Column(np.array(["word"] * n, object))
    writer.note(stream, Noted(n, high, low, zeros, zeros, zeros, None, "", {"x": Column(zeros), "s": words}, {}))
    writer.flush()
    os.write(1, (" ".join(text(high, low)) + "\\n").encode())
    turn += 1
"""
TOLD_BYTES_MIN = 40 * 37  # that many ids
COMPACT = """
import sys
from pathlib import Path
from payoff.journal.compact import compact
print("ready", flush=True)
compact(Path(sys.argv[1]))
"""


def _start(home: Path, name: int) -> tuple["subprocess.Popen[bytes]", Path]:
    """A writer, and the file in which it notes what it has flushed."""
    told = home / f"told-{name}"
    with told.open("wb") as out:
        return subprocess.Popen([sys.executable, "-c", WRITER, str(home), str(name)], stdout=out), told


def _told(told: Path) -> set[str]:
    """The ids said to be flushed, up to the last whole line: a torn line was not told to anybody."""
    return {each for line in told.read_bytes().split(b"\n")[:-1] for each in line.decode().split()}


def _seen(house: House) -> tuple[int, set[str]]:
    rows = house.rows("select id from predictions")
    return len(rows), {str(row[0]) for row in rows}


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_it_flushed(house: House) -> None:
    chance = random.Random(7)
    told: set[str] = set()
    for turn in range(10):
        started = [_start(house.home, turn * 3 + each) for each in range(3)]
        for writer, file in started:
            until(lambda w=writer, f=file: f.stat().st_size >= TOLD_BYTES_MIN or w.poll() is not None, "it has begun")  # type: ignore[misc]
        time.sleep(chance.random() * 0.1)  # the moment of death is what is tested here
        for writer, _ in started:
            os.kill(writer.pid, signal.SIGKILL)
            writer.wait()
        told |= {each for _, file in started for each in _told(file)}
        if turn % 3 == 2:
            compact(house.home)
        n, seen = _seen(house)
        assert n == len(seen)
        assert told <= seen
    assert len(told) > 1000
    compact(house.home)
    n, seen = _seen(house)
    assert n == len(seen)
    assert told <= seen


@pytest.mark.slow
def test_a_killed_compaction_neither_loses_nor_repeats_a_row(house: House) -> None:
    chance = random.Random(11)
    made: set[str] = set()
    whole_s = 0.0  # of the last one that was left alone, on this machine
    turn = killed = 0
    while killed < 8:
        assert turn < 200, f"{killed} of {turn} were killed before they were through"
        for each in range(3):
            writer = house.writer(f"w{each}")
            predictions = house.answer(writer, range(200))
            house.learn(writer, predictions[:50], [True] * 50)
            made |= set(predictions)
            writer.close()
        taken_s = _compacted(house.home, chance.random() * whole_s if turn % 5 else None)
        whole_s, killed, turn = taken_s or whole_s, killed + (taken_s == 0), turn + 1
        n, seen = _seen(house)
        assert (n, seen) == (len(made), made), f"turn {turn}"
        assert house.rows("select count(*) from outcome_log") == [(turn * 150,)]
    compact(house.home)
    assert _seen(house) == (len(made), made)


def _compacted(home: Path, killed_after_s: float | None) -> float:
    """How long a compaction took that was ready to begin; 0 if it was killed before it was through."""
    with subprocess.Popen([sys.executable, "-c", COMPACT, str(home)], stdout=subprocess.PIPE) as compaction:
        assert compaction.stdout is not None
        assert compaction.stdout.readline() == b"ready\n"
        began_s = time.perf_counter()
        try:
            compaction.wait(timeout=killed_after_s)
        except subprocess.TimeoutExpired:
            os.kill(compaction.pid, signal.SIGKILL)
            return 0.0
    assert compaction.returncode == 0
    return time.perf_counter() - began_s


@pytest.mark.slow
@pytest.mark.parametrize("calls", range(1, 60, 3))
def test_a_compaction_killed_between_any_two_writes_to_the_disk_is_finished(house: House, calls: int) -> None:
    """Dies the n-th time it is about to sync, rename or delete: every point that matters is one of them."""
    made: list[str] = []
    for turn in range(2):
        writer = house.writer()
        made += house.answer(writer, range(50))
        house.learn(writer, made[:10], [True] * 10)
        writer.close()
        if turn == 0:
            compact(house.home)
    done = subprocess.run([sys.executable, "-c", DIES, str(house.home), str(calls)], cwd=Path.cwd(), check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    for _ in range(2):
        n, seen = _seen(house)
        assert (n, sorted(seen)) == (100, made)
        assert house.rows("select count(*), count(distinct id) from outcome_log") == [(20, 20)]
        compact(house.home)
    assert list((house.home / "journal").glob("*.seg")) == []


DIES = """
import os, signal, sys
from pathlib import Path
left = int(sys.argv[2])
def dying(real):
    def act(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return act
os.fsync, Path.rename, Path.unlink = dying(os.fsync), dying(Path.rename), dying(Path.unlink)
from payoff.journal.compact import compact
from payoff.journal.tables import DeltaTable
DeltaTable.create_write_transaction = dying(DeltaTable.create_write_transaction)
DeltaTable.update_incremental = dying(DeltaTable.update_incremental)
compact(Path(sys.argv[1]))
"""
