"""An experiment from a real journal: arms beside each other, by segment, with errors that are shared and said."""

import numpy as np
import pytest

from payoff.errors import BadInput, Conflict
from payoff.ledger import Prices
from payoff.monitor.arms import SEGMENTS_MAX, Experiment, _sides, experiment, plain
from payoff.monitor.compare import randomised
from payoff.monitor.docket import Shares
from payoff.monitor.evidence import history
from payoff.monitor.matured import HOLDOUT
from payoff.monitor.settled import Settled
from payoff.records import Served
from payoff.records.endpoint import Arm, Policy, Revision, Role
from tests.monitor.home import SIGNATURE, Home
from tests.monitor.test_compare import rows

CHALLENGER = "  challenger: {model: m, version: 2, traffic: 10%}"
SHADOW = "  next: {model: m, version: 2, role: shadow}"


def asked(home: Home, by: str | None = None) -> Experiment:
    return experiment(home.journal, history(home.registry, "bank"), Prices(), by, home.clock)


def drawn(home: Home, n: int, more: float, seed: int = 1) -> None:
    """Rows that fall to the challenger one time in ten, which earns `more`."""
    rng = np.random.default_rng(seed)
    for _ in range(n // 100):
        mine = int(rng.binomial(100, 0.1))
        for version, count in ((1, 100 - mine), (2, mine)):
            ids = home.answer([True] * count, version)
            home.learn(ids, (rng.standard_normal(count) + more * (version == 2)).tolist())


def test_arms_stand_beside_each_other_against_the_champion(home: Home) -> None:
    home.apply(more=CHALLENGER, guards="  []")
    drawn(home, 2_000, more=3.0)
    found = plain(asked(home))
    champion, challenger = found["arms"]
    assert (champion["arm"], champion["share"], champion["difference"]) == ("m v1", 0.9, None)
    assert (challenger["arm"], challenger["share"]) == ("m v2", 0.1)
    assert champion["decisions"] + challenger["decisions"] == 2_000
    assert challenger["difference"]["against"] == "m v1"
    assert challenger["difference"]["per_decision"] == pytest.approx(3.0, abs=0.5)
    assert challenger["difference"]["low"] > 0
    assert found["note"].startswith("Than m v1: m v2 earns 3")
    assert not found["sample_ratio"]["mismatch"]


def test_shares_that_are_not_kept_are_said_before_anything_else(home: Home) -> None:
    home.apply(more=CHALLENGER, guards="  []")
    for version, count in ((1, 300), (2, 300)):
        home.learn(home.answer([True] * count, version), [1.0] * count)
    found = plain(asked(home))
    assert found["sample_ratio"]["mismatch"]
    assert found["note"].startswith("The arms do not get the shares they should")


def test_a_version_that_only_watches_is_compared_on_the_same_rows(home: Home) -> None:
    home.apply(more=SHADOW, guards="  []")
    ids = home.answer([True] * 60)
    home.shadow(ids, [False] * 60, 2)
    home.learn(ids, [2.0] * 60)
    watching = plain(asked(home))["arms"][1]
    assert (watching["watches"], watching["value"]) == (True, 0.0)
    assert (watching["difference"]["against"], watching["difference"]["per_decision"]) == (
        "m v1 on the same rows",
        -2.0,
    )


def test_the_covariate_is_taken_out_of_the_hold_outs_difference_too() -> None:
    rng, n = np.random.default_rng(5), 3_000
    held, x = rng.random(n) < 0.3, rng.standard_normal(n)
    worth = 2 * x + np.where(held, 0.0, 0.5)
    side = np.where(held, HOLDOUT, "m v1").astype(object)
    settled = Settled(rows(worth, side), x, {1: Shares({"m v1": 0.7, HOLDOUT: 0.3})})
    champion = Arm("champion", Role.CHAMPION, "m", 1, Served("onnx", "0" * 64, SIGNATURE))
    revision = Revision("bank", 1, 0, "me", "", (champion,), Policy(holdout=0.3))
    _, hold_out = _sides(revision, settled, [(champion, False)], 0.05)
    same = randomised(settled.rows, HOLDOUT, "m v1", settled.shares, 0.05, x, net=True)
    assert hold_out.effect == same
    assert same is not None
    assert same.noise_left is not None


def test_segments_are_the_largest_and_share_the_error(home: Home) -> None:
    home.apply(more=CHALLENGER, guards="  []")
    ids = home.answer([True] * 600, days=60)
    home.learn(ids, [1.0] * 600)
    whole, parted = asked(home), asked(home, "inputs.day")
    assert (len(parted.segments), parted.more) == (SEGMENTS_MAX, 40)
    assert parted.error == pytest.approx(whole.error / SEGMENTS_MAX)
    assert sum(one.sides[0].earned.n for one in parted.segments) == 10 * SEGMENTS_MAX
    assert any(text.startswith("40 more segments") for text in plain(parted)["assumptions"])


def test_rows_for_which_the_expression_says_nothing_are_a_segment_too(home: Home) -> None:
    home.apply(guards="  []")
    home.learn(home.answer([True] * 30), [1.0] * 30)
    (only,) = asked(home, "nullif(inputs.x, 0)").segments
    assert (only.name, only.sides[0].earned.n) == ("(none)", 30)


def test_after_a_kill_the_fallback_is_who_the_others_are_compared_with(home: Home) -> None:
    home.apply(guards="  []")
    home.learn(home.answer([True] * 30), [1.0] * 30)
    home.give("kill")
    home.learn(home.answer([False] * 30, version=None), [1.0] * 30)
    found = plain(asked(home))
    assert found["compared_with"] == "fallback"
    assert [arm["arm"] for arm in found["arms"]] == ["m v1", "fallback"]


def test_before_anything_is_known_it_is_said_what_is_missing(home: Home) -> None:
    home.apply()
    home.answer([True])
    with pytest.raises(Conflict, match="nothing is known of bank yet"):
        asked(home)


def test_an_expression_over_anything_but_inputs_is_refused(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True]), [1.0])
    for by in ("outcome.gain", "inputs.nope", "inputs.x >"):
        with pytest.raises(BadInput):
            asked(home, by)
