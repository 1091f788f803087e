"""A candidate valued on recorded traffic: a peer's numbers, simulated records whose truth is known, and refusals."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from payoff.errors import BadInput, NotFound
from payoff.stats import Bounds, Interval, Recorded, estimate, reward_model, uplift
from payoff.stats.offpolicy import METHODS, Estimate, always, design, terms

Floats = NDArray[np.float64]
CASES = Path(__file__).parent / "cases"
CASE = json.loads((CASES / "C18_off_policy_evaluation_synthetic.json").read_text())
MODELLED = ("dm", "dr", "sndr", "switch-dr")
NAMES = [("ips", "ipw", 10), ("clipped", "ipw_clip10", 10), ("snips", "snipw", 10), ("dm", "dm", 10)]
NAMES += [("dr", "dr", 10), ("sndr", "sndr", 10), ("switch-dr", "switch-dr_5", 5)]


def of_case() -> Recorded:
    with gzip.open(CASES / CASE["input"]["file"], "rt") as file:
        rows = np.genfromtxt(file, delimiter=",", names=True)
    candidate, predicted = (np.column_stack([rows[f"{name}_{a}"] for a in range(5)]) for name in ("pi_e", "qhat"))
    return Recorded(rows["action"].astype(np.int64), rows["reward"], rows["pscore"], candidate, predicted)


def record(
    rng: np.random.Generator, n: int, explore: float = 0.3, penalty: float | None = None, noise: float = 4.0
) -> tuple[Recorded, float]:
    """Two actions: refuse, which earns 0, and approve, which earns more where x is high. What is in use approves above
    0 and explores a little; the candidate approves above 0.5. Its true money per decision comes with it.
    """
    x = rng.uniform(-1, 1, n)
    approve = np.where(x > 0, 1 - explore / 2, explore / 2)
    actions = (rng.random(n) < approve).astype(np.int64)
    rewards = np.where(actions == 1, 10 * x - 3 + rng.normal(0, noise, n), 0.0)
    predicted = None if penalty is None else reward_model(x[:, None], actions, rewards, 2, penalty=penalty)
    chances = np.where(actions == 1, approve, 1 - approve)
    truth = 0.25 * (10 * 0.75 - 3)
    return Recorded(actions, rewards, chances, always((x > 0.5).astype(np.int64), 2), predicted), truth


@pytest.mark.parametrize(("method", "peer", "clip"), NAMES)
def test_the_values_are_obp_0_5_7(method: str, peer: str, clip: float) -> None:
    found = estimate(of_case(), method, clip=clip)
    value, _, interval = answered(found)
    assert value == pytest.approx(CASE["expected"]["policy_values"][peer], abs=1e-9)
    assert (interval.low, interval.high) == pytest.approx(interval_of_peer(peer), abs=0.01)
    assert found.effective_rows == pytest.approx(CASE["expected"]["independent_recalculation"]["ess"])


def answered(found: Estimate) -> tuple[float, float, Interval]:
    """Value, standard error and interval of an estimate that was not refused."""
    assert found.refusal is None
    assert found.value is not None
    assert found.standard_error is not None
    assert found.interval is not None
    return found.value, found.standard_error, found.interval


def interval_of_peer(name: str) -> tuple[float, float]:
    bounds = CASE["expected"]["bootstrap_ci_95"][name]
    return bounds["95.0% CI (lower)"], bounds["95.0% CI (upper)"]


def test_the_standard_errors_and_weights_of_the_case() -> None:
    again, recorded = CASE["expected"]["independent_recalculation"], of_case()
    assert answered(estimate(recorded, "ips"))[1] == pytest.approx(again["ipw_se"], rel=1e-3)
    assert recorded.weights.max() == pytest.approx(again["max_weight"])
    _, error, interval = answered(estimate(recorded, "dr"))
    assert error == pytest.approx(again["dr_se"], rel=1e-3)
    assert interval.low < CASE["expected"]["ground_truth_policy_value"] < interval.high


def test_the_uplift_is_the_value_less_what_the_record_earned_and_is_surer() -> None:
    recorded = of_case()
    (more, error, _), (value, error_of_value, _) = answered(uplift(recorded)), answered(estimate(recorded))
    assert more == pytest.approx(value - CASE["expected"]["logging_policy_mean_reward"])
    assert error < error_of_value


@pytest.mark.parametrize("method", ["ips", "snips", "dr", "sndr"])
def test_the_interval_holds_the_truth_as_often_as_it_says(method: str) -> None:
    rng, runs = np.random.default_rng(21), 250
    held = bias = 0.0
    for _ in range(runs):
        recorded, truth = record(rng, 1_000, penalty=10.0 if method in MODELLED else None)
        value, error, interval = answered(estimate(recorded, method))
        held += interval.low <= truth <= interval.high
        bias += (value - truth) / error / runs
    assert 0.92 <= held / runs <= 0.985
    assert abs(bias) < 0.15


def test_a_wrong_reward_model_misleads_dm_and_not_dr() -> None:
    rng, off = np.random.default_rng(22), {"dm": 0.0, "dr": 0.0}
    for _ in range(100):
        recorded, truth = record(rng, 1_000)
        wrong = Recorded(
            recorded.actions, recorded.rewards, recorded.propensities, recorded.candidate, np.full((1_000, 2), 9.0)
        )
        for method in off:
            off[method] += (float(terms(wrong, method).mean()) - truth) / 100
    assert off["dm"] == pytest.approx(9 - truth)
    assert abs(off["dr"]) < 0.2


def test_a_good_reward_model_makes_the_answer_surer() -> None:
    recorded, _ = record(np.random.default_rng(23), 4_000, explore=1.0, penalty=10.0, noise=1.0)
    assert answered(estimate(recorded, "dr"))[1] < 0.8 * answered(estimate(recorded, "ips"))[1]


def test_on_its_own_traffic_a_policy_is_worth_what_it_earned() -> None:
    rng = np.random.default_rng(24)
    actions, rewards = rng.integers(0, 3, 500), rng.normal(1, 2, 500)
    itself = Recorded(actions, rewards, np.full(500, 1 / 3), np.full((500, 3), 1 / 3))
    for method in ("ips", "clipped", "snips"):
        found = estimate(itself, method)
        assert answered(found)[0] == pytest.approx(rewards.mean())
        assert found.effective_rows == pytest.approx(500)


def test_bounds_hold_from_few_rows_on_where_the_normal_interval_does_not() -> None:
    """One reward in 50, explored at 10 %: the normal interval often has not seen a single one."""
    rng, runs, n = np.random.default_rng(25), 150, 1_500
    held = {"normal": 0, "bounded": 0}
    for _ in range(runs):
        actions = (rng.random(n) < 0.1).astype(np.int64)
        rewards = ((rng.random(n) < 0.02) & (actions == 1)).astype(np.float64)
        recorded = Recorded(actions, rewards, np.where(actions == 1, 0.1, 0.9), always(np.ones(n, np.int64), 2))
        for name, bounds in (("normal", None), ("bounded", Bounds(0, 1, 0.1))):
            found = answered(estimate(recorded, "ips", bounds=bounds))[2]
            held[name] += found.low <= 0.02 <= found.high
    assert held["bounded"] >= 0.95 * runs
    assert held["normal"] < 0.92 * runs


def refused(found: Estimate) -> str:
    assert (found.value, found.standard_error, found.interval) == (None, None, None)
    assert found.refusal is not None
    return found.refusal


@pytest.mark.parametrize("method", METHODS)
def test_nothing_in_common_is_no_answer(method: str) -> None:
    never = Recorded(
        np.zeros(500, np.int64), np.ones(500), np.ones(500), always(np.ones(500, np.int64), 2), np.ones((500, 2))
    )
    assert "on none of 500" in refused(estimate(never, method))
    assert "on none of 500" in refused(uplift(never, method))


def test_too_little_in_common_is_no_answer() -> None:
    recorded, _ = record(np.random.default_rng(26), 150)
    assert "of the candidate's own, and 100 are" in refused(estimate(recorded, "ips"))


def test_an_answer_that_hangs_on_one_row_is_no_answer() -> None:
    chances = np.full(2_000, 0.5)
    chances[0] = 0.5 / 200
    heavy = Recorded(np.zeros(2_000, np.int64), np.ones(2_000), chances, np.full((2_000, 2), 0.5))
    assert "one row carries 9% of all weight" in refused(estimate(heavy, "snips"))


def test_no_rows_are_no_answer() -> None:
    empty = Recorded(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty((0, 2)))
    assert "on none of 0" in refused(estimate(empty, "ips"))


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 9))
def test_no_row_teaches_its_own_prediction(rows: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, actions, rewards = rng.normal(size=(rows, 2)), rng.integers(0, count, rows), rng.normal(size=rows)
    folds = min(5, rows)
    before, changed = reward_model(x, actions, rewards, count, folds=folds), rewards.copy()
    changed[0] += 1e6
    assert reward_model(x, actions, changed, count, folds=folds)[0] == pytest.approx(before[0], abs=1e-6)


def test_the_reward_model_learns_each_action_and_trusts_the_rest_for_rare_ones() -> None:
    rng, n = np.random.default_rng(27), 5_000
    x, actions = rng.normal(size=(n, 1)), rng.choice(3, n, p=[0.6, 0.399, 0.001])
    rewards = np.where(actions == 1, 2 + 3 * x[:, 0], -1 - x[:, 0]) + rng.normal(size=n)
    predicted = reward_model(x, actions, rewards, 3)
    assert np.abs(predicted[:, 0] - (-1 - x[:, 0])).mean() < 0.1
    assert np.abs(predicted[:, 1] - (2 + 3 * x[:, 0])).mean() < 0.1
    assert np.abs(predicted[:, 2] - (0.2 + 0.6 * x[:, 0])).mean() < 3


def test_columns_become_numbers_of_mean_0_and_spread_1() -> None:
    rng = np.random.default_rng(28)
    columns = {
        "amount": np.where(rng.random(400) < 0.1, np.nan, rng.lognormal(5, 1, 400)),
        "country": rng.choice(["AT", "DE", "CH"], 400),
        "many": rng.integers(0, 300, 400).astype(str),
        "always": np.full(400, 7.1),
        "nothing": np.array([None] * 400, object),
        "flag": rng.random(400) < 0.5,
    }
    table = design(columns)
    assert table.shape == (400, 2 + 3 + 20 + 0 + 0 + 1)
    assert table.mean(axis=0) == pytest.approx(np.zeros(26), abs=1e-9)
    assert table.std(axis=0) == pytest.approx(np.ones(26))


ROWS = np.zeros(3, np.int64)
HALF = np.full((3, 2), 0.5)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((ROWS, np.ones(2), np.ones(3), HALF), "one row for each"),
        ((ROWS, np.ones(3), np.zeros(3), HALF), "propensity"),
        ((ROWS, np.ones(3), np.full(3, np.nan), HALF), "propensity"),
        ((ROWS + 2, np.ones(3), np.ones(3), HALF), "outside 0 to 1"),
        ((ROWS, np.ones(3), np.ones(3), HALF + 0.1), "sum to 1"),
        ((ROWS, np.full(3, np.inf), np.ones(3), HALF), "not finite"),
        ((ROWS, np.ones(3), np.ones(3), HALF, np.ones((3, 3))), "predicted for"),
        ((ROWS, np.ones(3), np.ones(3), HALF, np.full((3, 2), np.nan)), "not finite"),
    ],
)
def test_a_record_that_cannot_be_is_refused(parts: tuple[NDArray[np.generic], ...], told: str) -> None:
    with pytest.raises(BadInput, match=told):
        Recorded(*parts)  # type: ignore[arg-type]


def test_what_a_method_needs_is_said() -> None:
    recorded, _ = record(np.random.default_rng(29), 1_000)
    for method in MODELLED:
        with pytest.raises(BadInput, match="reward_model"):
            estimate(recorded, method)
    with pytest.raises(NotFound, match="there are: ips"):
        estimate(recorded, "isp")
    with pytest.raises(BadInput, match="outside its bounds"):
        estimate(recorded, "ips", bounds=Bounds(0, 1, 0.1))
    with pytest.raises(BadInput, match="ips and clipped only"):
        estimate(recorded, "snips", bounds=Bounds(-1e3, 1e3, 0.1))
    with pytest.raises(BadInput, match="5 folds"):
        reward_model(np.ones((3, 1)), ROWS, np.ones(3), 2)
    with pytest.raises(BadInput, match="no input column"):
        design({})
