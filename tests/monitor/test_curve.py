"""The decision threshold: read from the decision, measured on rows that did not choose it, moved only when asked."""

from dataclasses import replace

import numpy as np
import pytest

from payoff.errors import BadInput, Conflict
from payoff.monitor import curve
from payoff.monitor.curve import Told, in_order, threshold
from payoff.records import Policy, Revision
from tests.monitor.home import Home

REVISION = Revision("e", 1, 0, "me", "", (), Policy(value="1"))


def decides(text: str) -> Revision:
    return replace(REVISION, policy=Policy(value="1", decision=text))


@pytest.mark.parametrize(
    ("text", "operator", "constant", "moved"),
    [
        ("outputs.p > 0.5", ">", 0.5, "outputs.p >= 0.25"),
        ("(outputs.p >= 0.5)", ">=", 0.5, "outputs.p >= 0.25"),
        ("0.5 < outputs.p", ">", 0.5, "outputs.p >= 0.25"),
        ("outputs.risk < 0.5", "<", 0.5, "outputs.risk <= -0.25"),
        ("outputs.p * inputs.amount - 1 > -2", ">", -2.0, "outputs.p * inputs.amount - 1 >= 0.25"),
    ],
)
def test_a_decision_is_a_score_and_a_constant(text: str, operator: str, constant: float, moved: str) -> None:
    found = threshold(decides(text))
    assert (found.operator, found.constant) == (operator, constant)
    assert found.moved(0.25) == moved


@pytest.mark.parametrize("text", ["outputs.p > inputs.x", "1 > 2", "outputs.yes", "outputs.p > 0.5 and inputs.x > 1"])
def test_another_form_is_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(BadInput, match="of the form `score > constant`"):
        threshold(decides(text))


def test_an_endpoint_without_a_value_or_a_decision_is_told_what_to_say() -> None:
    with pytest.raises(BadInput, match="e has no value: say in its file"):
        threshold(replace(REVISION, policy=Policy(decision="outputs.p > 0.5")))
    with pytest.raises(BadInput, match="e decides nothing"):
        threshold(REVISION)


def told(rng: np.random.Generator, n: int, worth: float) -> Told:
    """A yes earns 1 above a score of 0.5 and costs `worth` below; the present threshold says yes to all."""
    scores = rng.random(n)
    yes = np.where(scores > 0.5, 1.0, -worth) + rng.standard_normal(n)
    return Told(scores, yes, np.zeros(n), weighted=False)


def test_no_row_is_valued_by_a_threshold_that_it_helped_to_choose() -> None:
    """Where every threshold earns the same, the best of the sample seems to earn more, and in order it does not."""
    rng = np.random.default_rng(1)
    flat = [Told(rng.random(400), rng.standard_normal(400), np.zeros(400), weighted=False) for _ in range(200)]
    lefts = [in_order(one, 0.0).mean() for one in flat]
    assert abs(np.mean(lefts)) < 0.02


def test_what_is_left_on_the_table_is_found() -> None:
    found = in_order(told(np.random.default_rng(2), 5_000, worth=2.0), present=0.0)
    assert len(found) == 4_900
    assert found.mean() == pytest.approx(1.0, abs=0.15)  # half of the rows lost 2 each


def scored(home: Home, n: int, seed: int = 3) -> None:
    """Rows decided yes above 0.5, which lose money; below 0.5 a yes would earn: what the threshold should move to."""
    rng = np.random.default_rng(seed)
    for _ in range(n // 500):
        yes = rng.random(500) < 0.5
        ids = home.answer(yes.tolist())
        home.learn(ids, np.where(yes, -1.0, 0.5).tolist())


def test_from_matured_rows_to_a_suggestion_and_an_order(home: Home) -> None:
    home.apply(guards="  []")
    scored(home, 2_000)
    current = home.registry.current("bank")
    found = curve.plain(curve.advise(home.journal, current, home.clock))
    assert (found["decision"], found["present"], found["rows"]) == ("outputs.probability > 0.5", 0.5, 2_000)
    assert found["best"] > 1.0  # nobody: every yes above 0.5 loses, and below one cannot be without them
    assert found["left"] == pytest.approx(0.5, abs=0.05)
    assert found["left_low"] > 0
    assert found["worth_it"]
    assert found["suggested"].startswith("outputs.probability >= ")
    file = curve.moved(current, curve.advise(home.journal, current, home.clock))
    assert f"decision: {found['suggested']}" in file
    assert home.registry.current("bank").number == current.number  # nothing moved by itself


def test_a_threshold_that_is_not_sure_to_earn_more_stays(home: Home) -> None:
    home.apply(guards="  []")
    ids = home.answer([True, False] * 100)
    home.learn(ids, [1.0, -1.0] * 100)
    current = home.registry.current("bank")
    found = curve.advise(home.journal, current, home.clock)
    assert not found.worth_it
    with pytest.raises(Conflict, match="the threshold stays"):
        curve.moved(current, found)


def test_before_anything_matured_it_is_said_what_is_missing(home: Home) -> None:
    home.apply()
    with pytest.raises(
        Conflict, match=r"bank has 0 matured rows with a known value and a score.*is missing wait for it, 1d at most"
    ):
        curve.advise(home.journal, home.registry.current("bank"), home.clock)
    assert curve.drawn(home.journal, home.registry.current("bank"), home.clock) is None


def test_where_the_outcome_depends_on_the_decision_chance_must_have_had_a_part(home: Home) -> None:
    home.apply(guards="  []", more="outcome_depends_on_decision: true")
    scored(home, 500)
    with pytest.raises(Conflict, match=r"none was drawn by chance.*explore: 2%"):
        curve.advise(home.journal, home.registry.current("bank"), home.clock)
