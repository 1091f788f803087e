"""Prices: the list's, or the house's own."""

from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.ledger import Prices, read


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cpu_core_hour: -1", "0 or more"),
        ("cpu_core_hour: .nan", "price in units"),
        ("cpu_core_hour: true", "price in units"),
        ("cpu_core_hour: 0.0000001", "six decimals"),
        ("cpu_core_hour: cheap", "'cheap'"),
        ("cpu_core_hour: [1]", "price in units"),
        ("cpu_hour: 1", "no price"),
        ("cpu_core_hour: 1\ngpu: 2", "'gpu'"),
        ("cpu_core_hour: 1\nsource: {a: 1}", "in words"),
        ("", "no price"),
        ("a: [", "cannot be read"),
        ("- 1", "no price"),
    ],
)
def test_a_wrong_file_says_what_it_should_hold(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(BadInput, match=message):
        read(tmp_path)
