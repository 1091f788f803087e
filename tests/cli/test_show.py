"""What is printed is aligned, and never moves the cursor."""

import pytest

from payoff.cli import show
from payoff.cli.act import share


def test_numbers_stand_right_and_texts_left() -> None:
    assert show.plain(["name", "n"], [["a", "1"], ["bbbbb", "22"]], [False, True]) == [
        "name    n",
        "a       1",
        "bbbbb  22",
    ]


@pytest.mark.parametrize(("value", "expected"), [
    (None, "-"), (True, "yes"), (0.1 + 0.2, "0.3"), (1234567.891, "1,234,567.89"), (float("nan"), "nan"),
    ({"a": [1]}, '{"a": [1]}'), ("x\x1b[31mred\r\n", "x [31mred  "), ("y" * 99, "y" * 59 + "…"),
])  # fmt: skip
def test_a_cell_is_plain_text(value: object, expected: str) -> None:
    assert show.cell(value) == expected


def test_csv_keeps_structs_as_json_and_nulls_as_nothing() -> None:
    said = show.comma_separated(["a", "b"], [[{"x": 1}, None], ['say "hi"', 2]])
    assert said == 'a,b\n"{""x"": 1}",\n"say ""hi""",2\n'


@pytest.mark.parametrize(("text", "expected"), [("10%", 0.1), ("0.25", 0.25), (" 100 % ", 1.0), (".5", 0.5)])
def test_shares_are_read_as_people_write_them(text: str, expected: float) -> None:
    assert share(text) == expected
