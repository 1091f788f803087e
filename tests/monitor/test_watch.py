"""The watch on a real house: it judges in order, acts once, and comes to the same verdict again."""

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from payoff.errors import Unavailable
from payoff.journal.query import Journal
from payoff.ledger import Prices
from payoff.monitor.docket import Docket
from payoff.monitor.evidence import advance, history
from payoff.monitor.worth import worth
from payoff.records import Role
from payoff.stats import Bets, fold, losses
from payoff.store.blobs import Blobs
from payoff.version import VERSION
from tests.monitor.home import BEATS, CHALLENGER, LOSES, Home
from tests.shared import PATIENCE_S

ROWS = 200


def money(seed: int, mean: float, rows: int = ROWS) -> list[float]:
    return [float(x) for x in np.random.default_rng(seed).normal(mean, 6, rows)]


def roles(home: Home) -> dict[int, Role]:
    return {arm.version: arm.role for arm in home.registry.current("bank").arms}


def test_a_losing_champion_is_killed_at_the_row_that_proves_it(home: Home) -> None:
    home.apply()
    gains = money(1, -4)
    ids = home.answer([True] * ROWS)
    home.learn(ids, gains)
    home.look()
    (order,) = home.orders()
    first = fold(Bets(), losses(np.array(gains), 10.0), 0.01).first
    assert first is not None
    assert (order.verb, order.author, roles(home)) == ("kill", "guard: loses money", {1: Role.KILLED})
    assert order.evidence["tested"] == first + 1
    assert order.evidence["last_prediction_id"] == ids[first]
    assert order.evidence["first_prediction_id"] == ids[0]
    assert order.evidence["mean"] == pytest.approx(np.minimum(gains[: first + 1], 10).mean())
    assert "than the fallback. If it did not lose, evidence this strong" in order.reason
    assert any("no model on bank is worth its keep" in text for text in home.findings())


def test_what_was_killed_is_not_killed_again_by_nobody(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * ROWS), [-5.0] * ROWS)
    home.look()
    ids = home.answer([False] * ROWS, version=None)
    home.shadow(ids, [True] * ROWS, 1)
    home.learn(ids, [-5.0] * ROWS)
    home.look()
    home.look(home.another_watch())
    assert len(home.orders()) == 1
    assert len(home.findings()) == 1


def test_an_earning_champion_stays(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * ROWS), money(2, 4))
    home.look()
    assert (home.orders(), home.findings()) == ([], [])


@pytest.mark.parametrize("size", [4, 7, 60])
def test_small_looks_and_one_big_look_come_to_the_same_verdict(home: Home, size: int) -> None:
    home.apply()
    gains, watched = money(3, -3, 120), home.another_watch()
    for start in range(0, 120, size):
        home.learn(home.answer([True] * len(gains[start : start + size])), gains[start : start + size])
        home.look(watched)
        if home.orders():
            break
    first = fold(Bets(), losses(np.array(gains), 10.0), 0.01).first
    assert first is not None
    assert home.orders()[0].evidence["tested"] == first + 1


def test_a_new_watch_comes_to_the_same_cases(home: Home) -> None:
    home.apply(more=CHALLENGER, guards=f"{LOSES}\n{BEATS}")
    for seed in range(4):
        ids = home.answer([True] * 20 + [False] * 10)
        home.shadow(ids, [False] * 10 + [True] * 20, 2)
        home.learn(ids, money(seed, 0, 30))
        home.look()
    again = home.another_watch()
    home.look(again)
    assert home.orders() == []
    assert [case.bets.n for _, case in again.judged("bank").cases] == [120, 120, 120]
    for (_, one), (_, other) in zip(home.watch.judged("bank").cases, again.judged("bank").cases, strict=True):
        assert one.bets.logs == pytest.approx(other.bets.logs)
        assert (one.last_id, one.raw.n) == (other.last_id, other.raw.n)


def test_a_revived_version_is_judged_from_its_revival_on(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * ROWS), [-5.0] * ROWS)
    home.look()
    home.give("revive")
    home.look()
    assert [case.bets.n for _, case in home.watch.judged("bank").cases] == [0]
    home.learn(home.answer([True] * 100), [1.0] * 100)
    home.look()
    assert len(home.orders()) == 1
    home.learn(home.answer([True] * ROWS), [-5.0] * ROWS)
    home.look()
    assert [order.verb for order in home.orders()] == ["kill", "kill"]
    assert home.orders()[1].evidence["guard"]["since_revision"] == 3


