"""What is believed of each arm, and the shares that follow: closed forms, and simulated experiments."""

import json
from fractions import Fraction
from math import comb
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.errors import BadInput
from payoff.stats import Earnings, Rate, Sums, allocation
from payoff.stats.beliefs import best, better, earnings, regret

CASE = json.loads((Path(__file__).parent / "cases" / "C17_bayes_beta_binomial_and_thompson.json").read_text())
counts = st.tuples(st.integers(1, 60), st.integers(1, 60))
earners = st.lists(st.tuples(st.integers(0, 50), st.floats(-5, 5), st.floats(0, 3)), min_size=1, max_size=6)


def money(n: int, mean: float, spread: float) -> Sums:
    """Rows with exactly this mean, and this spread between two of them."""
    return Sums(n, n * mean, n * (mean * mean + spread * spread))


@pytest.mark.parametrize("name", CASE["expected"]["pairs"])
def test_two_rates_by_the_closed_form(name: str) -> None:
    a, b, c, d = CASE["input"]["posteriors_a1_b1_a2_b2"][name]
    old, new, expected = Rate(a, b), Rate(c, d), CASE["expected"]["pairs"][name]
    assert better(new, old) == pytest.approx(expected["P_B_gt_A"], abs=1e-9)
    assert regret(new, old) == pytest.approx(expected["expected_loss_choose_B"], abs=1e-9)
    assert regret(old, new) == pytest.approx(expected["expected_loss_choose_A"], abs=1e-9)


def test_the_best_of_four_rates() -> None:
    arms = [Rate(*posterior) for posterior in CASE["input"]["four_arms_posteriors"].values()]
    assert best(arms) == pytest.approx(tuple(CASE["expected"]["thompson_best_probability"].values()), abs=1e-6)


@given(counts, counts)
@settings(max_examples=40)
def test_whole_counts_agree_with_exact_fractions(old: tuple[int, int], new: tuple[int, int]) -> None:
    """P(new > old): Beta(a, b) is the a-th smallest of a + b - 1 uniforms, so ranks are counted."""
    (a, b), (c, d) = old, new
    mixed = a + b + c + d - 2
    exact = sum(
        Fraction(comb(k - 1, a - 1) * comb(mixed - k, a + b - 1 - a), comb(mixed, a + b - 1))
        * _fewer_than(c, k - a, c + d - 1)
        for k in range(a, mixed + 1)
    )
    assert better(Rate(c, d), Rate(a, b)) == pytest.approx(float(exact), abs=1e-9)


def _fewer_than(place: int, seen: int, _: int) -> int:
    """Whether the `place`-th smallest of the new uniforms comes later than the `seen` of them that came already."""
    return int(seen < place)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), min_size=1, max_size=5))
@settings(max_examples=30)
def test_chances_sum_to_one_and_better_results_have_the_better_chance(seen: list[tuple[int, int]]) -> None:
    arms = [Rate().after(*pair) for pair in seen]
    chances = best(arms)
    assert sum(chances) == pytest.approx(1)
    assert better(arms[0].after(9, 0), arms[0]) >= 0.5
    assert best(arms[::-1]) == pytest.approx(chances[::-1], abs=1e-9)


def test_a_rate_nobody_ever_saw_succeed_has_its_tail() -> None:
    """Beta(1, m) is below x with 1 - (1 - x)^m, so of two such the chance is m / (m + l)."""
    assert better(Rate(1, 30), Rate(1, 1_000_000)) == pytest.approx(1_000_000 / 1_000_030, abs=1e-9)
    assert better(Rate(1, 300), Rate(1, 700)) == pytest.approx(0.7, abs=1e-9)


def test_a_belief_after_rows_is_the_belief_after_their_batches() -> None:
    rng = np.random.default_rng(1)
    left, right = rng.normal(3, 2, 40), rng.normal(2, 1, 60)
    start = Earnings(1.0, 1.0, 1.0, 4.0)
    at_once, in_turn = (
        start.after(Sums.of(np.concatenate([left, right]))),
        start.after(Sums.of(left)).after(Sums.of(right)),
    )
    for name in ("mean", "rows", "shape", "scale"):
        assert getattr(in_turn, name) == pytest.approx(getattr(at_once, name))


def test_a_believed_mean_is_students_t_around_the_sample() -> None:
    """Without the prior's row: 5 + 2 / sqrt(n) * t with n - 1 degrees; its quantile at 97.5 % is from any table."""
    n, quantile = 11, 2.228139
    believed = Earnings(5.0, n, (n - 1) / 2, 4.0 * (n - 1) / 2)
    known = Earnings(5.0 + quantile * 2 / np.sqrt(n), 1.0, 50.0, 1e-14)
    assert better(believed, known) == pytest.approx(0.025, abs=1e-6)


