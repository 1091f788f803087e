"""The books of a home: metered hours and the journal's rows, together, at the house's prices."""

from dataclasses import replace
from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.ledger.bill import HOUR_US, Payer
from payoff.ledger.prices import GB, HOUR_NS, HOUR_S
from payoff.monitor.books import Costs, costs
from payoff.records.usage import Mark, Metered
from tests.monitor.home import START_US, Home

FIRST_US = START_US // HOUR_US * HOUR_US
WHO = Payer("bank", "m", 1)


def meter(home: Home, hour: int = 0, **machine: int) -> None:
    whole = {"up_us": HOUR_US, "core_ns": 2 * HOUR_NS, "memory_byte_s": 4 * GB * HOUR_S} | machine
    at_us = FIRST_US + hour * HOUR_US
    found = [Metered(at_us, "one", "", "", 0, False, what, amount) for what, amount in whole.items()]
    held = Metered(at_us, "one", "bank", "m", 1, False, "memory_byte_s", GB * HOUR_S)
    home.registry.add_usage(Mark("one", "boot:1", at_us, 0, 0), [*found, held])


def look(home: Home, hours: int = 1, text: str = "") -> Costs:
    if text:
        (home.path / "prices.yaml").write_text(text)
    return costs(home.path, home.registry, home.journal, FIRST_US, FIRST_US + hours * HOUR_US, FIRST_US + 99 * HOUR_US)


def test_an_hour_has_what_was_metered_and_what_the_journal_knows(home: Home) -> None:
    home.apply()
    home.answer([True] * 4, cpu_ns=HOUR_NS // 8)
    meter(home, own_cpu_ns=HOUR_NS, own_memory_byte_s=2 * GB * HOUR_S)
    found = look(home, text="{cpu_core_hour: 1, memory_gb_hour: 0.1, source: test}")
    ((who, (use, cost)),) = found.books.by_payer().items()
    assert (who, use.predictions, use.cpu_ns, use.memory_byte_s) == (WHO, 4, HOUR_NS // 2, GB * HOUR_S)
    assert (cost.cpu, cost.memory) == (500_000, 100_000)
    assert (cost.overhead, cost.idle) == (500_000 + 100_000, 1_000_000 + 200_000)
    assert cost.total == found.books.bill.total == 2_400_000
    assert found.currency == "EUR"


def test_shadows_and_the_fallback_have_lines_of_their_own(home: Home) -> None:
    home.apply(more="  shadow: {model: m, version: 2}")
    made = home.answer([True], cpu_ns=100)
    home.shadow(made, [False], 2)
    home.answer([False], version=None)
    assert set(look(home).books.by_payer()) == {
        WHO, Payer("bank", "m", 2, shadow=True), Payer("bank", None, None),
    }  # fmt: skip


def test_fees_are_read_from_the_rows_and_of_models_that_are_not_there_it_is_said(home: Home) -> None:
    home.apply()
    home.answer([True, False, True])
    found = look(home, text="fees: {m: 0.5 + outputs.probability, ghost: 1}")
    assert found.books.by_payer()[WHO][1].fees == 500_000 * 3 + 2 * 1_000_000
    assert any("'ghost'" in note for note in found.notes)
    with pytest.raises(BadInput, match=r"the fee of m in prices\.yaml"):
        look(home, text="fees: {m: outputs.probabilty}")


def test_fixed_costs_go_on_while_payoff_is_down_and_that_is_said(home: Home) -> None:
    home.apply()
    meter(home)
    meter(home, hour=3)
    found = look(home, hours=4, text="fixed: [{what: rent, per_month: 744}]")  # January has 744 hours
    assert found.books.bill.fixed == 4_000_000
    assert found.books.cost().total == found.books.bill.total
    assert any("up and metered for 2 h 0 min of 4 h 0 min" in note for note in found.notes)


def test_time_in_which_nobody_looked_is_told(home: Home) -> None:
    home.apply()
    meter(home, blind_us=HOUR_US // 4)
    assert any("for 15 min the control plane was down" in note for note in look(home).notes)


def test_the_books_begin_when_payoff_did_and_end_with_the_hour_under_way(home: Home) -> None:
    home.apply()
    home.answer([True])
    now_us = FIRST_US + HOUR_US // 2
    found = costs(home.path, home.registry, home.journal, 0, FIRST_US + 99 * HOUR_US, now_us)
    assert (found.since_us, found.until_us) == (FIRST_US, FIRST_US + HOUR_US)


def test_an_empty_home_has_empty_books(home: Home) -> None:
    found = look(home)
    assert (found.books.entries, found.books.bill.total) == ((), 0)


def test_more_than_a_year_at_once_is_refused(home: Home) -> None:
    meter(home)
    with pytest.raises(BadInput, match="400 days"):
        costs(home.path, home.registry, home.journal, 0, 2**52, FIRST_US + 500 * 24 * HOUR_US)


def test_several_currencies_without_a_stated_one_are_units(home: Home, tmp_path: Path) -> None:
    home.apply()
    revision = home.apply("card")
    other = replace(
        revision, number=revision.number + 1, policy=replace(revision.policy, currency="USD"), reason="a test"
    )
    home.registry.record(other, "apply")
    assert look(home).currency == "units"
    assert look(home, text="{currency: CHF, cpu_core_hour: 1}").currency == "CHF"
