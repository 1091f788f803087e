"""An experiment from a real journal: arms beside each other, by segment, with errors that are shared and said."""

import numpy as np
import pytest

from payoff.errors import BadInput, Conflict
from payoff.ledger import Prices
from payoff.monitor.arms import SEGMENTS_MAX, Experiment, experiment, plain
from payoff.monitor.evidence import history
from tests.monitor.home import Home

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
