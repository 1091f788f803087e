"""Limits, ramps and allocations through the watch: real journal, real orders, a clock of the test's own."""

import numpy as np
import pytest

from payoff.deploy import render
from payoff.deploy.guards import LIMITS
from payoff.monitor.limits import words
from payoff.records import Guard, Role
from tests.monitor.home import LOSES, Home

CLIMBS = "  challenger: {model: m, version: 2, traffic: 5%}"
RAMP = "\nramp: {steps: [5%, 20%, 50%, 100%], loss_budget: 100, step_decisions: 20}"


def share(home: Home) -> float:
    return next(arm.traffic for arm in home.registry.current("bank").arms if arm.version == 2)


def verbs(home: Home) -> list[str]:
    return [f"{order.verb} by {order.author}" for order in home.orders()]


def both(home: Home, theirs: float, ours: float, rows: int = 20) -> None:
    """The challenger decides yes, the champion no, and the other way round; each row says what a yes was worth."""
    asked = home.answer([True] * rows, version=2)
    home.shadow(asked, [False] * rows, version=1)
    home.learn(asked, [ours] * rows)
    own = home.answer([True] * rows, version=1)
    home.shadow(own, [False] * rows, version=2)
    home.learn(own, [theirs] * rows)


def test_a_challenger_nothing_speaks_against_climbs_step_by_step_and_takes_over(home: Home) -> None:
    home.apply(more=CLIMBS, guards=LOSES + RAMP)
    seen = []
    for _ in range(3):
        both(home, 1.0, 1.0)
        home.look()
        if home.registry.current("bank").arm(Role.CHALLENGER):
            seen.append(share(home))
    assert seen == [0.2, 0.5]
    assert home.registry.current("bank").arms[0].version == 2
    assert verbs(home) == ["ramp by guard: ramp", "ramp by guard: ramp", "promote by guard: ramp"]
    assert home.orders()[0].reason == "20 decisions at 5% and nothing speaks against m v2."


def test_a_challenger_waits_at_its_step_until_it_has_decided_often_enough(home: Home) -> None:
    home.apply(more=CLIMBS, guards=LOSES + RAMP)
    both(home, 1.0, 1.0, rows=19)
    home.look()
    assert share(home) == 0.05
    both(home, 1.0, 1.0, rows=1)
    home.look()
    assert share(home) == 0.2
    both(home, 1.0, 1.0, rows=19)  # counted anew at every step
    home.look()
    assert share(home) == 0.2


def test_a_challenger_that_costs_the_budget_is_stopped_also_while_outcomes_are_awaited(home: Home) -> None:
    home.apply(more=CLIMBS, guards=LOSES + RAMP)
    both(home, 0.0, -2.0, rows=8)  # 8 decisions that cost 2 each; half the rows are the champion's: 1 on average
    home.look()
    assert share(home) == 0.05
    home.answer([True] * 120, version=2)  # in flight
    home.now_us += 1_000_000
    home.look()
    assert verbs(home) == ["kill by guard: ramp"]
    assert "the budget is 100.00" in home.orders()[0].reason


def test_nothing_climbs_while_a_limit_is_overstepped(home: Home) -> None:
    guards = LOSES + "\n  - {when: decisions, above: 30, over: 1h, do: warn}" + RAMP
    home.apply(more=CLIMBS, guards=guards)
    both(home, 1.0, 1.0, rows=31)
    home.look()
    assert share(home) == 0.05
    assert any("decided 31 times" in text for text in home.findings())


def test_a_loss_in_an_hour_stops_a_version_without_any_statistics(home: Home) -> None:
    home.apply(guards="  - {when: loss, above: 50, over: 1h}")
    home.learn(home.answer([True] * 2), [-20.0, -31.0])
    home.look()
    assert verbs(home) == ["kill by guard: loss"]
    assert home.orders()[0].reason == "m v1 lost 51.00 within 1h; the limit is 50.00."


def test_a_drawdown_counts_from_the_best_and_starts_anew_after_a_revival(home: Home) -> None:
    home.apply(guards="  - {when: drawdown, above: 50}")
    home.learn(home.answer([True] * 3), [100.0, -30.0, -30.0])
    home.look()
    assert verbs(home) == ["kill by guard: drawdown"]
    home.give("revive")
    home.learn(home.answer([True] * 2), [-20.0, -20.0])
    home.look()
    assert len(home.orders()) == 1
    home.learn(home.answer([True]), [-20.0])
    home.look()
    assert len(home.orders()) == 2


def test_what_was_lost_is_remembered_when_something_else_on_the_endpoint_changes(home: Home) -> None:
    limits = "  - {when: drawdown, above: 50}"
    home.apply(guards=limits)
    home.learn(home.answer([True] * 2), [-15.0, -15.0])
    home.look()
    home.apply(guards=limits, more=CLIMBS)
    home.look()
    home.learn(home.answer([True] * 2), [-15.0, -15.0])
    home.look()
    assert verbs(home) == ["kill by guard: drawdown"]


