"""The statement in words: who is ahead of the fallback, and who is not."""

import numpy as np
import pytest

from payoff.experiment import LOSES, Case, Question, Rows, judge
from payoff.ledger import Prices, Tally, statement
from payoff.money import MICROS, Money
from payoff.monitor.lives import Brief
from payoff.monitor.roi import FALLBACK, GONE, Roi, compose, plain
from payoff.records import Arm, Policy, Revision, Role, Served, Signature
from payoff.stats import Sums

SERVED = Served("onnx", "0" * 64, Signature((), ()))
ARMS = (Arm("champion", Role.CHAMPION, "m", 2, SERVED), Arm("next", Role.SHADOW, "m", 3, SERVED))
POLICY = Policy(value="case when decision then 60 else 0 end", fallback={"decision": True})
REVISION = Revision("e", 7, 0, "me", "", ARMS, POLICY)
HOUR_NS = 3_600_000_000_000


def tally(version: int | None, earned: float, fallback: float | None, rows: int = 100, shadow: bool = False) -> Tally:
    values, other = np.full(rows, earned / max(rows, 1)), np.full(rows, (fallback or 0) / max(rows, 1))
    return Tally(
        model=None if version is None else "m",
        version=version,
        shadow=shadow,
        answered=rows + 1,
        matured=rows,
        value_micros=round(earned * MICROS),
        fallback_micros=None if fallback is None else round(fallback * MICROS),
        gain_micros=None if fallback is None else round((earned - fallback) * MICROS),
        cpu_ns=0,
        values=Sums.of(values),
        gains=Sums.of(values - other),
    )


def roi(*tallies: Tally, cases: tuple[tuple[Brief, Case], ...] = ()) -> Roi:
    return compose(REVISION, statement(tallies, Prices(), "EUR"), cases, 5, ("p", "o"))


def test_the_best_version_is_named_with_its_lead_over_all_it_was_asked() -> None:
    found = roi(tally(2, 150, 100), tally(3, 30, 20, shadow=True), tally(None, 9, 9))
    assert found.conclusion == "m v2 earned 50.00 EUR more than the fallback would have on the same 100 predictions."
    assert found.fallback_alone == Money(109 * MICROS)
    assert found.total.value == Money(159 * MICROS)


def test_where_the_fallback_beats_every_model_it_says_so() -> None:
    found = roi(tally(2, 50, 100), tally(3, 15, 20, shadow=True), tally(1, 500, 10))
    assert found.conclusion == (
        "No model earns more than the fallback on e: deciding true every time would have earned 110.00 EUR on the 200 "
        "predictions whose outcome is known; they earned 550.00 EUR. "
        "The best model, m v3, is 5.00 EUR behind on the 100 it was asked about."
    )


def test_rows_have_roles_and_the_fallback_is_last() -> None:
    found = roi(tally(None, 9, 9), tally(1, 5, 10), tally(2, 50, 100), tally(3, 15, 20, shadow=True))
    assert [(row.name, row.role) for row in found.answered] == [
        ("m v2", "champion"), ("m v1", GONE), ("fallback", FALLBACK),
    ]  # fmt: skip
    assert [(row.name, row.role) for row in found.watched] == [("m v3", "shadow")]


def test_the_verdict_stands_beside_the_money() -> None:
    money = np.full(100, -4.12)
    case = judge(Case(Question(LOSES, "m", 2, "fallback", 0.01, 10.0)), Rows(np.arange(100).astype(str), money, money))
    row = roi(tally(2, 50, 100), cases=((Brief(case.question, ARMS[0], 1), case),)).answered[0]
    assert row.verdict == "loses money against fallback"
    assert "4.12 EUR less per prediction than the fallback" in row.explanation
    assert (row.threshold, row.tested) == (100, case.bets.n)


def test_before_the_first_outcome_nothing_is_claimed() -> None:
    assert roi().conclusion.startswith("Nothing is known yet")
    assert roi(tally(2, 0, 0, rows=0)).conclusion.startswith("Nothing is known yet")


def test_without_a_known_fallback_nobody_is_compared() -> None:
    found = roi(tally(2, 50, None))
    assert found.fallback_alone is None
    assert found.conclusion == "100 predictions with a known outcome earned 50.00 EUR after compute."
    assert plain(found)["versions"][0]["vs_fallback"] is None


def test_as_json_amounts_are_units() -> None:
    found = plain(roi(tally(2, 150.25, 100)))
    row = found["versions"][0]
    assert (row["value"], row["net"], row["vs_fallback"], row["in_flight"]) == (150.25, 150.25, 50.25, 1)
    assert row["low"] == pytest.approx(150.25)
    assert found["judged_through"] == {"prediction_id": "p", "outcome_id": "o"}
    assert any("60 else 0" in text for text in found["assumptions"])
