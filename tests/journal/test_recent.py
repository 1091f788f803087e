"""What was answered between two ids, as hard limits ask for it."""

from payoff.journal.compact import compact
from tests.journal.conftest import ENDPOINT, House


def test_the_key_that_came_most_often_is_found_for_each_arm_whether_fresh_or_filed(house: House) -> None:
    writer = house.writer()
    house.answer(writer, range(5), keys=["ann", "bob", "ann", None, "bob"])
    house.answer(writer, range(3), version=2, keys=["cleo", "dan", "dan"])
    house.answer(writer, range(2), keys=["bob", None])
    writer.close()
    found = house.journal.busiest(ENDPOINT, "", "~")
    assert sorted(found) == [(1, "arm-1", "bob", 3), (1, "arm-2", "dan", 2)]
    compact(house.home)
    assert sorted(house.journal.busiest(ENDPOINT, "", "~")) == sorted(found)


def test_rows_without_a_key_or_out_of_the_time_or_of_shadows_make_nobody_busy(house: House) -> None:
    writer = house.writer()
    early = house.answer(writer, [1, 2], keys=["ann", "ann"])[-1]
    house.answer(writer, [3])
    house.answer(writer, [4], shadow=True, version=2, keys=["bob"])
    house.answer(writer, [5], choice="holdout", version=None, keys=["cleo"])
    assert house.journal.busiest(ENDPOINT, early, "~") == []
    assert house.journal.busiest("nobody", "", "~") == []
