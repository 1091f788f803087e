"""Names: which are legal, and which are of copies made for drills."""

import pytest

from payoff.records.names import check, drill_of, is_drill


@pytest.mark.parametrize("endpoint", ["loans", "a", "x" * 63, "bank.loans-2", f"{'x' * 46}-_."])
def test_a_copy_for_a_drill_has_a_legal_name_of_its_own(endpoint: str) -> None:
    one, other = drill_of(endpoint, "1f"), drill_of(endpoint, "20")
    assert check(one, "endpoint") == one
    assert one != other
    assert is_drill(one)


@pytest.mark.parametrize("name", ["loans", "drill", "fire.drill", "loans.drills-1", ".drill-1"])
def test_endpoints_of_people_are_no_drills(name: str) -> None:
    assert not is_drill(name)
