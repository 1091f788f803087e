"""Verdicts: folded in any batches, reached at one row, valid at every look."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from payoff.experiment import BEATS, LOSES, Case, Question, Rows, facts, frozen, judge
from payoff.experiment.frozen import again, pack, unpack
from payoff.stats import Bets, fold, losses
from payoff.stats.streams import RUNS

Floats = NDArray[np.float64]


def asked(kind: str = LOSES, cap: float | None = 10.0, error: float = 0.01) -> Case:
    against = "fallback" if kind == LOSES else "term-deposit v1"
    return Case(Question(kind, "term-deposit", 2, against, cap), error)


def rows(money: Floats, cost: float = 0.0, start: int = 0) -> Rows:
    ids = np.array([f"{n:08d}" for n in range(start, start + len(money))])
    return Rows(ids, money - cost, money)


@pytest.mark.parametrize("kind", [LOSES, BEATS])
@pytest.mark.parametrize("cap", [10.0, None])
@settings(max_examples=40)  # of few streams, each cut at will
@given(seed=st.integers(0, 50), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_batches_of_any_size_come_to_the_same_verdict(kind: str, cap: float | None, seed: int, cuts: list[int]) -> None:
    money = np.random.default_rng(seed).normal(-1.5 if kind == LOSES else 1.5, 5, 400)
    money[::7] = np.nan
    whole = judge(asked(kind, cap), rows(money))
    case = asked(kind, cap)
    for start, stop in pairwise([0, *sorted(cuts), 400]):
        case = judge(case, rows(money[start:stop], start=start))
    assert (case.bets.n, case.last_id, case.reached, case.first_id) == (
        whole.bets.n, whole.last_id, whole.reached, whole.first_id,
    )  # fmt: skip
    assert case.bets.logs == pytest.approx(whole.bets.logs)
    assert case.credited.mean == pytest.approx(whole.credited.mean)


def test_a_verdict_names_the_row_that_reached_it_and_stands() -> None:
    money = np.full(200, -5.0)
    first = fold(Bets(), losses(money, 10.0), 0.01).first
    assert first is not None
    case = judge(asked(), rows(money))
    verdict = case.verdict()
    assert verdict.reached
    assert (verdict.tested, verdict.last_prediction_id) == (first + 1, f"{first:08d}")
    assert (verdict.question, verdict.threshold, verdict.mean) == ("loses money against fallback", 100, -5)
    assert judge(case, rows(np.full(500, 1e6))) is case


def test_rows_without_a_known_value_are_counted_and_left_out() -> None:
    case = judge(asked(), rows(np.array([np.nan, 1.0, np.nan, -2.0])))
    assert (case.bets.n, case.unknown, case.first_id, case.last_id) == (2, 2, "00000001", "00000003")
    assert case.raw.mean == -0.5


def test_gains_are_credited_up_to_the_cap() -> None:
    case = judge(asked(), rows(np.array([100.0, -4.0])))
    assert case.credited.mean == 3.0
    assert case.raw.mean == 48.0


def test_a_challenger_wins_by_the_mirrored_test() -> None:
    money = np.random.default_rng(3).normal(3, 6, 300)
    wins, loses = judge(asked(BEATS), rows(money)), judge(asked(LOSES), rows(-money))
    assert wins.reached
    assert wins.bets == loses.bets
    assert wins.credited.mean == pytest.approx(-loses.credited.mean)
    assert not judge(asked(BEATS), rows(-money)).reached


def test_the_evidence_recomputes_the_verdict() -> None:
    found = facts(judge(asked(), rows(np.full(200, -5.0))))
    bets = Bets(found["tested"], tuple(found["log_wealth"]))
    assert bets.e_value == found["e_value"] >= found["threshold"] == 100
    assert (found["cap"], found["cap_is"], found["error"], found["unknown"]) == (10.0, "stated", 0.01, 0)


def test_compute_alone_can_lose_money_where_a_cap_is_stated() -> None:
    assert judge(asked(cap=0.01), rows(np.zeros(3_000), cost=0.001)).reached
    assert not judge(asked(cap=None), rows(np.zeros(3_000), cost=0.001)).reached


@pytest.mark.slow
def test_a_hundred_looks_at_a_fair_version_stay_under_the_error() -> None:
    """Looked at after every 30 rows, 100 times; break-even after the cap, skewed. One look at the end sees what a
    hundred saw (the test of batches of any size), so that is how most of the streams are looked at.
    """
    rng, cap, streams = np.random.default_rng(5), 8.0, 150
    shift = np.minimum(np.exp(1.5 * rng.standard_normal(2_000_000)), 2 * cap).mean()
    reached = 0
    for stream in range(streams):
        money = np.minimum(np.exp(1.5 * rng.standard_normal(3_000)), 2 * cap) - shift
        case, step = asked(cap=2 * cap, error=0.05), 30 if stream < 20 else 3_000
        for start in range(0, 3_000, step):
            case = judge(case, rows(money[start : start + step]))
        reached += case.reached
    assert reached / streams <= 0.05


def test_a_losing_version_is_found_within_150_predictions() -> None:
    rng = np.random.default_rng(6)
    cases = [judge(asked(cap=10.0), rows(rng.normal(-2.7, 9, 2_000))) for _ in range(200)]
    assert all(case.reached for case in cases)
    assert np.median([case.bets.n for case in cases]) < 150


def test_the_level_of_the_money_does_not_matter_to_a_randomised_question() -> None:
    rng = np.random.default_rng(7)
    mine, noise = rng.random(1_000) < 0.5, rng.standard_normal(1_000)
    tested = []
    for level in (0.0, 10.0, -1_000.0):
        money = level + noise - mine
        rows = Rows(np.arange(1_000), money, money, np.where(mine, 2.0, -2.0), np.full(1_000, 2.0))
        tested.append(judge(Case(Question(LOSES, "m", 1, "holdout", randomised=True), 0.01), rows).tested)
    assert tested[0] < 400
    assert tested[1] == tested[2] == tested[0]


def blocked(block: int, error: float = 0.01, every: float | None = None) -> Case:
    return Case(Question(LOSES, "m", 1, "nothing", cap=6.0, block=block), error, every)


@pytest.mark.parametrize("name", sorted(RUNS))
def test_good_and_bad_times_that_even_out_are_no_loss_where_rows_are_judged_in_blocks(name: str) -> None:
    rng, wrong = np.random.default_rng(11), {1: 0, 10: 0}
    for _ in range(200):
        money = RUNS[name](rng, 2_000)
        for block in wrong:
            wrong[block] += judge(blocked(block), rows(money)).reached
    assert wrong[10] <= 200 * 0.01
    assert wrong[1] > 200 * 0.03  # what blocks are for


@given(cuts=st.lists(st.integers(1, 399), max_size=6), block=st.integers(1, 30), seed=st.integers(0, 99))
def test_blocks_come_to_the_same_verdict_however_the_rows_come(cuts: list[int], block: int, seed: int) -> None:
    money = np.random.default_rng(seed).normal(-0.4, 1, 400)
    whole, case = judge(blocked(block, every=1e4), rows(money)), blocked(block, every=1e4)
    edges = sorted({0, 400, *cuts})
    for begin, end in pairwise(edges):
        case = judge(case, rows(money[begin:end]))
    assert (case.test, case.tested) == (whole.test, whole.tested)
    assert case.bets.logs == pytest.approx(whole.bets.logs)
    assert not whole.reached or whole.tested % block == 0


def test_a_verdict_in_blocks_is_computed_again_from_its_rows() -> None:
    money = rows(np.random.default_rng(2).normal(-1, 1, 2_000))
    case = judge(blocked(10), money)
    assert case.reached
    told = money.take(slice(0, case.tested))
    assert again(frozen.settings(case), unpack(pack(told))).e_value == pytest.approx(case.e_value)