def test_money_at_risk_is_counted_when_it_is_decided_not_when_outcomes_come(home: Home) -> None:
    home.apply(guards="  - {when: money at risk, of: case when decision then 10 else 0 end, above: 95, over: 1h}")
    home.answer([True] * 9 + [False] * 50)
    home.now_us += 1_000_000
    home.look()
    assert not home.orders()
    home.answer([True])
    home.now_us += 1_000_000
    home.look()
    assert verbs(home) == ["kill by guard: money at risk"]


def test_a_stake_below_zero_does_not_hide_what_other_rows_put_at_risk(home: Home) -> None:
    home.apply(guards="  - {when: money at risk, of: case when decision then 10 else -1000 end, above: 95, over: 1h}")
    home.answer([False] * 50 + [True] * 9)
    home.now_us += 1_000_000
    home.look()
    assert not home.orders()
    home.answer([False] * 50 + [True])
    home.now_us += 1_000_000
    home.look()
    assert [order.reason for order in home.orders()] == ["m v1 put 100.00 at risk within 1h; the limit is 95.00."]


def test_what_was_decided_before_the_time_does_not_count(home: Home) -> None:
    home.apply(guards="  - {when: decisions, above: 30, over: 1h}")
    home.answer([True] * 30)
    home.now_us += 3_600_000_000
    home.answer([True] * 30)
    home.now_us += 1_000_000
    home.look()
    assert not home.orders()
    home.answer([True])
    home.now_us += 1_000_000
    home.look()
    assert verbs(home) == ["kill by guard: decisions"]


def test_a_share_of_yes_beyond_the_limit_is_a_breach(home: Home) -> None:
    home.apply(guards="  - {when: decision share, above: 60%, over: 1h}")
    home.answer([True] * 12 + [False] * 8)
    home.now_us += 1_000_000
    home.look()
    assert not home.orders()
    home.answer([True])
    home.now_us += 1_000_000
    home.look()
    assert verbs(home) == ["kill by guard: decision share"]


def test_a_silent_feed_of_outcomes_halves_a_challenger_once_and_warns_about_the_champion(home: Home) -> None:
    home.apply(more=CLIMBS, guards="  - {when: no outcomes, over: 2h}")
    home.learn(home.answer([True]), [1.0])
    home.look()
    home.now_us += 7_300_000_000
    home.answer([True])
    home.now_us += 1_000_000
    home.look()
    home.look()
    assert share(home) == 0.025
    assert verbs(home) == ["ramp by guard: no outcomes"]
    assert any("No outcome has come for" in text for text in home.findings())


def test_a_new_watch_gives_no_order_a_second_time(home: Home) -> None:
    home.apply(more=CLIMBS, guards="  - {when: no outcomes, over: 2h}")
    home.learn(home.answer([True]), [1.0])
    home.now_us += 7_300_000_000
    home.answer([True])
    home.now_us += 1_000_000
    home.look()
    home.look(home.another_watch())
    assert verbs(home) == ["ramp by guard: no outcomes"]


def test_shares_follow_what_the_arms_earn(home: Home) -> None:
    home.apply(
        more="  challenger: {model: m, version: 2, traffic: 50%}",
        guards=LOSES + "\nallocate: {by: thompson, every: 1h, floor: 10%}",
    )
    rng = np.random.default_rng(4)
    home.learn(home.answer([True] * 200, version=1), rng.normal(1, 1, 200).tolist())
    home.learn(home.answer([True] * 200, version=2), rng.normal(3, 1, 200).tolist())
    home.look()
    assert share(home) == 0.5
    home.now_us += 3_600_000_000
    home.look()
    assert share(home) == pytest.approx(0.9)
    assert verbs(home) == ["allocate by guard: allocate"]


@pytest.mark.parametrize("when", sorted(set(LIMITS) - {"no outcomes", "stale input"}))
def test_a_breach_names_who_overstepped_it(when: str) -> None:
    assert "m v1" in words(Guard(when, "kill", above=1, over_s=60, of="x"), "m v1", 2, 30)


def test_money_that_comes_with_the_outcomes_is_value_enough_for_a_guard(home: Home) -> None:
    home.apply()
    file = render(home.registry.current("bank")).replace(
        "value: case when decision then outcome.gain else 0 end", "value: outcome.value"
    )
    sent = file.replace("against: fallback", "against: nothing").replace("outcome: {gain: float64}", "")
    home.now_us += 1_000_000
    home.desk.give("bank", "apply", author="me", file=sent)
    home.pay(home.answer([True] * 100), [-5.0] * 100)
    home.look()
    assert verbs(home) == ["kill by guard: loses money"]
