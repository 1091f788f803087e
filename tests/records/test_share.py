"""A share is read in one place, as people write it."""

import pytest

from payoff.records.share import share


@pytest.mark.parametrize(("value", "expected"), [
    ("10%", 0.1), ("0.1", 0.1), (".1", 0.1), (" 10 % ", 0.1), ("1e-1", 0.1), ("12.5%", 0.125), ("1.", 1.0),
    (0.1, 0.1), (0, 0.0),
])  # fmt: skip
def test_a_share_is_read_as_people_write_it(value: object, expected: float) -> None:
    assert share(value) == expected


@pytest.mark.parametrize("value", ["", "%", "110%", "-1", "lots", ".", "1,5%", "nan", True, None, 1.5, -0.1, "9" * 99])
def test_what_is_no_share_is_none(value: object) -> None:
    assert share(value) is None
