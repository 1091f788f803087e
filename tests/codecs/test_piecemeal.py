"""Large JSON bodies are read in pieces, and mean what they mean as a whole."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.codecs import piecemeal
from payoff.codecs.rows import Asked, Rows
from payoff.errors import BadInput, PayoffError, TooLarge
from payoff.records import Field, Type

FIELDS = (Field("x", Type.FLOAT64, nullable=True), Field("t", Type.TEXT), Field("v", Type.INT64, (2,), nullable=True))
READER = Rows(FIELDS, rows_max=40)
TEXTS = st.text(st.sampled_from('},{]["\\: \n"ab'), max_size=12)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
VECTORS = st.none() | st.lists(st.integers(-9, 9), min_size=2, max_size=2)
RECORDS = st.fixed_dictionaries({"t": TEXTS}, optional={"x": NUMBERS, "v": VECTORS})
ODD = RECORDS | st.dictionaries(st.sampled_from(["x", "t", "v", "y", "rows"]), NUMBERS | TEXTS, max_size=3)


def as_a_whole(body: bytes, reader: Rows = READER) -> Asked:
    asked = reader.ask(body)
    return asked._replace(records=[], columns=reader.read([asked]))


def plain(asked: Asked) -> Any:
    columns = asked.columns or {}
    return asked.rows, asked.listing, {
        name: (found.values.dtype, found.values.tolist(), None if found.valid is None else found.valid.tolist())
        for name, found in columns.items()
    }  # fmt: skip


def outcome(read: Any) -> Any:
    """What a reading gives, or the words of its refusal; of too many rows, only that they are."""
    try:
        return repr(plain(read()))
    except TooLarge:
        return TooLarge
    except PayoffError as error:
        return type(error), str(error)


@given(st.lists(RECORDS, max_size=30), st.booleans(), st.booleans(), st.integers(1, 60))
def test_records_are_read_as_they_are_as_a_whole(said: Any, enveloped: bool, wide: bool, piece_bytes: int) -> None:
    body = orjson.dumps({"rows": said} if enveloped else said, option=orjson.OPT_INDENT_2 if wide else None)
    assert repr(plain(READER.whole(body, piece_bytes))) == repr(plain(as_a_whole(body)))


@given(st.lists(RECORDS, max_size=30), st.booleans(), st.booleans(), st.integers(1, 60))
def test_columns_are_read_as_they_are_as_a_whole(said: Any, enveloped: bool, wide: bool, piece_bytes: int) -> None:
    columns = {name: [record.get(name) for record in said] for name in ("v", "t", "x")}
    body = orjson.dumps({"columns": columns} if enveloped else columns, option=orjson.OPT_INDENT_2 if wide else None)
    assert repr(plain(READER.whole(body, piece_bytes))) == repr(plain(as_a_whole(body)))


@given(st.lists(ODD, max_size=60), st.integers(1, 60), st.data())
def test_what_is_amiss_is_told_in_the_words_that_it_is_told_as_a_whole(said: Any, piece_bytes: int, data: Any) -> None:
    body = orjson.dumps(said)
    at = data.draw(st.integers(0, len(body)))
    body = body[:at] + data.draw(st.binary(max_size=2) | st.sampled_from([b"}", b"]", b",", b"},{", b'"'])) + body[at:]
    assert outcome(lambda: READER.whole(body, piece_bytes)) == outcome(lambda: as_a_whole(body))


@pytest.mark.parametrize("body", [
    b"", b" ", b"[", b"]", b"[]", b"{}", b" [ ] ", b'{"rows":[]}', b'{"rows": [] , "t": 1}', b'{"columns":{}}', b"[]]",
    b'{"t":"one"}', b'{"x":[],"t":[]}', b'{"rows":[{"t":"a"}],"rows":[{"t":"b"}]}', b'{"t":["a"],"t":["b","c"]}',
    b'[{"t":"a"},]', b'[{"t":"a"},{"t":"b"}', b'[{"t":"a"}],[{"t":"b"}]', b'{"t":["a"],"y":[1]}',
    b'{"t":["a"],"x":[1,2]}',
    b'{"x":1,"t":["a"]}', b'[{"t":"a","x":NaN}]', b'[[{"t":"a"},{"t":"b"}]]', b'{"columns":{"t":["a"]},"x":1}',
])  # fmt: skip
def test_any_body_means_the_same_in_pieces(body: bytes) -> None:
    for piece_bytes in range(1, len(body) + 2):
        assert outcome(lambda size=piece_bytes: READER.whole(body, size)) == outcome(lambda: as_a_whole(body))


def test_too_many_rows_are_refused_before_they_are_all_read() -> None:
    with pytest.raises(TooLarge, match="the limit is 40"):
        READER.whole(b"[" + b'{"t":"a"},' * 1_000 + b"no JSON at all]", 100)
    with pytest.raises(TooLarge, match="the limit is 40"):  # as when it is read as a whole
        READER.whole(b'[{"t":7}' + b',{"t":"a"}' * 1_000 + b"]", 100)


def test_a_column_that_a_model_calls_rows_is_no_envelope() -> None:
    reader = Rows((Field("rows", Type.INT64, (1,)),))
    body = b'{"rows":[1]}'
    assert plain(reader.whole(body, 1)) == plain(as_a_whole(body, reader))


def test_no_piece_is_much_larger_than_asked() -> None:
    body = orjson.dumps([{"t": "},{" * 5, "x": number / 7} for number in range(2_000)])
    pieces = list(piecemeal.records(body, 1_000) or ())
    assert sum(map(len, pieces)) == 2_000
    assert max(len(orjson.dumps(piece)) for piece in pieces) < 5_000  # some cuts fall into texts


def test_pieces_lose_no_bits() -> None:
    numbers = np.random.default_rng(1).random(5_000)
    body = orjson.dumps([{"t": "", "x": number} for number in numbers.tolist()])
    columns = Rows(FIELDS).whole(body, 500).columns or {}
    assert columns["x"].values.tobytes() == numbers.tobytes()
    with pytest.raises(BadInput, match="row 4999"):
        Rows(FIELDS).whole(body.replace(b'"t":"","x":%b}]' % orjson.dumps(numbers[-1].item()), b'"t":7}]'), 500)