def test_a_challenger_that_beats_the_champion_is_promoted(home: Home) -> None:
    home.apply(more=CHALLENGER, guards=f"{LOSES}\n{BEATS}")
    ids = home.answer([False] * ROWS)
    home.shadow(ids, [True] * ROWS, 2)
    home.learn(ids, [3.0] * ROWS)
    home.look()
    (order,) = home.orders()
    assert (order.verb, order.author, order.evidence["question"]) == (
        "promote", "guard: challenger beats champion", "beats m v1",
    )  # fmt: skip
    assert roles(home)[2] is Role.CHAMPION


def test_a_challenger_may_beat_a_champion_that_was_killed(home: Home) -> None:
    home.apply(more=CHALLENGER, guards=f"{LOSES}\n{BEATS}")
    ids = home.answer([True] * ROWS)
    home.shadow(ids, [False] * ROWS, 2)
    home.learn(ids, [-5.0] * ROWS)
    home.look()
    assert [order.verb for order in home.orders()] == ["kill", "promote"]
    assert roles(home) == {2: Role.CHAMPION}


def test_a_challenger_that_loses_money_is_killed_and_not_promoted(home: Home) -> None:
    """It loses less than the champion; both lose against doing nothing."""
    home.apply(more=CHALLENGER, guards=f"{LOSES}\n{BEATS}")
    ids = home.answer([True] * 2 * ROWS)
    home.shadow(ids, [True, False] * ROWS, 2)
    home.learn(ids, [-5.0] * 2 * ROWS)
    home.look()
    assert [(order.verb, order.evidence["version"]) for order in home.orders()] == [("kill", 1), ("kill", 2)]
    assert roles(home) == {1: Role.KILLED, 2: Role.KILLED}


def test_a_promotion_refused_is_said_once(home: Home) -> None:
    """Nobody may kill here, but the verdict that the challenger loses is there."""
    home.apply(more=CHALLENGER, guards=BEATS, fallback="true")
    ids = home.answer([False] * 600)
    home.shadow(ids, [False, True] * 300, 2)
    home.learn(ids, [5.0] * 600)
    home.look()
    home.look()
    home.look(home.another_watch())
    assert home.orders() == []
    assert [text.split(":")[0] for text in home.findings()] == ["m v2 beats m v1, but is not promoted"]


def test_outcomes_that_overtake_each_other_are_judged_in_the_order_of_the_decisions(home: Home) -> None:
    home.apply()
    early, late = home.answer([True] * 10), home.answer([True] * 100)
    home.learn(late, [-5.0] * 100)
    home.look()
    assert home.orders() == []
    home.learn(early, [5.0] * 10)
    home.look()
    (order,) = home.orders()
    assert order.evidence["first_prediction_id"] == early[0]
    assert order.evidence["last_prediction_id"] in late


def test_a_missing_outcome_holds_back_the_others_no_longer_than_its_window(home: Home) -> None:
    home.apply()
    ids = home.answer([True] * 101)
    home.learn(ids[1:], [-5.0] * 100)
    home.look()
    assert home.orders() == []
    home.now_us += 86_400_000_000
    home.look()
    assert home.orders()[0].evidence["unknown"] == 1


def test_the_last_word_on_an_outcome_counts(home: Home) -> None:
    home.apply()
    ids = home.answer([True] * ROWS)
    home.learn(ids, [-5.0] * ROWS)
    home.learn(ids, [2.0] * ROWS)
    home.look()
    assert home.orders() == []
    assert home.watch.judged("bank").cases[0][1].raw.mean == 2.0


def test_how_far_it_has_come_is_known_outcome_by_outcome(home: Home) -> None:
    home.apply()
    assert home.watch.judged("bank").outcome_id is None
    ids = home.answer([True] * 30)
    last = home.learn(ids, [1.0] * 30)
    home.look()
    assert home.watch.judged("bank").outcome_id == last
    assert home.watch.judged("bank").prediction_id == ids[-1]
    last = home.learn(ids[:5], [2.0] * 5)
    home.look()
    assert home.watch.judged("bank").outcome_id == last


def test_what_is_too_fresh_is_looked_at_soon(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * 30), [1.0] * 30)
    home.now_us -= 999_000
    assert home.watch.look() < 1.0
    assert home.watch.judged("bank").outcome_id is None
    home.now_us += 999_000
    home.look()
    assert home.watch.judged("bank").outcome_id is not None


