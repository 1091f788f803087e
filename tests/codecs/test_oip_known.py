"""Requests whose envelope is known are read as those that are read with care."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs.oip import Oip
from payoff.codecs.oip_known import FEW, Known, Shapes
from payoff.codecs.tensors import DATATYPES
from payoff.errors import BadInput
from payoff.records import Field, Type

FIELD, BADLY_NAMED = Field("x", Type.FLOAT32, (2,)), Field("data", Type.FLOAT32, (2,))
NUMBERS = st.one_of(st.floats(-(2.0**99), 2.0**99, width=32), st.integers(-(2**60), 2**60))


def body(rows: Sequence[Sequence[Any]], *, spaced: bool = False, **more: Any) -> bytes:
    flat = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), 2], "datatype": "FP32", "data": flat}
    separators = None if spaced else (",", ":")
    return json.dumps({"inputs": [tensor], **more}, separators=separators).encode()


def raw(row: Sequence[float]) -> bytes:
    return np.array(row, np.float32).tobytes()


class House:
    """What a door does with bodies."""

    def __init__(self, *fields: Field, few: int = FEW) -> None:
        self.oip = Oip(fields)
        self.shapes = Shapes(self.oip, fields, few)

    def teach(self, text: bytes, header_length: int | None = None) -> None:
        self.shapes.keep(text, header_length, self.oip.ask(text, header_length))

    def values(self, *known: Known | None) -> list[Any]:
        found = [one for one in known if one is not None]
        assert len(found) == len(known), "not known"
        read: list[Any] = next(iter(self.shapes.columns(found).values())).values.tolist()
        return read


WAYS = pytest.mark.parametrize("few", [0, FEW], ids=["many numbers", "few numbers"])


@pytest.fixture(params=[0, FEW], ids=["many numbers", "few numbers"])
def house(request: pytest.FixtureRequest) -> House:
    return House(FIELD, few=request.param)


@WAYS
@given(
    calls=st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=3), min_size=1, max_size=5),
    spaced=st.booleans(),
)
def test_a_batch_of_known_requests_is_read_as_each_of_them_alone(
    few: int, calls: list[list[tuple[Any, Any]]], spaced: bool
) -> None:
    house = House(FIELD, few=few)
    for n in {len(call) for call in calls}:
        house.teach(body([(0, 0)] * n, spaced=spaced))
    texts = [body(call, spaced=spaced) for call in calls]
    alone = [house.oip.columns([house.oip.ask(text)])["x"].values for text in texts]
    assert house.values(*(house.shapes.find(text, None) for text in texts)) == np.concatenate(alone).tolist()


@WAYS
@given(odd=st.lists(NUMBERS, min_size=0, max_size=6), good=st.lists(NUMBERS, min_size=2, max_size=2))
def test_numbers_too_many_or_too_few_never_move_the_rows_of_others(few: int, odd: list[Any], good: list[Any]) -> None:
    house = House(FIELD, few=few)
    house.teach(body([(0, 0)]))
    text = body([(0, 0)]).replace(b"[0,0]", json.dumps(odd).encode())
    known = house.shapes.find(text, None)
    assert (known is None) == (len(odd) != 2)
    assert house.values(house.shapes.find(body([good]), None)) == [np.array(good, np.float32).tolist()]


NOT_NUMBERS = ["1,true", "1,null", '1,"2"', "1,NaN", "1,[2", "1,{}", "1],[2", '1],"id":[2', "1,", ",1", "1,--2", "1,1e",
               "1,1e99", "1,0x1", "1,2 3", ",", ""]  # fmt: skip


@pytest.mark.parametrize("said", NOT_NUMBERS)
def test_what_is_not_numbers_is_refused_in_the_usual_words(house: House, said: str) -> None:
    house.teach(body([(0, 0)]))
    text = body([(0, 0)]).replace(b"0,0", said.encode())
    known = house.shapes.find(text, None)
    with pytest.raises(BadInput) as usual:
        house.oip.columns([house.oip.ask(text)])
    if known is not None:
        with pytest.raises(BadInput) as heard:
            house.shapes.columns([known])
        assert str(heard.value) == str(usual.value)


def test_a_long_text_is_counted_as_a_short_one(house: House) -> None:
    rows = [(row / 7, -row) for row in range(1_000)]
    house.teach(body(rows))
    want = house.oip.columns([house.oip.ask(body(rows))])["x"].values.tolist()
    assert house.values(*[house.shapes.find(text, None) for text in (body(rows), body(rows))]) == want * 2
    for amiss in (body(rows).replace(b"[0.0,", b"["), body(rows).replace(b"[0.0,", b"[0.0,1,")):
        assert house.shapes.find(amiss, None) is None
    nested = house.shapes.find(body(rows).replace(b"[0.0,", b"[0.0,[1,2],"), None)
    assert nested is None


def test_nested_numbers_are_read_as_ever(house: House) -> None:
    house.teach(body([(0, 0)]))
    known = house.shapes.find(body([(0, 0)]).replace(b"0,0", b"[1,2]"), None)
    assert known is None or house.values(known) == [[1, 2]]


TEXTS = st.lists(st.sampled_from(["1", "2.5", "-3e2", ",", "[", "]", "{", "}", '"', '"x":', "null", " "]), max_size=9)


@WAYS
@given(said=st.lists(TEXTS, min_size=2, max_size=4))
def test_callers_who_break_the_rules_together_get_no_more_than_each_alone(few: int, said: list[list[str]]) -> None:
    house = House(FIELD, few=few)
    house.teach(body([(0, 0)]))
    texts = [body([(0, 0)]).replace(b"0,0", "".join(one).encode()) for one in said]
    known = [one for text in texts if (one := house.shapes.find(text, None)) is not None]
    alone = [read(house, one) for one in known]
    if known and None not in alone:
        assert house.values(*known) == [row for rows in alone if rows for row in rows]
    elif known:
        with pytest.raises(BadInput):
            house.shapes.columns(known)


def read(house: House, known: Known) -> list[Any] | None:
    """What a request says by the careful way; None if it is refused."""
    try:
        whole = house.oip.ask(known.shape.before + known.numbers + known.shape.after)
        rows: list[Any] = house.oip.columns([whole])["x"].values.tolist()
    except BadInput:
        return None
    return rows


@pytest.mark.parametrize("text", [
    b'{"inputs":[{"name":"data","shape":[1,2],"datatype":"FP32","data":[1,2]}]}',  # the name is the first "data"
    b'{"x":{"data":[1,2]},"inputs":[{"name":"data","shape":[1,2],"datatype":"FP32","data":[1,2]}]}',
    b'{"inputs":[{"name":"data","shape":[1,2],"datatype":"FP32","d\\u0061ta":[1,2]}]}',
    b'{"id":"a","inputs":[{"name":"data","shape":[1,2],"datatype":"FP32","data":[1,2]}]}',
])  # fmt: skip
def test_a_request_that_could_be_mistaken_is_not_remembered(text: bytes) -> None:
    house = House(BADLY_NAMED)
    house.teach(text)
    other = text.replace(b"[1,2]", b"[3,4]")
    assert house.shapes.find(other, None) is None or house.values(house.shapes.find(other, None)) == [[3, 4]]


def test_raw_bytes_are_known_by_the_json_before_them(house: House) -> None:
    about = {"name": "x", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    head = json.dumps({"inputs": [about], "parameters": {"binary_data_output": True}}).encode()
    house.teach(head + raw([1, 2]), len(head))
    first, second = (house.shapes.find(head + raw(row), len(head)) for row in ([3, 4], [5, 6]))
    assert house.values(first, second) == [[3, 4], [5, 6]]
    assert first is not None
    assert first.shape.request.binary == "all"
    assert house.shapes.find(head + b"1234567", len(head)) is None
    nan = house.shapes.find(head + raw([np.nan, 1]), len(head))
    with pytest.raises(BadInput, match="missing value"):
        house.values(nan)


@pytest.mark.parametrize("kind", [each for each in Type if each.is_number])
@WAYS
def test_every_number_type_takes_what_fits_it_and_nothing_else(few: int, kind: Type) -> None:
    info = np.finfo(kind.dtype) if kind.is_float else np.iinfo(kind.dtype)
    house = House(Field("x", kind), few=few)
    text = b'{"inputs":[{"name":"x","shape":[2],"datatype":"%b","data":[0,1]}]}' % DATATYPES[kind].encode()
    house.teach(text)
    most, least = (repr(float(number) if kind.is_float else int(number)) for number in (info.max, info.min))
    known = house.shapes.find(text.replace(b"0,1", f"{least},{most}".encode()), None)
    assert house.values(known) == [info.min, info.max]
    for wrong in ("1e39" if kind is Type.FLOAT32 else "1e400", str(2**64), "-129.5", "256.5"):
        if kind.is_float and "e" not in wrong:
            continue
        over = house.shapes.find(text.replace(b"0,1", b"0,%b" % wrong.encode()), None)
        with pytest.raises(BadInput):
            house.values(over)
