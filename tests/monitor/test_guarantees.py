"""What the guards promise, by simulation through the docket: looked at after every row, seeds fixed."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from payoff.experiment import AFTER_CHANGE
from payoff.monitor.docket import Docket, Shares
from payoff.monitor.guards import Move, follows, uneven
from payoff.monitor.matured import Matured
from payoff.records import Arm, Explore, Guard, Policy, Revision, Role, Served, Signature
from payoff.stats import Sums

pytestmark = pytest.mark.slow

SERVED = Served("onnx", "0" * 64, Signature((), ()))
CHAMPION = Arm("champion", Role.CHAMPION, "m", 1, SERVED)
CHALLENGER = Arm("challenger", Role.CHALLENGER, "m", 2, SERVED, traffic=0.3)
HOLDOUT = Policy(
    value="1",
    fallback={"decision": False},
    outcome_depends_on_decision=True,
    holdout=0.2,
    guards=(Guard("loses money", "kill", 0.05, "holdout", gain_cap=12.0),),
)
PAIRED = Policy(value="1", fallback={"decision": False}, guards=(Guard("loses money", "kill", 0.05, gain_cap=5.0),))
BEATS = Guard("challenger beats champion", "promote", 0.05, gain_cap=12.0)
Floats = NDArray[np.float64]
IDS = np.array([f"{number:09}" for number in range(40_000)], object)


def docket(*revisions: tuple[Policy, tuple[Arm, ...]]) -> Docket:
    made = Docket()
    made.ask([Revision("e", n, n, "me", "", arms, policy) for n, (policy, arms) in enumerate(revisions, 1)])
    return made


def matured(
    side: NDArray[np.object_], worth: Floats, revision: int = 1, start: int = 0, fallback: float = 0.0
) -> Matured:
    n = len(side)
    no, nothing = np.zeros(n, bool), np.zeros(n, np.int64)
    ids = IDS[start : start + n]
    arm = np.where(side == "holdout", "", side)
    return Matured(
        ids, np.full(n, revision), arm, worth, np.full(n, fallback), np.zeros(n), side, no, no, no, no, nothing, nothing
    )


def drawn(
    rng: np.random.Generator, made: Docket, n: int, revision: int, lift: dict[str, float], start: int = 0
) -> Matured:
    """Rows that fall to the sides in their shares; whoever decides makes 50 and a skewed something, and its lift."""
    sides = made.shares[revision].sides
    side = rng.choice(np.array(list(sides), object), n, p=list(sides.values()))
    worth = 50 + np.minimum(np.exp(rng.standard_normal(n)), 10) - 1.6
    for one, more in lift.items():
        worth[side == one] += more
    return matured(side, worth, revision, start)


@pytest.mark.parametrize("arms", [1, 3])
def test_of_versions_that_break_even_hardly_any_is_killed_however_many_are_watched(arms: int) -> None:
    rng, killed, runs = np.random.default_rng(1), 0, 150
    second = replace(CHALLENGER, name="second", version=3)
    for _ in range(runs):
        made = docket((PAIRED, (CHAMPION, CHALLENGER, second)[:arms]))
        for number in range(1, arms + 1):
            gains = rng.choice([-1.0, 4.0], 1_500, p=[0.8, 0.2])
            rows = matured(np.full(1_500, f"m v{number}", object), gains, start=number * 10_000)
            made.hear(rows)
        killed += any(isinstance(follows(made, brief), Move) for brief in made.briefs)
    assert 0 < killed / runs <= 0.05


def test_against_the_holdout_the_difference_is_right_whatever_the_shares() -> None:
    """The shares change in the middle, some rows are explored and do not count."""
    policy = replace(HOLDOUT, explore=Explore(0.3), guards=(replace(HOLDOUT.guards[0], error=1e-9),))
    means = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        made = docket((policy, (CHAMPION, CHALLENGER)), (replace(policy, holdout=0.05), (CHAMPION, CHALLENGER)))
        for revision in (1, 2):
            rows = drawn(rng, made, 3_000, revision, {"m v1": -1.5, "m v2": 4.0}, revision * 10_000)
            explored = (rng.random(len(rows)) < 0.3) & (rows.side != "holdout")
            worth = np.where(explored, rows.worth - 20, rows.worth)
            made.hear(replace(rows, worth=worth, explored=explored))
        means.append([made.case(brief).raw.mean for brief in made.briefs])
    mean, error = np.mean(means, axis=0), np.std(means, axis=0) / np.sqrt(len(means))
    assert np.all(np.abs(mean - [-1.5, 4.0]) < 3 * error)
    assert np.all(error < 0.2)


def test_against_the_holdout_hardly_any_version_is_killed_that_is_as_good() -> None:
    killed, runs = 0, 200
    for seed in range(runs):
        made, rng = (
            docket((HOLDOUT, (CHAMPION,)), (replace(HOLDOUT, holdout=0.05), (CHAMPION,))),
            np.random.default_rng(seed),
        )
        for revision in (1, 2):
            made.hear(drawn(rng, made, 1_500, revision, {}, revision * 10_000))
        killed += made.case(made.briefs[0]).reached
    assert killed / runs <= 0.05


def test_against_the_holdout_a_loser_is_found() -> None:
    tested = []
    for seed in range(40):
        made, rng = docket((HOLDOUT, (CHAMPION,))), np.random.default_rng(seed)
        made.hear(drawn(rng, made, 6_000, 1, {"m v1": -3.0}))
        case = made.case(made.briefs[0])
        assert case.reached
        tested.append(case.tested)
    assert np.median(tested) < 900


def test_where_outcomes_depend_on_decisions_hardly_any_challenger_is_promoted_that_is_no_better() -> None:
    policy = replace(HOLDOUT, guards=(BEATS,))
    won, better = 0, 0
    for seed in range(100):
        for lift in (0.0, 3.0):
            made, rng = docket((policy, (CHAMPION, CHALLENGER))), np.random.default_rng(seed)
            made.hear(drawn(rng, made, 3_000, 1, {"m v2": lift}))
            brief = next(brief for brief in made.briefs if brief.guard)
            assert brief.question.randomised
            won += made.case(brief).reached and not lift
            better += made.case(brief).reached and lift > 0
    assert won / 100 <= 0.05
    assert better / 100 > 0.95


def test_the_detector_stops_no_good_version_more_often_than_it_says() -> None:
    """Watched for twice the run length that is asked for, less than twice is it stopped on average: here far less."""
    policy = replace(PAIRED, guards=(replace(PAIRED.guards[0], error=1e-9, false_stop_every=1_000),))
    rng, stopped = np.random.default_rng(7), 0
    for _ in range(100):
        made = docket((policy, (CHAMPION,)))
        made.hear(matured(np.full(2_000, "m v1", object), rng.choice([-1.0, 4.0], 2_000, p=[0.8, 0.2])))
        case = made.case(made.briefs[0])
        assert not case.reached or case.test == AFTER_CHANGE
        stopped += case.reached
    assert 0 < stopped <= 100


def test_what_was_drawn_at_random_tells_nothing_about_a_version() -> None:
    made = docket((PAIRED, (CHAMPION,)))
    rows = matured(np.full(400, "m v1", object), np.full(400, -5.0))
    made.hear(replace(rows, explored=np.ones(400, bool)))
    assert made.case(made.briefs[0]).tested == 0
    assert made.tally[1, "m v1"] == Sums()
    assert made.counts[1, "m v1"] == 400


def test_a_version_answers_for_the_rows_on_which_it_failed() -> None:
    made = docket((HOLDOUT, (CHAMPION,)))
    rows = drawn(np.random.default_rng(1), made, 1_000, 1, {})
    own = rows.side == "m v1"
    failed = own & (np.arange(1_000) % 4 == 0)
    made.hear(replace(rows, arm=np.where(failed, "", rows.arm), failed=failed))
    assert made.case(made.briefs[0]).tested == 1_000


def test_shadows_and_the_killed_tell_nothing_where_outcomes_depend_on_decisions() -> None:
    made = docket((replace(HOLDOUT, guards=(Guard("loses money", "kill", 0.05, "nothing"),)), (CHAMPION,)))
    rows = matured(np.full(50, "m v1", object), np.full(50, -1.0))
    made.hear(replace(rows, shadow=np.arange(50) < 20))
    assert made.case(made.briefs[0]).tested == 30


def test_shares_that_are_kept_are_hardly_ever_called_broken_and_lost_calls_are() -> None:
    policy = replace(HOLDOUT, value=None)
    called = 0
    for seed in range(100):
        made, rng = docket((policy, (CHAMPION, CHALLENGER))), np.random.default_rng(seed)
        for start in range(0, 2_000, 50):
            made.hear(drawn(rng, made, 50, 1, {}, start))
            if uneven(made, 1):
                called += 1
                break
    assert called <= 1
    made, rng = docket((policy, (CHAMPION, CHALLENGER))), np.random.default_rng(1)
    rows = drawn(rng, made, 5_000, 1, {})
    made.hear(rows.take((rows.side != "m v2") | (rng.random(5_000) < 0.8)))
    assert uneven(made, 1)


def test_where_customers_keep_to_their_arm_rows_do_not_tell_whether_the_shares_are_kept() -> None:
    made = docket((replace(HOLDOUT, route_by="customer"), (CHAMPION, CHALLENGER)))
    made.hear(matured(np.full(500, "m v1", object), np.zeros(500)))
    assert not uneven(made, 1)


def test_the_shares_of_a_revision_are_those_it_is_split_by() -> None:
    policy = replace(HOLDOUT, explore=Explore(0.1))
    shares = Shares.of(Revision("e", 1, 1, "me", "", (CHAMPION, CHALLENGER), policy))
    assert shares.sides == pytest.approx({"m v2": 0.3, "m v1": 0.5, "holdout": 0.2})
    assert (shares.own("m v1"), shares.own("holdout"), shares.own("m v9")) == pytest.approx((0.45, 0.2, 0.0))
