"""Hard limits: read from sums per second, overstepped or not, whatever the statistics say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.monitor import limits
from payoff.monitor.limits import Money, Seconds
from payoff.records.endpoint import Guard

WHO = "loans v2"


def guard(when: str, **told: object) -> Guard:
    return Guard(when, "kill", **told)  # type: ignore[arg-type]


def seconds(*rows: tuple[int, int, float]) -> dict[str, Seconds]:
    """Lines of (second, rows, sum)."""
    kept = Seconds()
    for at, count, total in rows:
        kept.add(np.array([at]), np.array([count]), np.array([[total]]), 0)
    return {WHO: kept}


def earned(*nets: float, every_s: int = 60) -> dict[str, Money]:
    money = Money()
    money.hear(np.arange(len(nets)) * every_s * 1_000_000, np.array(nets), 86_400)
    return {WHO: money}


def test_decisions_beyond_the_limit_in_the_time_are_a_breach_and_older_ones_do_not_count() -> None:
    rule = guard("decisions", above=100, over_s=60)
    assert not limits.answered([rule], seconds((0, 90, 90), (100, 100, 100)), 130)
    found = limits.answered([rule], seconds((80, 60, 60), (100, 60, 60)), 130)
    assert [(one.who, one.found) for one in found] == [(WHO, 120)]
    assert found[0].text == "loans v2 decided 120 times within 1m; the limit is 100."


def test_a_share_needs_some_rows_before_it_is_read() -> None:
    rule = guard("decision share", above=0.6, over_s=60)
    assert not limits.answered([rule], seconds((0, limits.ROWS_LEAST - 1, limits.ROWS_LEAST - 1)), 10)
    assert limits.answered([rule], seconds((0, limits.ROWS_LEAST, limits.ROWS_LEAST)), 10)


def test_each_limit_reads_its_own_column() -> None:
    rules = [
        guard("decisions", above=1_000, over_s=60),
        guard("money at risk", above=500, over_s=60, of="inputs.amount"),
    ]
    kept = Seconds()
    kept.add(np.array([1]), np.array([40]), np.array([[40.0, 501.0]]), 0)
    assert [one.guard.when for one in limits.answered(rules, {WHO: kept}, 10)] == ["money at risk"]


def test_one_stale_row_is_enough() -> None:
    rule = guard("stale input", above=3_600, over_s=60, of="inputs.priced_at")
    assert not limits.answered([rule], seconds((0, 50, 0)), 10)
    assert limits.answered([rule], seconds((0, 50, 1)), 10)


@given(nets=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), cuts=st.lists(st.integers(1, 59), max_size=4))
def test_loss_and_drawdown_are_the_same_however_the_rows_are_cut(nets: list[float], cuts: list[int]) -> None:
    whole, parts = Money(), Money()
    at = np.arange(len(nets)) * 7_000_000
    whole.hear(at, np.array(nets), 600)
    edges = sorted({0, len(nets), *(cut for cut in cuts if cut < len(nets))})
    for begin, end in pairwise(edges):
        parts.hear(at[begin:end], np.array(nets[begin:end]), 600)
    assert parts.total == pytest.approx(whole.total, abs=1e-6)
    assert parts.drawdown == pytest.approx(whole.drawdown, abs=1e-6)
    assert parts.lost_most(100) == pytest.approx(whole.lost_most(100), abs=1e-6)


@given(nets=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), over=st.integers(1, 50))
def test_the_most_lost_in_a_time_is_what_a_search_over_all_stretches_finds(nets: list[float], over: int) -> None:
    money = Money()
    money.hear(np.arange(len(nets)) * 1_000_000, np.array(nets), 1e6)
    slow = max(
        -sum(nets[begin : end + 1]) for end in range(len(nets)) for begin in range(max(0, end - over + 1), end + 1)
    )
    ending = max(-sum(nets[max(0, end - over + 1) : end + 1]) for end in range(len(nets)))
    assert money.lost_most(over) == pytest.approx(max(0.0, ending), abs=1e-6)
    assert money.lost_most(over) <= max(0.0, slow) + 1e-6


def test_a_drawdown_is_measured_from_the_best_so_far() -> None:
    money = earned(100, 50, -80, 30, -120)
    found = limits.matured([guard("drawdown", above=150)], money)
    assert [one.found for one in found] == [170]
    assert not limits.matured([guard("drawdown", above=170)], money)


def test_outcomes_that_are_not_known_are_neither_gain_nor_loss() -> None:
    assert earned(10, float("nan"), -5)[WHO].total == 5


def test_a_loss_within_the_time_is_a_breach_even_where_the_whole_is_a_gain() -> None:
    money = earned(1_000, 1_000, -300, -300, 900)
    assert limits.matured([guard("loss", above=500, over_s=120)], money)[0].found == 600
    assert not limits.matured([guard("loss", above=500, over_s=60)], money)


def test_the_same_key_too_often_is_a_breach_that_names_it() -> None:
    found = limits.keys([guard("same key", above=3, over_s=3_600)], [(WHO, "customer-7", 4), (WHO, "customer-8", 3)])
    assert len(found) == 1
    assert "customer-7" in found[0].text


def test_silence_counts_from_the_last_outcome_and_only_while_predictions_are_answered() -> None:
    rule, minute = guard("no outcomes", over_s=3_600), 60_000_000
    assert limits.silence([rule], answered_us=100 * minute, waiting_us=0, now_us=101 * minute)
    assert not limits.silence([rule], answered_us=100 * minute, waiting_us=50 * minute, now_us=101 * minute)
    assert not limits.silence([rule], answered_us=10 * minute, waiting_us=20 * minute, now_us=200 * minute)
    assert not limits.silence([rule], answered_us=None, waiting_us=None, now_us=200 * minute)
