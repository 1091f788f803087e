"""What a chart and a morning's report would have noticed, and when."""

import numpy as np
import pytest

from payoff.drill.alarms import DAY_US, NINE_US, WINDOW, Stream, daily, stop, threshold

HOUR_US = 3_600_000_000


def stream(money: list[float], late_us: int = 0) -> Stream:
    """A decision an hour, from midnight on, each outcome so much later."""
    made = np.arange(len(money), dtype=np.int64) * HOUR_US
    return Stream(made, made + late_us, np.array(money))


def test_what_was_lost_by_a_time_counts_every_decision_made_until_then() -> None:
    found = stop(stream([-1, -2, -3, -4]), 2 * HOUR_US)
    assert (found.decisions, found.seconds, found.lost) == (3, 7_200, 6)


def test_the_report_is_read_at_nine_after_the_first_losing_day() -> None:
    found = daily(stream([1.0] * 24 + [-1.0] * 48))
    assert found is not None
    assert found.seconds == (2 * DAY_US + NINE_US) / 1e6
    assert found.lost == -24 + 24 + 10


def test_a_report_on_outcomes_that_come_late_is_late_too() -> None:
    prompt, late = daily(stream([-1.0] * 100)), daily(stream([-1.0] * 100, 2 * DAY_US))
    assert prompt is not None
    assert late is not None
    assert late.seconds - prompt.seconds == 2 * DAY_US / 1e6


def test_no_losing_day_is_no_report() -> None:
    assert daily(stream([0.5] * 50)) is None


@pytest.mark.parametrize("lost", [-1.0, -4.0])
def test_the_threshold_falls_when_the_window_has_filled_with_enough_losses(lost: float) -> None:
    found = threshold(np.ones(WINDOW), stream([lost] * WINDOW))
    assert found is not None
    needed = int(np.ceil(WINDOW * 0.5 / (1 - lost) + 1e-9))
    assert abs(found.decisions - needed) <= 1


def test_a_model_that_goes_on_as_before_never_falls_below_the_threshold() -> None:
    assert threshold(np.ones(WINDOW), stream([1.0] * 2_000)) is None


def test_before_the_window_is_full_the_chart_says_nothing() -> None:
    assert threshold(np.ones(10), stream([-5.0] * 100)) is None
