"""Verdicts in words."""

import numpy as np
import pytest

from payoff.experiment import (
    AFTER_CHANGE,
    BEATS,
    LOSES,
    SAME,
    Case,
    Question,
    Rows,
    chance,
    explain,
    in_short,
    judge,
    outlook,
)


def after(question: Question, money: list[float], error: float = 0.05) -> Case:
    ids = np.array([f"{n}" for n in range(len(money))])
    return judge(Case(question, error), Rows(ids, np.array(money), np.array(money)))


def test_a_loss_is_told_in_money_and_chances() -> None:
    case = after(Question(LOSES, "term-deposit", 1, "fallback", 10.0), [-4.12] * 100, 0.01)
    assert explain(case) == (
        f"After {case.bets.n} matured predictions term-deposit v1 earned 4.12 EUR less per prediction than the "
        "fallback. If it did not lose, evidence this strong would turn up in at most 1 of 100 such watches, however "
        "often one looks. A gain counts up to 10 EUR per prediction, as stated beforehand."
    )
    assert in_short(case) == "loses money against fallback"


def test_a_win_names_who_was_beaten() -> None:
    case = after(Question(BEATS, "term-deposit", 2, "term-deposit v1"), [1.5, -1.0] * 50)
    assert explain(case).startswith("After 100 matured predictions term-deposit v2 earned 0.25 EUR more per prediction")
    assert "than term-deposit v1. That is no verdict yet" in explain(case)
    won = after(Question(BEATS, "term-deposit", 2, "term-deposit v1"), [1.5, -0.1] * 400)
    assert "If it did not beat term-deposit v1, evidence this strong" in explain(won)
    assert "learned from earlier ones; state gain_cap" in explain(won)


def test_too_little_is_said_to_be_too_little() -> None:
    question = Question(LOSES, "m", 1, "nothing", None, "USD")
    assert in_short(Case(question)) == "nothing known yet"
    assert "no prediction of it has matured" in explain(Case(question))
    case = after(question, [-1.0])
    assert explain(case).startswith("After 1 matured prediction m v1 earned 1.00 USD less per prediction than it cost.")
    assert "Nothing is bet on yet" in explain(case)
    assert in_short(case) == "no verdict: evidence 1.00 of 20"


@pytest.mark.parametrize(
    ("error", "words"),
    [(0.01, "1 of 100"), (0.05, "1 of 20"), (0.03, "3 of 100"), (0.001, "1 of 1,000"), (0.5, "1 of 2")],
)
def test_a_chance_in_words(error: float, words: str) -> None:
    assert chance(error) == words


def test_what_would_change_it_is_so_many_more_predictions() -> None:
    question = Question(LOSES, "m", 1, "fallback", 10.0)
    case = after(question, [-2.0] * 30, 0.01)
    assert outlook(Case(question)) == "It takes predictions whose outcome is known."
    said = outlook(case)
    more = int(said.split(" more predictions")[0].split()[-1].replace(",", ""))
    assert after(question, [-2.0] * (30 + more + 25), 0.01).reached
    assert not after(question, [-2.0] * (30 + more - 25), 0.01).reached
    assert "there will be no verdict" in outlook(after(question, [2.0] * 30))
    assert outlook(after(question, [-9.0] * 200)).startswith("The verdict stands")


def test_an_error_that_is_shared_is_said_to_be() -> None:
    case = after(Question(LOSES, "m", 1, "fallback", 10.0), [-9.0] * 200, 0.01 / 3)
    assert "such watches, however often one looks, the error being shared by the 3 versions" in explain(case, 3)


def test_a_change_for_the_worse_is_told_since_the_best_moment() -> None:
    question = Question(LOSES, "m", 1, "fallback", 10.0)
    money = np.array([4.0] * 500 + [-5.0] * 200)
    case = judge(Case(question, 0.01, 1_000), Rows(np.arange(700).astype(str), money, money))
    assert case.test == AFTER_CHANGE
    assert f"earned 5.00 EUR less per prediction than the fallback on the last {case.tested - 500} of them" in explain(
        case
    )
    assert case.verdict().threshold == 1_000


def test_no_difference_is_said_with_its_margin() -> None:
    question = Question(SAME, "m", 2, "m v1", None, "EUR", False, 0.5)
    rng = np.random.default_rng(1)
    case = after(question, rng.choice([-1.0, 1.0], 3_000).tolist())
    assert case.reached
    assert "The true difference lies within 0.5 EUR either way, except in at most 1 of 20" in explain(case)
    unsure = after(question, rng.choice([-9.0, 9.0], 400).tolist())
    assert "more predictions" in outlook(unsure)


def test_a_verdict_beside_wide_bounds_says_why_they_are_no_contradiction() -> None:
    question = Question(LOSES, "m", 1, "fallback", 12.0)
    rng = np.random.default_rng(2)
    unsure = after(question, rng.choice([-4.0, 8.0], 329, p=[0.75, 0.25]).tolist(), 0.05)
    assert unsure.reached
    found = unsure.interval()
    assert found is not None
    assert found.low < 0 < found.high
    assert outlook(unsure).endswith("That it loses shows sooner than how much; hence the wide bounds.")
    assert "wide" not in outlook(after(question, [-9.0] * 2_000))


def test_the_bar_after_a_change_is_a_number_that_people_read() -> None:
    asked, money = Question(LOSES, "m", 1, "fallback", 10.0), np.array([2.0, -1.0] * 20)
    case = judge(Case(asked, 0.05, every=1_000_000), Rows(np.arange(40).astype(str), money, money))
    assert "begun to lose after a good time" in explain(case)
    assert "of 1,000,000" in explain(case)
