"""What was metered adds up by the hour, together with the mark of how far it goes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from payoff.records.usage import Mark, Metered
from payoff.registry import Registry, connect

HOUR_US = 3_600_000_000


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return connect(f"sqlite:///{tmp_path}/payoff.db")


def amount(hour: int = 0, amount: int = 1, endpoint: str = "", what: str = "up_us", machine: str = "one") -> Metered:
    return Metered(hour * HOUR_US, machine, endpoint, "", 0, False, what, amount)


def mark(cpu_ns: int = 0, machine: str = "one") -> Mark:
    return Mark(machine, "boot:1", 10, 20, cpu_ns)


def test_nothing_was_metered_before_the_first_time(registry: Registry) -> None:
    assert registry.mark("one") is None
    assert registry.metered_since_us() is None
    assert registry.usage(0, HOUR_US) == []


def test_amounts_of_one_hour_add_up_and_hours_stay_apart(registry: Registry) -> None:
    registry.add_usage(mark(), [amount(1, 5), amount(2, 7)])
    registry.add_usage(mark(9), [amount(1, 10), amount(1, 3, endpoint="loan"), amount(2, 0)])
    assert registry.usage(HOUR_US, 2 * HOUR_US) == [amount(1, 15), amount(1, 3, endpoint="loan")]
    assert registry.usage(2 * HOUR_US, 3 * HOUR_US) == [amount(2, 7)]
    assert registry.metered_since_us() == HOUR_US


def test_each_machine_has_its_own_mark_and_only_the_last_one(registry: Registry) -> None:
    for one in (mark(1), mark(2), mark(3, "two")):
        registry.add_usage(one, [])
    assert (registry.mark("one"), registry.mark("two")) == (mark(2), mark(3, "two"))


def test_a_mark_that_cannot_be_kept_takes_its_amounts_back(registry: Registry) -> None:
    with pytest.raises(IntegrityError):
        registry.add_usage(mark()._replace(source=None), [amount()])  # type: ignore[arg-type]
    assert registry.usage(0, HOUR_US) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**15)), max_size=5), max_size=5))
def test_however_it_comes_in_the_sums_are_the_same(registry: Registry, batches: list[list[tuple[int, int]]]) -> None:
    before = {one.hour_us: one.amount for one in registry.usage(0, 9 * HOUR_US)}
    for batch in batches:
        registry.add_usage(mark(), [amount(hour, much) for hour, much in batch])
    after = {one.hour_us: one.amount for one in registry.usage(0, 9 * HOUR_US)}
    for hour in range(4):
        added = sum(much for batch in batches for at, much in batch if at == hour)
        assert after.get(hour * HOUR_US, 0) - before.get(hour * HOUR_US, 0) == added
