"""FOCUS rows: every micro of the books, in the columns that cost tools read."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from payoff.ledger import focus
from payoff.ledger.bill import HOUR_US, Books, Hour, Machine, Payer, Use, books
from payoff.ledger.periods import By, parts, period
from payoff.ledger.prices import GB, HOUR_NS, HOUR_S, Fixed, Prices
from tests.ledger.test_bill import NOVEMBER_US, hours, prices

MANDATORY = (  # in version 1.2
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart",
    "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
)  # fmt: skip
WHO = Payer("loan", "risk", 3)


def made() -> Books:
    had = Machine(HOUR_US, 0, 2 * HOUR_NS, 4 * GB * HOUR_S, 0, HOUR_NS, 2 * GB * HOUR_S)
    used = {WHO: Use(HOUR_NS // 2, GB * HOUR_S, 0, 5_000_000, 1_000), WHO._replace(version=4, shadow=True): Use(1, 1)}
    return books([Hour(NOVEMBER_US, "one", had, used)], Prices(fixed=(Fixed("rent", 720_000_000),)))


def rows(found: Books, by: By = By.DAY, currency: str = "EUR") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(focus.text(focus.rows(parts(found.entries, by), currency)))))


def test_all_mandatory_columns_are_there_and_say_something() -> None:
    assert set(MANDATORY) <= set(focus.COLUMNS)
    for row in rows(made()):
        assert all(row[name] for name in MANDATORY if name != "ChargeClass")
        assert row["ChargeCategory"] == ("Purchase" if row["x_CostKind"] == "fixed" else "Usage")


def test_what_a_version_used_has_its_quantity_and_who_it_was() -> None:
    cpu = rows(made())[0]
    assert (cpu["ConsumedQuantity"], cpu["ConsumedUnit"], cpu["BilledCost"]) == ("0.5", "Core-Hours", "0.015806")
    assert (cpu["ResourceId"], cpu["x_ModelVersion"], cpu["x_Predictions"]) == ("loan/risk@3", "3", "1000")
    assert (cpu["ChargePeriodStart"], cpu["ChargePeriodEnd"]) == ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z")
    assert (cpu["BillingPeriodEnd"], cpu["BillingCurrency"]) == ("2026-12-01T00:00:00Z", "EUR")
    assert json.loads(cpu["Tags"]) == {
        "endpoint": "loan", "kind": "cpu", "model": "risk", "role": "answered", "version": "3",
    }  # fmt: skip


def test_without_one_currency_the_rows_say_that_there_is_none() -> None:
    assert {row["BillingCurrency"] for row in rows(made(), currency="units")} == {"XXX"}


@given(st.lists(hours, max_size=4, unique_by=lambda hour: (hour.at_us, hour.name)), prices, st.sampled_from(By))
def test_the_rows_add_up_to_the_bill_and_count_each_prediction_once(found: list[Hour], prices: Prices, by: By) -> None:
    whole = books(found, prices)
    told = rows(whole, by)
    assert sum(round(float(row["BilledCost"].replace(".", ""))) for row in told) == whole.bill.total
    predictions = sum(use.predictions for hour in found for use in hour.uses.values())
    assert sum(int(row["x_Predictions"] or 0) for row in told) == predictions


@given(st.integers(0, 4 * 10**15), st.sampled_from(By))
def test_every_moment_lies_in_one_period_of_each_length(at_us: int, by: By) -> None:
    found = period(at_us, by)
    assert found.since_us <= at_us < found.until_us
    assert period(found.until_us - 1, by) == found
    assert period(found.until_us, by).since_us == found.until_us
