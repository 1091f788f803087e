"""What is printed is aligned, and never moves the cursor."""

import pytest

from payoff.cli import lists, show
from payoff.cli.act import behind, share


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


def test_a_warning_keeps_its_lines_and_nothing_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    show.warn("payoff: a\x1b[2Jb\n  row 1\x07")
    assert capsys.readouterr().err == "payoff: a [2Jb\n  row 1 \n"


@pytest.mark.parametrize(("what", "late"), [
    ("worker 1 does not serve revision 7 of calls yet", True),
    ("worker 0 could not load revision 7 of calls: no memory", True),
    ("workers", False), ("workers: none is up; they load it when they start", False),
])  # fmt: skip
def test_an_order_tells_who_is_behind(what: str, late: bool) -> None:
    steps = [{"what": "plan", "seconds": 0.1}, {"what": what, "seconds": 0.0}]
    assert behind({"steps": steps, "notes": []}) == [what] * late
    assert behind({"steps": [], "notes": [what]}) == [what] * late


def test_an_audit_trail_without_orders_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    lists._verified({"whole": True, "end": ""}, False)
    assert capsys.readouterr().out == "the audit trail is whole; no order was given yet\n"
