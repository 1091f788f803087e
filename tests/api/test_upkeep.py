"""Closed segments become tables without anybody asking, in a process that ends when the control plane does."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from payoff.api.upkeep import Upkeep, closed
from payoff.journal import segment
from payoff.journal.compact import GATE
from payoff.journal.frame import Learned, Stream
from payoff.journal.ids import Ids
from payoff.journal.writer import Writer
from payoff.records import Column, Field, Type
from tests.shared import until
from tests.walks import models


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with one closed segment that holds one outcome."""
    stream = Stream("outcomes", "calls", columns=(("outcome", Field("subscribed", Type.BOOL)),))
    high, low = Ids(0).take(2)
    truth = {"subscribed": Column(np.array([True]))}
    writer = Writer(tmp_path / "journal", "control")
    writer.note(stream, Learned(1, high[1:], low[1:], np.array([1]), high[:1], low[:1], truth))
    writer.close()
    return tmp_path


@contextmanager
def held(home: Path) -> Iterator[None]:
    """No compaction comes to its end meanwhile: what it has put into a table it cannot delete."""
    with segment.locked(home / "journal" / GATE):
        yield


def ended(upkeep: Upkeep) -> None:
    """Stop, and wait until its thread is gone."""
    upkeep.stop()
    until(lambda: "upkeep" not in [thread.name for thread in threading.enumerate()], "the thread to end")


def test_a_closed_segment_becomes_a_table(home: Path) -> None:
    assert len(closed(home)) == 1
    upkeep = Upkeep(home, interval_s=0.01)
    upkeep.start()
    until(lambda: not closed(home), "no closed segment")
    ended(upkeep)
    assert list((home / "tables" / "calls").rglob("*.parquet"))


def test_it_stops_in_the_middle_of_a_compaction_and_the_next_one_finishes_the_work(home: Path) -> None:
    upkeep = Upkeep(home, interval_s=0.0)
    with held(home):
        upkeep.start()
        compaction = _compaction(home)
        ended(upkeep)
        assert compaction not in models.children(os.getpid())
        assert len(closed(home)) == 1
    after = Upkeep(home, interval_s=0.0)
    after.start()
    until(lambda: not closed(home), "no closed segment")
    ended(after)


def test_a_compaction_lets_everybody_go_first_until_it_falls_behind(home: Path) -> None:
    """One that gets no time at all is ended; the next has as much as anybody, and finishes the work."""
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    upkeep = Upkeep(home, interval_s=0.01, look_s=0.01)
    with held(home):
        upkeep.start()
        first = _compaction(home)
        assert os.getpriority(os.PRIO_PROCESS, first) == min(19, mine + 10)
        os.kill(first, signal.SIGSTOP)
        upkeep.behind_bytes = 1
        second = _compaction(home, first)
        assert os.getpriority(os.PRIO_PROCESS, second) == mine
    until(lambda: not closed(home), "no closed segment")
    ended(upkeep)


def _compaction(home: Path, before: int = 0) -> int:
    """The process that compacts, another than the one before."""
    command = f"{sys.executable} -m payoff.journal.compact {home} "

    def compacts() -> int | None:
        others = (pid for pid in models.children(os.getpid()) if pid != before)
        return next((pid for pid in others if models.command(pid) == command), None)

    return until(compacts, "a process that compacts")


def test_an_open_segment_is_left_alone(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "journal", "control")
    stream = Stream("outcomes", "calls", columns=(("outcome", Field("subscribed", Type.BOOL)),))
    high, low = Ids(0).take(1)
    writer.note(stream, Learned(1, high, low, np.array([1]), high, low, {"subscribed": Column(np.array([True]))}))
    writer.flush()
    assert closed(tmp_path) == []
    writer.close()