def test_money_by_simulation() -> None:
    rng, arms = np.random.default_rng(3), earnings([money(20, 1.0, 3.0), money(90, 1.4, 2.0), money(3, 0.0, 3.0)])
    drawn = np.stack([arm.mean + arm.spread * rng.standard_t(2 * arm.shape, 400_000) for arm in arms])
    chances = np.bincount(drawn.argmax(axis=0)) / 400_000
    assert best(arms) == pytest.approx(tuple(chances), abs=0.004)
    assert regret(arms[0], arms[1]) == pytest.approx(np.maximum(drawn[1] - drawn[0], 0).mean(), rel=0.02)


def test_an_arm_nobody_saw_is_believed_to_be_like_the_others_and_is_tried() -> None:
    believed = earnings([money(200, 1.0, 3.0), money(200, -1.0, 3.0), Sums()])
    assert believed[2].mean == 0
    assert 0.15 < best(believed)[2] < 0.6


@given(earners, st.floats(0, 1), st.floats(0.1, 1))
@settings(max_examples=60)
def test_shares_sum_to_one_and_keep_the_floor(arms: list[tuple[int, float, float]], low: float, leader: float) -> None:
    floor = low / len(arms)
    shares = allocation([money(*arm) for arm in arms], floor, leader)
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    assert min(shares) >= floor - 1e-12
    turned = allocation([money(*arm) for arm in arms[::-1]], floor, leader)
    assert turned[::-1] == pytest.approx(shares, abs=1e-6)


@given(st.integers(1, 8), st.floats(-100, 100))
def test_where_nothing_tells_arms_apart_they_share_alike(count: int, mean: float) -> None:
    for arm in (Sums(), money(1, mean, 0.0), money(7, mean, 0.0), money(7, mean, 2.0)):
        assert allocation([arm] * count, 0.0) == pytest.approx((1 / count,) * count)


def test_shares_do_not_depend_on_the_currency() -> None:
    arms = [(100, 1.0, 3.0), (120, 1.4, 3.0)]
    in_cents = [money(n, 100 * mean, 100 * spread) for n, mean, spread in arms]
    assert allocation(in_cents, 0.05) == pytest.approx(allocation([money(*arm) for arm in arms], 0.05))


def test_top_two_gives_the_runner_up_what_thompson_would_not() -> None:
    arms = [money(500, 1.0, 2.0), money(500, 0.4, 2.0), money(500, -3.0, 2.0)]
    earn, learn = allocation(arms, 0.0), allocation(arms, 0.0, leader=0.5)
    assert earn[0] > 0.99
    assert learn[:2] == pytest.approx((0.5, 0.5), abs=0.02)
    assert learn[2] < 0.05


def run(
    rng: np.random.Generator, means: tuple[float, ...], batches: int, rows: int
) -> tuple[list[Sums], float, list[float]]:
    """An experiment by batches: the sums of its arms, the money it made, and the means of the arms by propensity."""
    arms, weighted = [Sums() for _ in means], np.zeros(len(means))
    for _ in range(batches):
        shares = np.array(allocation(arms, 0.05))
        taken = rng.choice(len(means), rows, p=shares)
        got = rng.normal(np.array(means)[taken], 1.0)
        for arm in range(len(means)):
            arms[arm] += Sums.of(got[taken == arm])
            weighted[arm] += got[taken == arm].sum() / shares[arm] / (batches * rows)
    return arms, sum(arm.total for arm in arms), weighted.tolist()


def test_traffic_goes_where_the_money_is() -> None:
    rng, means = np.random.default_rng(5), (0.0, 0.5, 0.2)
    runs = [run(rng, means, 10, 100) for _ in range(12)]
    assert np.mean([arms[1].n for arms, _, _ in runs]) > 0.6 * 1_000
    assert np.mean([made for _, made, _ in runs]) > 1.5 * 1_000 * np.mean(means)


def test_means_by_propensity_are_right_where_raw_means_of_a_bandit_are_not() -> None:
    """Two arms that earn the same: one that starts badly is dropped, and never gets to mend its mean."""
    rng = np.random.default_rng(6)
    runs = [run(rng, (0.0, 0.0), 4, 20) for _ in range(150)]
    raw = np.array([arm.mean for arms, _, _ in runs for arm in arms])
    weighted = np.array([mean for _, _, means in runs for mean in means])
    error = weighted.std() / np.sqrt(len(weighted))
    assert raw.mean() < -4 * raw.std() / np.sqrt(len(raw))
    assert abs(weighted.mean()) < 3 * error


@pytest.mark.parametrize(
    ("floor", "leader", "told"),
    [(0.6, 1.0, "at most 0.5"), (-0.1, 1.0, "at most"), (0.1, 0.0, "0.5 to learn"), (0.1, 1.5, "1 to earn")],
)
def test_shares_that_cannot_be_are_refused(floor: float, leader: float, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        allocation([Sums(), Sums()], floor, leader)


def test_no_arm_and_no_sum_are_refused() -> None:
    with pytest.raises(BadInput, match="no arm"):
        allocation([], 0.0)
    with pytest.raises(BadInput, match="no arm"):
        best([])
    with pytest.raises(BadInput, match="finite"):
        allocation([Sums(2, float("nan"), 1.0)], 0.0)
    with pytest.raises(BadInput, match="at least 1"):
        Rate(0.5, 2)
