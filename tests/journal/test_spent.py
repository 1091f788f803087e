"""What predictions cost, by the hour and version."""

from payoff.journal.compact import compact
from payoff.journal.spent import Spent
from tests.journal.conftest import ENDPOINT, House

HOUR_US = 3_600_000_000
FIRST_US = 500_000 * HOUR_US


def test_time_and_fees_add_up_by_hour_and_version_and_shadows_stay_apart(house: House) -> None:
    writer = house.writer()
    house.answer(writer, [1, 2], at_us=FIRST_US)
    house.answer(writer, [3], at_us=FIRST_US + HOUR_US - 1)
    house.answer(writer, [4], at_us=FIRST_US + HOUR_US)
    house.answer(writer, [5], shadow=True, version=2, at_us=FIRST_US)
    house.answer(writer, [6], version=None, at_us=FIRST_US)
    found = house.journal.spent(ENDPOINT, FIRST_US, FIRST_US + 2 * HOUR_US, "outputs.probability")
    assert found == [
        Spent(FIRST_US, "deposit", 1, False, 3, found[0].cpu_ns, 60_000),
        Spent(FIRST_US, "deposit", 2, True, 1, found[1].cpu_ns, 50_000),
        Spent(FIRST_US, "deposit", None, False, 1, found[2].cpu_ns, 60_000),
        Spent(FIRST_US + HOUR_US, "deposit", 1, False, 1, found[3].cpu_ns, 40_000),
    ]


def test_the_time_is_what_the_rows_say_whether_fresh_or_filed(house: House) -> None:
    writer = house.writer()
    house.answer(writer, [7, 8], at_us=FIRST_US)
    writer.close()
    fresh = house.journal.spent(ENDPOINT, FIRST_US, FIRST_US + HOUR_US)
    compact(house.home)
    assert house.journal.spent(ENDPOINT, FIRST_US, FIRST_US + HOUR_US) == fresh
    assert [(line.predictions, line.fee_micros) for line in fresh] == [(2, 0)]
    assert fresh[0].cpu_ns == sum(row[0] for row in house.rows("SELECT cpu_ns FROM predictions"))  # type: ignore[misc]


def test_what_lies_outside_of_the_time_is_not_counted(house: House) -> None:
    house.answer(house.writer(), [1], at_us=FIRST_US)
    assert house.journal.spent(ENDPOINT, FIRST_US + 1, FIRST_US + HOUR_US) == []
    assert house.journal.spent(ENDPOINT, FIRST_US - HOUR_US, FIRST_US) == []
    assert house.journal.spent("nobody", FIRST_US, FIRST_US + HOUR_US) == []