def test_one_endpoint_that_cannot_be_judged_stops_no_other(home: Home) -> None:
    home.apply()
    home.apply("shop")
    home.learn(home.answer([True] * ROWS), [-5.0] * ROWS)
    home.learn(home.answer([True] * ROWS, name="shop"), [-5.0] * ROWS, name="shop")
    broken = home.path / "prices.yaml"
    broken.write_text("cpu_core_hour: cheap")
    home.look()
    home.look()
    assert home.orders() == home.orders("shop") == []
    for name in ("bank", "shop"):
        (text,) = home.findings(name)
        assert "could not judge: cpu_core_hour in prices.yaml of the home is 'cheap'" in text
    broken.unlink()
    home.now_us += 60_000_000
    home.look()
    assert [order.verb for order in home.orders() + home.orders("shop")] == ["kill", "kill"]


def test_failures_are_tried_again_ever_more_slowly(home: Home) -> None:
    home.apply()
    ids = home.answer([True] * ROWS)
    home.learn(ids, [-5.0] * ROWS)
    broken = home.path / "prices.yaml"
    broken.write_text("cpu_core_hour: cheap")
    tried = 0
    for _ in range(120):
        before = home.watch._posts["bank"].failures if "bank" in home.watch._posts else 0
        home.look()
        tried += home.watch._posts["bank"].failures > before
        home.now_us += 1_000_000
    assert 6 <= tried <= 10


def test_an_order_that_cannot_be_given_is_given_when_it_can(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.apply()
    home.learn(home.answer([True] * ROWS), [-5.0] * ROWS)

    def refuse(*_: object, **__: object) -> None:
        raise Unavailable("the disk is full; make room")

    with monkeypatch.context() as patched:
        patched.setattr(home.desk, "give", refuse)
        home.look()
    assert "the disk is full; make room; they try again" in home.findings()[0]
    home.now_us += 60_000_000
    home.look()
    assert [order.verb for order in home.orders()] == ["kill"]


def test_a_value_without_outcomes_is_judged_at_once(home: Home) -> None:
    home.apply()
    file = "endpoint: bank\narms: {champion: {model: m, version: 1}}\ndecision: outputs.probability > 0.5\n"
    file += f"value: case when decision then 0 - 5 else 0 end\nfallback: {{decision: false}}\nguards:\n{LOSES}\n"
    home.desk.give("bank", "apply", author="me", file=file)
    home.answer([True] * ROWS)
    home.now_us += 1_000_000
    home.look()
    assert home.orders()[0].evidence["tested"] == 34


def test_an_endpoint_that_values_nothing_is_through_at_once(home: Home) -> None:
    home.apply(guards="  []")
    file = "endpoint: bank\narms: {champion: {model: m, version: 1}}\ndecision: outputs.probability > 0.5\n"
    home.desk.give("bank", "apply", author="me", file=file)
    last = home.learn(home.answer([True] * 3), [1.0] * 3)
    home.look()
    assert home.watch.judged("bank").outcome_id == last


def test_rows_of_several_batches_are_judged_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payoff.monitor.evidence.BATCH_MAX", 16)
    home.apply(more=CHALLENGER, guards=f"{LOSES}\n{BEATS}")
    ids = home.answer([True] * 90)
    home.shadow(ids, [False] * 90, 2)
    home.learn(ids, money(9, 0, 90))
    home.look()
    assert [case.bets.n for _, case in home.watch.judged("bank").cases] == [90, 90, 90]


def test_evidence_of_a_changed_value_starts_with_the_change(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * 20), [-5.0] * 20)
    home.look()
    home.apply(fallback="true")
    home.learn(home.answer([True] * 20), [-5.0] * 20)
    home.look()
    (brief, case), *_ = home.watch.judged("bank").cases
    assert (brief.since, case.bets.n) == (2, 20)


def test_the_thread_acts_on_a_nudge_and_ends_when_told(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * ROWS), [-5.0] * ROWS)
    watch = home.another_watch(look_s=30.0)
    given = threading.Event()
    give = home.desk.give

    def tell(*args: object, **more: object) -> object:
        done = give(*args, **more)  # type: ignore[arg-type]
        given.set()
        return done

    home.desk.give = tell  # type: ignore[method-assign, assignment]
    watch.start()
    watch.nudge()
    assert given.wait(PATIENCE_S)
    watch.stop(PATIENCE_S)
    assert not [thread for thread in threading.enumerate() if thread.name == "watch"]


