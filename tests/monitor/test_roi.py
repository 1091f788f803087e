"""The statement in words: who is ahead of the fallback, and who is not."""

import numpy as np
import pytest

from payoff.experiment import LOSES, Case, Question, Rows, judge
from payoff.ledger import Tally, statement
from payoff.ledger.bill import Cost
from payoff.money import MICROS, Money
from payoff.monitor.compare import Baseline, Effect, Mean
from payoff.monitor.figures import plain
from payoff.monitor.lives import Brief
from payoff.monitor.roi import FALLBACK, GONE, Found, Roi, compose
from payoff.records import Arm, Policy, Revision, Role, Served, Signature
from payoff.records.endpoint import Matures, NoOutcome
from payoff.stats import Interval

SERVED = Served("onnx", "0" * 64, Signature((), ()))
ARMS = (Arm("champion", Role.CHAMPION, "m", 2, SERVED), Arm("next", Role.SHADOW, "m", 3, SERVED))
POLICY = Policy(value="case when decision then 60 else 0 end", fallback={"decision": True})
REVISION = Revision("e", 7, 0, "me", "", ARMS, POLICY)


def tally(version: int | None, earned: float, fallback: float | None, rows: int = 100, shadow: bool = False) -> Tally:
    return Tally(
        model=None if version is None else "m",
        version=version,
        shadow=shadow,
        answered=rows + 1,
        settled=rows,
        matured=rows,
        value_micros=round(earned * MICROS),
        fallback_micros=None if fallback is None else round(fallback * MICROS),
        compared=rows,
        gain_micros=None if fallback is None else round((earned - fallback) * MICROS),
        value_mean=Interval(0.0, 3.0) if rows else None,
        gain_mean=Interval(-1.0, 2.0) if rows else None,
    )


def roi(*tallies: Tally, more: Found | None = None, cost: Cost | None = None, policy: Policy = POLICY) -> Roi:
    revision = Revision("e", 7, 0, "me", "", ARMS, policy)
    found = statement(tallies, [cost or Cost()] * len(tallies), "EUR")
    return compose(revision, found, more or Found(judged=("p", "o")), 5)


def against(kind: Baseline, per_decision: float, interval: Interval | None, baseline: str = "the 5% hold-out") -> Found:
    effect = Effect(kind, baseline, 100, 5, Mean(100, per_decision, interval), others_cost=0.25)
    return Found(effects={("m v2", False): effect})


def test_the_best_version_is_named_with_its_lead_over_all_it_was_asked() -> None:
    found = roi(tally(2, 150, 100), tally(3, 30, 20, shadow=True), tally(None, 9, 9))
    assert found.conclusion == "m v2 earned 50.00 EUR more than the fallback would have on the same 100 predictions."
    assert found.fallback_alone == Money(109 * MICROS)
    assert found.total.value == Money(159 * MICROS)


def test_what_was_only_watched_is_not_called_earned() -> None:
    found = roi(tally(2, 150, 100), tally(2, 90, 20, shadow=True))
    assert found.conclusion == (
        "m v2 is 120.00 EUR ahead of the fallback on the 200 predictions it was asked about; 100 of them it only "
        "watched: that part would have been, and is no money."
    )


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
    case = judge(
        Case(Question(LOSES, "m", 2, "fallback", 10.0), error=0.01), Rows(np.arange(100).astype(str), money, money)
    )
    row = roi(tally(2, 50, 100), more=Found(((Brief(case.question, ARMS[0], 1), case),))).answered[0]
    assert row.verdict == "loses money against fallback"
    assert "4.12 EUR less per prediction than the fallback" in row.explanation
    assert (row.threshold, row.tested) == (100, case.tested)


def test_before_the_first_outcome_nothing_is_claimed() -> None:
    assert roi().conclusion.startswith("Nothing is known yet")
    assert roi(tally(2, 0, 0, rows=0)).conclusion.startswith("Nothing is known yet")


