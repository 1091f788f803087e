"""Every stretch of time is counted once, in the hours that it lies in, or told as missing."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from payoff.ledger.bill import HOUR_US, Hour, Machine, Payer, Use
from payoff.ledger.meter import BLIND_US, Look, hours, metered
from payoff.records.usage import Mark, Metered

NOON_US = 500_000 * HOUR_US
WHO = Payer("loan", "m", 1)


def look(at_us: int, clock_us: int = 0, source: str = "boot:1", **more: object) -> Look:
    return replace(Look("one", source, at_us, clock_us, 0, 2_000, 1_000), **more)  # type: ignore[arg-type]


def total(amounts: list[Metered], what: str) -> int:
    return sum(one.amount for one in amounts if one.what == what)


def test_a_stretch_is_what_the_clock_says_and_the_machine_counts_for_all_of_it() -> None:
    found = metered(
        Mark("one", "boot:1", NOON_US, 5_000_000, 100),
        look(NOON_US + 10_000_000, 15_000_000, cpu_ns=7_100, own_bytes=600, held_bytes={WHO: 30}),
    )
    (hour,) = hours(found, {})
    assert hour == Hour(
        NOON_US, "one",
        Machine(10_000_000, 0, 20_000_000_000, 10_000, 0, 7_000, 6_000), {WHO: Use(memory_byte_s=300)},
    )  # fmt: skip


def test_a_stretch_over_the_full_hour_goes_to_both() -> None:
    before = Mark("one", "boot:1", 0, 0, 0)
    found = metered(before, look(NOON_US + 1_000_000, 4_000_000, cpu_ns=4_000, held_bytes={WHO: 8}))
    first, second = hours(found, {})
    assert (first.at_us, first.machine.up_us, first.machine.own_cpu_ns) == (NOON_US - HOUR_US, 3_000_000, 3_000)
    assert (second.at_us, second.machine.up_us, second.uses) == (NOON_US, 1_000_000, {WHO: Use(memory_byte_s=8)})


def test_of_a_long_stretch_memory_is_not_known_and_the_rest_is() -> None:
    before = Mark("one", "boot:1", 0, 0, 0)
    found = metered(before, look(NOON_US + HOUR_US // 2, 2 * BLIND_US, cpu_ns=9, own_bytes=5, held_bytes={WHO: 8}))
    (hour,) = hours(found, {})
    assert hour.machine.blind_us == hour.machine.up_us == 2 * BLIND_US
    assert (hour.machine.own_cpu_ns, hour.machine.own_memory_byte_s, hour.uses) == (9, 0, {})


def test_another_process_begins_anew_with_what_it_has_computed_so_far() -> None:
    before = Mark("one", "boot:1", NOON_US, 90_000_000, 10**12)
    found = metered(before, look(NOON_US + HOUR_US, 95_000_000, "boot:2", age_us=3_000_000, cpu_ns=50))
    assert (total(found, "up_us"), total(found, "own_cpu_ns")) == (3_000_000, 50)


def test_a_clock_that_was_set_back_takes_no_time_away_and_counts_none_twice() -> None:
    before = Mark("one", "boot:1", NOON_US + HOUR_US, 0, 0)
    assert total(metered(before, look(NOON_US, 5_000_000)), "up_us") == 5_000_000


def test_a_counter_that_went_back_counts_as_nothing() -> None:
    assert total(metered(Mark("one", "boot:1", NOON_US, 0, 100), look(NOON_US, 5, cpu_ns=40)), "own_cpu_ns") == 0


@given(
    st.lists(st.tuples(st.integers(0, 3 * HOUR_US), st.integers(0, 10**13)), max_size=8),
    st.integers(0, 10**9),
    st.integers(1, 128_000),
)
def test_however_often_one_looks_time_and_computing_add_up(
    steps: list[tuple[int, int]], first_us: int, millicores: int
) -> None:
    looks = [look(NOON_US + first_us, millicores=millicores)]
    for step_us, cpu_ns in steps:
        last = looks[-1]
        at_us, clock_us = last.at_us + step_us, last.clock_us + step_us
        looks.append(replace(last, at_us=at_us, clock_us=clock_us, cpu_ns=last.cpu_ns + cpu_ns))
    found = [one for before, after in pairwise(looks) for one in metered(before.mark, after)]
    assert total(found, "up_us") == sum(step_us for step_us, _ in steps)
    assert total(found, "own_cpu_ns") == sum(cpu_ns for step_us, cpu_ns in steps if step_us)
    assert total(found, "core_ns") == millicores * total(found, "up_us")


def test_what_the_journal_knows_is_counted_where_payoff_was_up_longest() -> None:
    amounts = [Metered(NOON_US, name, "", "", 0, False, "up_us", us) for name, us in (("one", 5), ("two", 9))]
    spent = {(NOON_US, WHO): Use(cpu_ns=3), (NOON_US + HOUR_US, WHO): Use(cpu_ns=4)}
    assert hours(amounts, spent) == [
        Hour(NOON_US, "one", Machine(up_us=5), {}),
        Hour(NOON_US, "two", Machine(up_us=9), {WHO: Use(cpu_ns=3)}),
        Hour(NOON_US + HOUR_US, "", Machine(), {WHO: Use(cpu_ns=4)}),
    ]