def test_a_docket_rebuilt_from_compacted_tables_is_the_same(home: Home, tmp_path: Path) -> None:
    from payoff.journal.compact import compact

    home.apply()
    for seed in range(3):
        home.learn(home.answer([True] * 40), money(seed, 1, 40))
    fresh, later = Docket(), Docket()
    past = history(home.registry, "bank")
    advance(fresh, home.journal, past, worth(past[-1]), Prices(), home.now_us)
    home.writer.close()
    compact(tmp_path)
    journal = Journal(tmp_path)
    advance(later, journal, past, worth(past[-1]), Prices(), home.now_us)
    journal.close()
    assert fresh.cases == later.cases
    assert fresh.through == later.through is not None


@pytest.mark.parametrize("gain", [1e300, -1e300, 1e15, -1e15])
def test_an_absurd_outcome_is_left_out_and_said_once(home: Home, gain: float) -> None:
    home.apply()
    gains = money(1, -4)
    (first,) = home.answer([True])
    home.learn([first], [gain])
    home.learn(home.answer([True] * ROWS), gains)
    home.look()
    home.look(home.another_watch())
    (order,) = home.orders()
    assert order.verb == "kill"
    assert order.evidence["unknown"] == 1
    (text,) = [text for text in home.findings() if "left out" in text]
    assert text.startswith("1 outcome on bank gives a value beyond 9,007,199,254 EUR and is left out")
    (row,) = home.roi().answered
    assert (row.line.answered, row.line.matured) == (ROWS + 1, ROWS)
    assert row.line.value.micros == sum(round(one * 1e6) for one in gains)


def test_a_guard_that_cannot_compare_because_only_money_was_sent_says_so_once(home: Home) -> None:
    home.apply()
    home.pay(home.answer([True] * 19), [-5.0] * 19)
    home.look()
    assert home.findings() == []  # a few such rows are nothing unusual
    for _ in range(2):
        home.pay(home.answer([True] * 20), [-5.0] * 20)
        home.look()
    home.look(home.another_watch())
    [said] = home.findings()
    assert "cannot judge m v1 against the fallback: the value of 39 predictions is known, and of 0 what" in said
    assert home.orders() == []


def test_money_beside_the_truth_can_be_compared_and_nothing_is_said(home: Home) -> None:
    home.apply()
    home.learn(home.answer([True] * 30), [1.0] * 30)
    home.pay(home.answer([True] * 20), [5.0] * 20)
    home.look()
    assert home.findings() == []


def test_a_kill_freezes_what_it_rests_on_and_can_be_computed_again_from_that_alone(home: Home, tmp_path: Path) -> None:
    home.apply()
    ids = home.answer([True] * ROWS)
    home.learn(ids[:3] + ids[4:], money(1, -4)[:-1])
    home.now_us += 86_400_000_000
    home.look()
    (order,) = home.orders()
    (filed,) = home.registry.verdicts("bank")
    assert (order.evidence["verdict"], order.evidence["rows"]) == (filed.id, filed.evidence_digest)
    assert (filed.verdict.e_value, filed.verdict.tested) == (order.evidence["e_value"], order.evidence["tested"])
    assert filed.verdict.test == order.evidence["test"] == "since launch"
    assert order.evidence["software"] == filed.software == VERSION
    assert [one["verb"] for one in order.evidence["changed"]["orders"]] == []
    (tmp_path / "settings.json").write_text(json.dumps(filed.settings))
    program = (
        "import json, sys; from pathlib import Path; from payoff.experiment import again, unpack\n"
        "case = again(json.loads(Path(sys.argv[1]).read_text()), unpack(Path(sys.argv[2]).read_bytes()))\n"
        "print(json.dumps([case.e_value, case.tested, case.unknown, case.test]))"
    )
    blob = Blobs(tmp_path / "artifacts").path(filed.evidence_digest)
    run = [sys.executable, "-c", program, str(tmp_path / "settings.json"), str(blob)]
    e_value, tested, unknown, test = json.loads(subprocess.run(run, capture_output=True, check=True, text=True).stdout)
    assert (e_value, tested, unknown, test) == (
        pytest.approx(filed.verdict.e_value, rel=1e-12), filed.verdict.tested, 1, "since launch",
    )  # fmt: skip


def test_what_changed_in_the_day_before_stands_beside_a_kill(home: Home) -> None:
    home.apply()
    home.now_us += 2 * 86_400_000_000
    home.apply(guards=LOSES.replace("10}", "11}"))
    home.learn(home.answer([True] * ROWS), [-5.0] * ROWS)
    home.look()
    changed = home.orders()[0].evidence["changed"]
    assert [(one["verb"], one["before"], one["after"]) for one in changed["orders"]] == [("apply", 1, 2)]


