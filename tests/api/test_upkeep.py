"""Closed segments become tables without anybody asking, in a process that ends when the control plane does."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from payoff.api.upkeep import Upkeep, closed
from payoff.journal.frame import Learned, Stream
from payoff.journal.ids import Ids
from payoff.journal.writer import Writer
from payoff.records import Column, Field, Type
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


def test_a_closed_segment_becomes_a_table(home: Path) -> None:
    assert len(closed(home)) == 1
    upkeep = Upkeep(home, interval_s=0.01)
    upkeep.start()
    until = time.monotonic() + 60
    while closed(home):
        assert time.monotonic() < until
    upkeep.stop()
    assert list((home / "tables" / "calls").rglob("*.parquet"))


def test_it_stops_in_the_middle_of_a_compaction(home: Path) -> None:
    upkeep = Upkeep(home, interval_s=0.0)
    upkeep.start()
    began = time.monotonic()
    upkeep.stop()
    assert time.monotonic() - began < 10
    assert "upkeep" not in [thread.name for thread in threading.enumerate()]


def test_a_compaction_lets_everybody_go_first_until_it_falls_behind(home: Path) -> None:
    """One that gets no time at all is ended; the next has as much as anybody, and finishes the work."""
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    upkeep = Upkeep(home, interval_s=0.01, look_s=0.01)
    upkeep.start()
    first = _compaction(home)
    assert os.getpriority(os.PRIO_PROCESS, first) == min(19, mine + 10)
    os.kill(first, signal.SIGSTOP)
    upkeep.behind_bytes = 1
    second = _compaction(home, first)
    assert os.getpriority(os.PRIO_PROCESS, second) == mine
    until = time.monotonic() + 60
    while closed(home):
        assert time.monotonic() < until
    upkeep.stop()


def _compaction(home: Path, before: int = 0) -> int:
    """The process that compacts, another than the one before."""
    command = f"{sys.executable} -m payoff.journal.compact {home} "
    until = time.monotonic() + 60
    while True:
        assert time.monotonic() < until
        for pid in models.children(os.getpid()):
            if pid != before and models.command(pid) == command:
                return pid


def test_an_open_segment_is_left_alone(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "journal", "control")
    stream = Stream("outcomes", "calls", columns=(("outcome", Field("subscribed", Type.BOOL)),))
    high, low = Ids(0).take(1)
    writer.note(stream, Learned(1, high, low, np.array([1]), high, low, {"subscribed": Column(np.array([True]))}))
    writer.flush()
    assert closed(tmp_path) == []
    writer.close()
