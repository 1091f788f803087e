"""Prices: the list's, or the house's own."""

from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.ledger.prices import Fixed, Prices, ShareBy, read

WHOLE = """
cpu_core_hour: 0.045
memory_gb_hour: 0.005
gpu_hour: 1.20
currency: EUR
source: our own machines, 2026
fixed:
  - {what: licence, per_month: 500}
  - {what: scorecard feed, per_month: 60.5, endpoint: term-deposit}
fees: {credit-bureau: 0.04, assistant: inputs.tokens * 0.000002}
share_by: decisions
machines:
  gpu-1: {cpu_core_hour: 0.06, source: rented, cores: 8, memory_gb: 32, gpus: 1}
"""


def test_without_a_file_the_list_price_holds_and_says_where_it_comes_from(tmp_path: Path) -> None:
    prices = read(tmp_path)
    assert prices == Prices()
    assert prices.words("EUR").startswith(
        "compute is 0.031611 EUR per core-hour of measured CPU time (list price of GCP"
    )


@pytest.mark.parametrize(
    ("text", "micros"), [("cpu_core_hour: 0.045", 45_000), ("cpu_core_hour: 1e-2", 10_000), ("cpu_core_hour: 0", 0)]
)
def test_the_file_of_the_home_wins(tmp_path: Path, text: str, micros: int) -> None:
    (tmp_path / "prices.yaml").write_text(f"{text}\nsource: our own machines\n")
    assert read(tmp_path) == Prices(micros, "our own machines")


def test_all_that_a_file_may_say(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(WHOLE)
    prices = read(tmp_path)
    assert (prices.memory_gb_hour_micros, prices.gpu_hour_micros, prices.currency) == (5_000, 1_200_000, "EUR")
    assert prices.fixed == (Fixed("licence", 500_000_000), Fixed("scorecard feed", 60_500_000, "term-deposit"))
    assert prices.fees == {"credit-bureau": "0.04", "assistant": "inputs.tokens * 0.000002"}
    assert prices.share_by is ShareBy.DECISIONS


def test_a_machine_has_its_own_prices_and_the_houses_where_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(WHOLE)
    prices = read(tmp_path)
    own = prices.on("gpu-1")
    assert (own.cpu_core_hour_micros, own.memory_gb_hour_micros, own.source) == (60_000, 5_000, "rented")
    assert (own.cores, own.memory_bytes, own.gpus) == (8, 32 << 30, 1)
    assert prices.on("another") is prices


def test_the_assumptions_name_every_price_fee_and_fixed_cost(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(WHOLE)
    told = "\n".join(read(tmp_path).assumptions("USD"))
    for words in ("0.045", "0.005", "1.2 EUR", "our own machines, 2026", "shared by decisions", "500 EUR a month"):
        assert words in told
    for words in ("scorecard feed for term-deposit", "credit-bureau has a fee of 0.04", "on gpu-1: rented"):
        assert words in told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cpu_core_hour: -1", "0 or more"),
        ("cpu_core_hour: .nan", "price in units"),
        ("cpu_core_hour: true", "price in units"),
        ("cpu_core_hour: 0.0000001", "six decimals"),
        ("cpu_core_hour: cheap", "'cheap'"),
        ("cpu_core_hour: [1]", "price in units"),
        ("memory_gb_hour: x", "memory_gb_hour in prices.yaml of the home is 'x'"),
        ("cpu_hour: 1", "may have: cpu_core_hour"),
        ("cpu_core_hour: 1\ngpu: 2", "'gpu'"),
        ("cpu_core_hour: 1\nsource: {a: 1}", "in words"),
        ("", "no price"),
        ("a: [", "cannot be read"),
        ("- 1", "no price"),
        ("currency: euro", "three capital letters"),
        ("share_by: luck", "direct cost, decisions"),
        ("fixed: 12", "a list of lines such as"),
        ("fixed: [{what: licence}]", "per_month: 500"),
        ("fixed: [{what: licence, per_month: much}]", "'much'"),
        ("fixed: [{what: licence, per_month: 1, per_year: 2}]", "'per_year'"),
        ("fees: [1]", "MODEL: 0.002"),
        ("fees: {gpt: [1]}", "gpt"),
        ("machines: {a: 1}", "HOSTNAME"),
        ("machines: {a: {cpu: 1}}", r"machines\.a in prices\.yaml of the home has 'cpu'"),
        ("machines: {a: {cores: 1.5}}", "whole number"),
    ],
)
def test_a_wrong_file_says_what_it_should_hold(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(BadInput, match=message):
        read(tmp_path)