def test_without_a_known_fallback_nobody_is_compared() -> None:
    found = roi(tally(2, 50, None))
    assert found.fallback_alone is None
    assert found.conclusion == "100 predictions with a known outcome earned 50.00 EUR after all costs."
    assert plain(found)["versions"][0]["vs_fallback"] is None


def test_as_json_amounts_are_units() -> None:
    found = plain(roi(tally(2, 150.25, 100)))
    row = found["versions"][0]
    assert (row["value"], row["net"], row["vs_fallback"], row["in_flight"]) == (150.25, 150.25, 50.25, 1)
    assert (row["low"], row["high"]) == (0.0, 300.0)
    assert found["judged_through"] == {"prediction_id": "p", "outcome_id": "o"}
    assert any("60 else 0" in text for text in found["assumptions"])


def test_the_headline_is_the_champions_net_value_with_the_name_of_what_it_is_compared_with() -> None:
    """100 decisions of 1.50 more, minus 40 of cost, plus the 25 that the hold-out's decisions would have cost."""
    more = against(Baseline.HOLDOUT, 1.5, Interval(1.0, 2.0))
    found = plain(roi(tally(2, 150, None), more=more, cost=Cost(cpu=40 * MICROS)))["headline"]
    assert (found["subject"], found["baseline"], found["causal"]) == ("m v2", "the 5% hold-out", True)
    assert (found["net"], found["low"], found["high"]) == (135.0, 85.0, 185.0)
    assert found["roi"] == pytest.approx(135 / 40)


def test_what_is_not_causal_is_said_to_be_so() -> None:
    found = roi(tally(2, 150, None), more=against(Baseline.BEFORE, -0.5, None, "what answered before it"))
    assert "m v2 is worth 25.00 EUR less than what answered before it. That is not causal" in found.conclusion
    assert plain(found)["headline"]["causal"] is False


def test_without_anything_to_compare_with_there_is_no_headline() -> None:
    assert plain(roi(tally(2, 150, None)))["headline"] is None


def test_the_waterfall_goes_from_gross_to_net() -> None:
    cost = Cost(cpu=1_000_000, memory=500_000, fees=2_000_000, idle=3_000_000, overhead=4_000_000, fixed=5_000_000)
    steps = plain(roi(tally(2, 150, 100), tally(3, 999, 0, shadow=True), cost=cost))["waterfall"]
    assert [(step["what"], step["amount"]) for step in steps] == [
        ("Gross value", 150.0), ("Compute", -1.5), ("Fees", -2.0), ("Idle", -3.0), ("Overhead", -4.0), ("Fixed", -5.0),
        ("Net", 134.5),
    ]  # fmt: skip
    assert steps[-1]["amount"] == pytest.approx(sum(step["amount"] for step in steps[:-1]))


def test_rates_per_thousand_per_day_and_per_unit_of_cost() -> None:
    more = Found(a_day={("m", 2, False): 2_000_000})
    row = plain(roi(tally(2, 150, 100, rows=99), cost=Cost(cpu=8_000_000), more=more))["versions"][0]
    assert (row["cost_per_thousand"], row["break_even_per_day"], row["roi"]) == (80.0, 2.0, 142 / 8)
    assert plain(roi(tally(2, 150, 100)))["total"]["roi"] is None


def test_money_in_flight_is_an_estimate_and_in_no_sum() -> None:
    found = roi(tally(2, 150, 100), more=Found(value_mean=Interval(1.0, 2.0)))
    flight = plain(found)["in_flight"]
    assert (flight["decisions"], flight["expected"], flight["low"], flight["high"]) == (1, 1.5, 1.0, 2.0)
    assert found.total.value == Money(150 * MICROS)


def test_how_predictions_settle_is_said_in_words() -> None:
    window = Policy(value="1", matures=Matures.WINDOW, no_outcome=NoOutcome.COUNTS, outcome_window_s=30 * 86_400)
    assert any("when its window of 30d has passed" in text for text in roi(policy=window).assumptions)
    assert any("wait for a missing outcome 1d at most" in text for text in roi().assumptions)
