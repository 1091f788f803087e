"""Under full load over all doors: every answer is its own request's, none is lost, and the journal has each once."""

from pathlib import Path

import pytest

from tests.walks.soak import ORDERS, Report, soak

pytestmark = pytest.mark.slow


def right(report: Report) -> None:
    """What holds whatever happened on the way."""
    assert report.wrong == []
    assert (report.twice, report.missing, report.unasked, report.mixed) == (0, 0, 0, 0)
    assert report.journaled == report.answered + report.unheard
    assert set(report.rows) >= {"records", "plain tensors", "binary", "lines", "arrow", "parquet", "grpc"}
    assert min(report.rows.values()) > 0


def test_rows_are_never_mixed_up_between_callers_protocols_and_versions(tmp_path: Path) -> None:
    """Single rows and batches of every protocol at once, on a model that fails now and then, while versions change."""
    report = soak(tmp_path, 12, deaths=False)
    right(report)
    assert report.breaks == report.unheard == 0
    assert len(report.arms) >= 2
    assert report.orders.total() >= ORDERS


def test_a_soak_with_dying_workers_fails_no_call_and_loses_no_row(tmp_path: Path) -> None:
    report = soak(tmp_path, 36, deaths=True)
    right(report)
    assert report.deaths >= 2
    assert report.breaks > 0
    assert report.at_rest, report.growth()
