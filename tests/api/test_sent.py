"""Whatever is sent as an outcome, what is taken is money and time, and every other row has its words."""

import json
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payoff.api import sent
from payoff.client import frames
from payoff.client.wire import ARROW
from payoff.clock import iso
from payoff.codecs.cells import FIRST_US, LAST_US
from payoff.errors import BadInput
from payoff.journal.ids import Ids, text
from payoff.ledger import rates
from payoff.money import MICROS, MICROS_MAX
from payoff.records import Field, Policy, Type

NOW_US = 1_795_000_000_000_000
POLICY = Policy(outcome=(Field("bought", Type.BOOL, nullable=True),))
(MADE,) = text(*Ids(0, lambda: NOW_US - 3_600_000_000).take())
DAY = "2026-11-18"


def rows(*values: float | None, **columns: list[object]) -> sent.Sent:
    """Outcomes of one prediction with these amounts."""
    table = pa.table({"prediction_id": [MADE] * len(values), "value": pa.array(values, pa.float64()), **columns})
    return sent.read(frames.stream(table), ARROW, POLICY)


def reasons(told: sent.Sent) -> list[set[str]]:
    """Of each row, what is wrong with it."""
    found = list(sent.wrongs(told, NOW_US))
    assert all(one.words(row) for one in found for row in np.flatnonzero(one.rows).tolist())
    return [{one.reason for one in found if one.rows[row]} for row in range(len(told))]


@given(st.lists(st.none() | st.floats(), min_size=1, max_size=20))
def test_only_finite_amounts_within_the_micros_pass(values: list[float | None]) -> None:
    told = rows(*values)
    for value, found in zip(values, reasons(told), strict=True):
        if value is None or np.isnan(value):  # in a frame that is a missing value
            assert found == {"says nothing"}
        else:
            assert (found == set()) is (abs(value) <= MICROS_MAX / MICROS)


@given(st.integers(FIRST_US, LAST_US) | st.integers(NOW_US - 3_700_000_000, NOW_US + 100_000_000))
@example(LAST_US)
@example(FIRST_US)
def test_only_times_between_the_prediction_and_now_pass(at_us: int) -> None:
    (found,) = reasons(rows(1.0, at=[at_us]))
    assert (found == set()) is (NOW_US - 3_660_000_000 <= at_us <= NOW_US + 60_000_000)


@pytest.mark.parametrize("at_us", [-(2**63), FIRST_US - 1, LAST_US + 1, 2**63 - 1])
def test_what_is_in_no_calendar_is_no_time(at_us: int) -> None:
    with pytest.raises(BadInput, match="'at'"):
        rows(1.0, at=[at_us])


@pytest.mark.parametrize("away_us", [-1, 0, 1])
def test_the_same_moment_in_words_and_in_micros_is_the_same(away_us: int) -> None:
    at_us = NOW_US + away_us
    for written in (iso(at_us), at_us):
        body = json.dumps([{"prediction_id": MADE, "bought": True, "at": written}]).encode()
        assert sent.read(body, "application/json", POLICY).at.values.view(np.int64).tolist() == [at_us]


@given(st.decimals(-1_000_000, 1_000_000, places=6), st.decimals(Decimal("0.01"), 100, places=4))
def test_an_exchange_is_exact_to_the_micro(amount: Decimal, rate: Decimal) -> None:
    table = rates.Rates("EUR", "a test", {"USD": ((date.fromisoformat(DAY),), (Fraction(rate),))})
    told = rows(float(amount), currency=["USD"])
    value, wrong = sent.exchanged(told, "EUR", table, NOW_US)
    expected = (amount / rate).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    assert not any(one.rows.any() for one in wrong)
    assert round(float(value.values[0]) * 1e6) == int(expected * 1_000_000)


def test_what_an_exchange_makes_too_much_is_no_money() -> None:
    table = rates.Rates("EUR", "a test", {"VND": ((date.fromisoformat(DAY),), (Fraction(1, 10),))})
    _, wrong = sent.exchanged(rows(5e9, currency=["VND"]), "EUR", table, NOW_US)
    assert [one.reason for one in wrong if one.rows.any()] == ["no amount of money"]


def test_amounts_that_are_none_are_not_exchanged() -> None:
    value, wrong = sent.exchanged(rows(float("inf"), None, currency=["USD", "USD"]), "EUR", rates.Rates(), NOW_US)
    assert [one.reason for one in wrong if one.rows.any()] == []
    assert np.isinf(value.values[0])


def test_the_money_of_the_house_needs_no_table(tmp_path: Path) -> None:
    value, wrong = sent.exchanged(rows(1.5, currency=["EUR"]), "EUR", rates.read(tmp_path), NOW_US)
    assert (value.values.tolist(), wrong) == ([1.5], [])


@pytest.mark.parametrize("at_us", [FIRST_US, LAST_US])
def test_the_first_and_the_last_day_of_the_calendar_have_no_rate(at_us: int) -> None:
    _, wrong = sent.exchanged(rows(1.0, currency=["USD"], at=[at_us]), "EUR", rates.Rates(), NOW_US)
    assert [one.reason for one in wrong if one.rows.any()] == ["no rate for the currency"]


@pytest.mark.parametrize("part", ["", "x" * 101])
def test_a_part_has_a_short_name(part: str) -> None:
    with pytest.raises(BadInput, match="a part has a name of 1 to 100 characters"):
        rows(1.0, part=[part])
