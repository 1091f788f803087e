"""CSV is read as the fields say, whatever the text looks like."""

from typing import Any

import pytest

from payoff.codecs import csv
from payoff.errors import BadInput
from payoff.records import Field, Type

AGE, ZIP, RATE, CLIENT = (
    Field("age", Type.INT64),
    Field("zip", Type.TEXT),
    Field("rate", Type.FLOAT64, nullable=True),
    Field("client", Type.BOOL),
)


def read(body: bytes, *fields: Field) -> dict[str, list[Any]]:
    found = csv.decode(body, fields)
    return {
        name: [value if column.valid is None or column.valid[row] else None for row, value in enumerate(column.values)]
        for name, column in found.items()
    }


def test_the_fields_decide_not_the_look_of_the_text() -> None:
    body = b"zip,client,age,rate\n007,TRUE, 33 ,0.5\n12,0,4.0,\nNA,false,+5,nan\n"
    assert read(body, AGE, ZIP, RATE, CLIENT) == {
        "age": [33, 4, 5],
        "zip": ["007", "12", "NA"],
        "rate": [0.5, None, None],
        "client": [True, False, False],
    }


def test_an_empty_cell_is_a_null_and_a_quoted_one_an_empty_text() -> None:
    fields = (Field("a", Type.TEXT, nullable=True), AGE)
    assert read(b'a,age\n,1\n"",2\n', *fields)["a"] == [None, ""]
    with pytest.raises(BadInput, match=r"column 'zip', row 1 .*got null, an empty cell; an empty text is written"):
        read(b"zip,age\nx,1\n,2\n", ZIP, AGE)


def test_quoted_cells_may_hold_anything() -> None:
    assert read(b'zip,age\r\n"a,""b""\nc",1\r\n', ZIP, AGE)["zip"] == ['a,"b"\nc']


@pytest.mark.parametrize(
    "body", [b"age;zip\n1;a,b\n", b"age\tzip\n1\ta,b\n", b'age,zip\n1,"a,b"', b"\xef\xbb\xbfage;zip\n1;a,b"]
)
def test_the_separator_is_the_one_that_finds_the_names(body: bytes) -> None:
    assert read(body, AGE, ZIP) == {"age": [1], "zip": ["a,b"]}


def test_an_empty_line_is_a_row_only_where_it_can_be_one() -> None:
    assert read(b"rate\n1\n\n2\n", RATE) == {"rate": [1.0, None, 2.0]}
    assert read(b"age\n1\n\n2\n", AGE) == {"age": [1, 2]}


def test_whole_numbers_keep_all_their_digits() -> None:
    big = Field("x", Type.UINT64)
    assert read(b"x\n18446744073709551615\n9007199254740993\n+9007199254740995\n1e3\n", big)["x"] == [
        2**64 - 1, 2**53 + 1, 2**53 + 3, 1000,
    ]  # fmt: skip


def test_a_tensor_is_json_in_its_cell() -> None:
    field = Field("v", Type.INT8, (2,), nullable=True)
    found = csv.decode(b'v,age\n"[1, 2]",1\n,2\n', (field, AGE))["v"]
    assert found.values[0].tolist() == [1, 2]
    with pytest.raises(BadInput, match=r"column 'v', row 0 .*the cell is not JSON"):
        csv.decode(b"v,age\n[1,2\n", (field,), extra_ok=frozenset({"age"}))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the first line is empty; expected a header line"),
        (b"\n1,2\n", "the first line is empty"),
        (b"age,zip\nx,a\n", "column 'age', row 0 .*got 'x', which is text; expected int64"),
        (b"age,zip\n1,a\n2.5,a\n", "column 'age', row 1 .*got 2.5; expected int64"),
        (b"age,zip\n0x1F,a\n", "column 'age', row 0 .*got '0x1F'"),
        (b"age,zip\n1_000,a\n", "column 'age', row 0 .*got '1_000'"),
        (b"age,zip\n99999999999999999999,a\n", "column 'age', row 0"),
        (b"age,zip\n,a\n", "column 'age', row 0 .*got null"),
        (b"age,zip\n1,a\n2\n", "Row #3: Expected 2 columns, got 1"),
        (b"age,age\n1,2\n", "column 'age' comes twice"),
        (b"age,zp\n1,2\n", "unknown column 'zp'; did you mean 'zip'"),
        (b"age\n1\n", r"missing column 'zip' \(text\)"),
        (b"age,zip\n1,\xff\n", "UTF"),
    ],
)
def test_a_wrong_file_is_answered_with_the_place(body: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        read(body, AGE, ZIP)


@pytest.mark.parametrize(("kind", "text"), [(Type.FLOAT32, "1e39"), (Type.FLOAT64, "1e400"), (Type.BOOL, "yes")])
def test_a_cell_out_of_range_is_refused(kind: Type, text: str) -> None:
    with pytest.raises(BadInput, match="column 'x', row 0"):
        read(f"x\n{text}\n".encode(), Field("x", kind))