def test_nobody_is_killed_for_losses_that_have_been_corrected_since(home: Home) -> None:
    """Judged on 25 losses; when the rows come that would tip the scales, these have turned out to be gains."""
    home.apply()
    ids = home.answer([True] * 200)
    home.learn(ids[:25], [-5.0] * 25)
    home.look()
    home.learn(ids[:25], [5.0] * 25)
    home.learn(ids[25:], [-5.0] * 175)
    home.look()
    (order,) = home.orders()
    first = fold(Bets(), losses(np.array([5.0] * 25 + [-5.0] * 175), 10.0), 0.01).first
    assert first is not None
    assert order.evidence["tested"] == first + 1


def test_a_version_that_turns_bad_after_a_good_time_is_stopped_by_the_detector(home: Home) -> None:
    home.apply(guards=LOSES.replace("gain_cap: 10", "gain_cap: 10, false_stop_every: 1000"))
    good, bad = money(4, 4, 1_500), money(5, -4, 300)
    home.learn(home.answer([True] * 1_800), good + bad)
    home.look()
    (order,) = home.orders()
    assert (order.verb, order.evidence["test"], order.evidence["threshold"]) == ("kill", "after a change", 1_000)
    assert 1_500 < order.evidence["tested"] < 1_620
    assert "since it was at its best" in order.reason
    assert "stopped like this by chance every 1,000 predictions on average" in order.reason


def test_a_guard_may_warn_or_halve_instead(home: Home) -> None:
    harm = LOSES.replace("do: kill", "do: halve")
    home.apply(more=CHALLENGER.replace("0%", "40%"), guards=harm)
    ids = home.answer([True] * ROWS)
    home.shadow(ids, [True] * ROWS, 2)
    home.learn(ids, [-5.0] * ROWS)
    home.look()
    home.look(home.another_watch())
    assert [(order.verb, order.evidence["version"]) for order in home.orders()] == [("ramp", 2)]
    assert {arm.version: arm.traffic for arm in home.registry.current("bank").arms} == {1: 0, 2: 0.2}
    told = [text for text in home.findings() if "m v1 earned 5.00 EUR less" in text]
    assert len(told) == 1
    assert len(home.registry.verdicts("bank")) == 2


def test_a_challenger_that_makes_no_difference_is_retired(home: Home) -> None:
    home.apply(more=CHALLENGER, guards="  - {when: makes no difference, within: 0.5, error: 5%}")
    ids = home.answer([True] * 3_000)
    home.shadow(ids, ([True] * 50 + [False]) * 58 + [True] * 42, 2)
    home.learn(ids, money(6, 0, 3_000))
    home.look()
    (order,) = home.orders()
    assert (order.verb, order.author) == ("retire", "guard: makes no difference")
    assert "The true difference lies within 0.5 EUR either way" in order.reason
    assert roles(home) == {1: Role.CHAMPION}


def test_a_promotion_waits_for_its_guardrails_and_says_so(home: Home) -> None:
    guard = BEATS.replace("guardrails: {}", "guardrails: {errors: 1%}")
    home.apply(more=CHALLENGER.replace("0%", "50%"), guards=guard)
    for _ in range(2):
        ids = home.answer([False] * ROWS)
        home.shadow(ids, [True] * ROWS, 2)
        home.answer([True] * ROWS, version=2)
        home.learn(ids, [3.0] * ROWS)
        home.now_us += 86_400_000_000
        home.look()
    assert home.orders() == []
    (text,) = [text for text in home.findings() if "not promoted" in text]
    assert text.endswith("it is not known yet that it fails more often by at most 1% of its calls")
    ids = home.answer([True] * 800, version=2) + home.answer([False] * 800)
    home.learn(ids, [3.0] * 1_600)
    home.look()
    assert [order.verb for order in home.orders()] == ["promote"]


def test_a_history_of_any_length_is_read_whole_and_only_its_news_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payoff.monitor.evidence.PAGE", 50)
    first = home.apply()
    for number in range(2, 124):
        revision = replace(first, number=number, created_at_us=first.created_at_us + number, reason=f"{number}")
        home.registry.record(revision, "apply")
    past = history(home.registry, "bank")
    assert [revision.number for revision in past] == list(range(1, 124))
    assert history(home.registry, "bank", past[:120]) == past
    assert history(home.registry, "bank", past) == past
    assert len({id(arm.served) for revision in past for arm in revision.arms}) == 1  # thousands need not take more
