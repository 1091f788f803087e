"""Closed segments become tables without anybody asking, in a process that ends when the control plane does."""

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


def test_an_open_segment_is_left_alone(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "journal", "control")
    stream = Stream("outcomes", "calls", columns=(("outcome", Field("subscribed", Type.BOOL)),))
    high, low = Ids(0).take(1)
    writer.note(stream, Learned(1, high, low, np.array([1]), high, low, {"subscribed": Column(np.array([True]))}))
    writer.flush()
    assert closed(tmp_path) == []
    writer.close()
