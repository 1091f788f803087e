"""What currencies were worth: dated rates with their source, and clear words where one is missing."""

from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.ledger.rates import Rates, read

TABLE = """
source: European Central Bank, euro reference rates
one: EUR
is:
  2026-11-19: {USD: 1.25, GBP: 0.8}
  2026-11-20: {USD: 1.2}
"""


def rates(folder: Path, text: str = TABLE) -> Rates:
    (folder / "rates.yaml").write_text(text)
    return read(folder)


@pytest.mark.parametrize(
    ("sent", "booked", "day", "factor"),
    [
        pytest.param("USD", "EUR", date(2026, 11, 19), Fraction(4, 5), id="of the day"),
        pytest.param("EUR", "USD", date(2026, 11, 20), Fraction(6, 5), id="the other way"),
        pytest.param("USD", "GBP", date(2026, 11, 19), Fraction(16, 25), id="over the one that both are told in"),
        pytest.param("USD", "EUR", date(2026, 11, 22), Fraction(5, 6), id="on a Sunday that of Friday"),
        pytest.param("USD", "EUR", date(2026, 11, 27), Fraction(5, 6), id="a week later still"),
        pytest.param("USD", "EUR", date(2026, 11, 28), None, id="but no longer"),
        pytest.param("USD", "EUR", date(2026, 11, 18), None, id="never one that came after"),
        pytest.param("CHF", "EUR", date(2026, 11, 19), None, id="unknown"),
        pytest.param("CHF", "CHF", date(1999, 1, 1), Fraction(1), id="what is the same needs no rate"),
    ],
)
def test_a_rate_is_that_of_the_day(tmp_path: Path, sent: str, booked: str, day: date, factor: Fraction | None) -> None:
    assert rates(tmp_path).factor(sent, booked, day) == factor


@pytest.mark.parametrize(
    ("sent", "day", "words"),
    [
        ("CHF", date(2026, 11, 19), "it has: EUR, GBP, USD; write how many CHF one EUR was, as in `2026-11-19: {CHF"),
        ("euros", date(2026, 11, 19), "'euros' is no currency; say its three letters, such as EUR"),
        ("USD", date(2026, 12, 24), "no rate of USD for 2026-12-24 or the 7 days before it; its rates"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_with_the_line_to_write(tmp_path: Path, sent: str, day: date, words: str) -> None:
    assert words in rates(tmp_path).missing(sent, "EUR", day)


def test_without_a_file_only_one_currency_is_known(tmp_path: Path) -> None:
    assert read(tmp_path).factor("USD", "EUR", date(2026, 11, 19)) is None
    assert "write rates.yaml in the home; it holds `source" in read(tmp_path).missing("USD", "EUR", date(2026, 11, 19))


def test_a_table_that_changed_is_read_again(tmp_path: Path) -> None:
    assert rates(tmp_path).factor("USD", "EUR", date(2026, 11, 20)) == Fraction(5, 6)
    assert rates(tmp_path, TABLE.replace("1.2}", "1.60}")).factor("USD", "EUR", date(2026, 11, 20)) == Fraction(5, 8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "does not say all of", id="empty"),
        pytest.param("one: EUR\nis: {2026-11-19: {USD: 1}}", "does not say all of source", id="no source"),
        pytest.param(TABLE + "more: 1", "and only that", id="something else"),
        pytest.param(TABLE.replace("EUR\n", "euro\n"), "three capital letters", id="no currency"),
        pytest.param(TABLE.replace("0.8", "0"), "for GBP on 2026-11-19; a rate is a number above 0", id="zero"),
        pytest.param(TABLE.replace("0.8", ".nan"), "a rate is a number", id="no number"),
        pytest.param(TABLE.replace("0.8", "yes"), "a rate is a number", id="a yes"),
        pytest.param(TABLE.replace("2026-11-20", "Friday"), "has 'Friday'", id="no day"),
        pytest.param(TABLE.replace("{USD: 1.2}", "1.2"), "1.2; it holds", id="no currency for a rate"),
        pytest.param("is: [", "cannot be read", id="no YAML"),
        pytest.param(TABLE.replace("European Central Bank, euro reference rates", "''"), "where the", id="no words"),
        pytest.param("source: a\none: EUR\nis: {}", "has no days", id="no days"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadInput, match=r"rates\.yaml") as refused:
        rates(tmp_path, text)
    assert words in str(refused.value)
