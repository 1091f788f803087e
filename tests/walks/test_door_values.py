"""Values at the edges go in and come back exactly, in every form, or are refused in words: never changed in silence."""

import json
import math
import struct
from typing import Any

import httpx
import pytest

from payoff.journal.query import Journal
from tests.walks.wire import Door, Said, refused

FLOATS = [-0.0, 0.1, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 9007199254740993.0, 1e22, 1 / 3]
WHOLES = [2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 0, -2]
WORDS = ["", "\0", "Zoë", "🙂", "‮abc", '"\\\n', "\ud7ff\uffff", "w" * 100_000, "a,b\r\n"]


pytestmark = pytest.mark.usefixtures("the_next_caller_is_answered")


def rows(at: Door, body: bytes, *lines: str) -> Said:
    (said,) = at.say(at.call(body, *lines))
    return said


def infer(at: Door, inputs: list[dict[str, Any]] | bytes, **more: Any) -> Said:
    """A call of the Open Inference Protocol; bytes go as they are."""
    body = inputs if isinstance(inputs, bytes) else json.dumps({"inputs": inputs, **more}).encode()
    (said,) = at.say(at.call(body, path="/v2/models/echo/infer"))
    return said


def tensors(ids: list[Any], xs: list[Any], words: list[Any]) -> list[dict[str, Any]]:
    said = (("id", "INT64", ids), ("x", "FP64", xs), ("word", "BYTES", words))
    return [{"name": n, "datatype": kind, "shape": [len(data), 1], "data": data} for n, kind, data in said]


def alike(found: float, expected: float) -> bool:
    """The same number, to its sign and last bit."""
    return struct.pack("<d", found) == struct.pack("<d", expected)


@pytest.mark.parametrize("whole", WHOLES)
def test_whole_numbers_keep_all_64_bits(at: Door, whole: int) -> None:
    one = rows(at, b'{"id": %d, "x": 1, "word": "a"}' % whole).json["predictions"][0]
    assert one["same_id"] == whole
    outputs = {one["name"]: one["data"] for one in infer(at, tensors([whole], [1.0], ["a"])).json["outputs"]}
    assert outputs["same_id"] == [whole]
    text = rows(at, b"id,x,word\n%d,1,a\n" % whole, "Content-Type: text/csv").body
    assert str(whole).encode() in text


@pytest.mark.parametrize("number", FLOATS)
def test_fractions_keep_their_last_bit_and_zero_its_sign(at: Door, number: float) -> None:
    one = rows(at, b'{"id": 1, "x": %a, "word": "a"}' % number).json["predictions"][0]
    assert alike(one["same_x"], number)
    outputs = {one["name"]: one["data"] for one in infer(at, tensors([1], [number], ["a"])).json["outputs"]}
    assert alike(outputs["same_x"][0], number)


@pytest.mark.parametrize("word", WORDS)
def test_texts_come_back_letter_by_letter(at: Door, word: str) -> None:
    one = rows(at, json.dumps({"id": 1, "x": 1, "word": word}).encode()).json["predictions"][0]
    assert one["same_word"] == word
    said = infer(at, tensors([1], [1.0], [word]))
    assert {one["name"]: one["data"] for one in said.json["outputs"]}["same_word"] == [word]


def test_what_is_journaled_is_what_was_asked(at: Door) -> None:
    asked = [(whole, number) for whole in WHOLES for number in FLOATS]
    sent = [{"id": whole, "x": number, "word": "j"} for whole, number in asked]
    told = rows(at, json.dumps(sent).encode()).json["predictions"]
    found = Journal(at.home).connect().sql(
        "select id, inputs.id, inputs.x, outputs.same_id, outputs.same_x from predictions where inputs.word = 'j'"
    ).fetchall()  # fmt: skip
    kept = {id_: rest for id_, *rest in found}
    assert len(found) == len(kept) == len(asked)
    for (whole, number), one in zip(asked, told, strict=True):
        found_whole, found_number, same_whole, same_number = kept[one["prediction_id"]]
        assert whole == found_whole == same_whole
        assert alike(number, found_number)
        assert alike(number, same_number)


NO_NUMBERS = [
    b"NaN", b"nan", b"Infinity", b"-Infinity", b"inf", b"1e400", b"-1e400", b"0x10", b"01", b"+1", b".5", b"1.",
    b"1_000", b'"1"', b"true", b"{}", b"null", b"", b"1 2",
]  # fmt: skip


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_number_in_json_is_refused(at: Door, number: bytes) -> None:
    """NaN and Infinity are not JSON: a missing value is null, where the model takes one."""
    refused(rows(at, b'{"id": 1, "x": %b, "word": "a"}' % number), 400)
    refused(infer(at, json.dumps({"inputs": tensors([1], [7.75], ["a"])}).encode().replace(b"7.75", number)), 400)


NO_WHOLES = [
    b"9223372036854775808", b"-9223372036854775809", b"9007199254740993.0", b"1e30", b"1.5", b"9" * 400, b'"7"',
    b"true",
]  # fmt: skip


@pytest.mark.parametrize("number", NO_WHOLES)
def test_what_is_no_whole_number_of_64_bits_is_refused(at: Door, number: bytes) -> None:
    refused(rows(at, b'{"id": %b, "x": 1, "word": "a"}' % number), 400)
    refused(infer(at, json.dumps({"inputs": tensors([77], [1.0], ["a"])}).encode().replace(b"77", number)), 400)


NO_TEXTS = [b'"\xff"', b'"\xc3"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\x00"', b"'a'", b'"a\nb"', b"a", b'"\xc0\xaf"']


@pytest.mark.parametrize("text", NO_TEXTS)
def test_what_is_no_text_is_refused(at: Door, text: bytes) -> None:
    refused(rows(at, b'{"id": 1, "x": 1, "word": %b}' % text), 400)
    refused(infer(at, json.dumps({"inputs": tensors([1], [1.0], ["W"])}).encode().replace(b'"W"', text)), 400)


def test_of_a_key_that_comes_twice_the_last_counts(at: Door) -> None:
    one = rows(at, b'{"id": 1, "x": 1, "word": "a", "id": 2}').json["predictions"][0]
    assert one["same_id"] == 2


NO_DOCUMENTS = [
    b"", b" ", b"null", b"3", b'"rows"', b"true", b"[[1]]", b"[null]", b"[3]", b"{}", b"[{}]", b'{"rows": 3}',
    b'{"columns": []}', b'{"id": 1}', b"[" * 100_000, b'{"id":' * 50_000, b"[{" * 40_000, b"\xef\xbb\xbf{}",
    b'{"id": 1, "x": 1, "word": "a"} x', b'{"id": 1, "x": 1, "word": "a",}', b'[{"id": 1, "x": 1, "word": "a"},]',
    b'{"id": [1, 2], "x": [1], "word": ["a"]}', b'{"rows": [], "more": 1}', bytes(100), b"\xff\xfe{\0}\0",
]  # fmt: skip


@pytest.mark.parametrize("body", NO_DOCUMENTS, ids=range(len(NO_DOCUMENTS)))
def test_a_body_that_holds_no_rows_is_refused(at: Door, body: bytes) -> None:
    refused(rows(at, body), 400)
    refused(infer(at, body), 400)


def test_zero_rows_are_zero_answers_in_every_form(at: Door) -> None:
    assert rows(at, b"[]").json["predictions"] == []
    assert rows(at, b'{"rows": []}').json["predictions"] == []
    assert rows(at, b'{"columns": {"id": [], "x": [], "word": []}}').json["columns"]["same_id"] == []
    said = infer(at, tensors([], [], []))
    assert said.status in (200, 400)
    if said.status == 200:
        assert all(one["data"] == [] for one in said.json["outputs"])


def test_a_million_rows_are_answered_or_refused_with_the_way_to_do_it(at: Door) -> None:
    body = json.dumps({"columns": {"id": [1] * 1_000_000, "x": [1] * 1_000_000, "word": ["a"] * 1_000_000}}).encode()
    before = at.memory_mb
    said = rows(at, body)
    if said.status == 200:
        assert len(said.json["columns"]["same_id"]) == 1_000_000
    else:
        refused(said, 400, 413)
        assert "rows" in said.json["error"]
        assert "send" in said.json["error"]
    assert at.memory_mb - before < 1_000


MISMADE = {
    "a negative shape": {"shape": [-1, 1]},
    "a shape beyond 64 bits": {"shape": [2**63, 1]},
    "a huge shape": {"shape": [10**9, 10**9]},
    "a fraction in the shape": {"shape": [1.5, 1]},
    "text in the shape": {"shape": ["1", 1]},
    "no shape": {"shape": []},
    "a deep shape": {"shape": [1] * 1_000},
    "a number for a shape": {"shape": 1},
    "another datatype": {"datatype": "BYTES"},
    "no datatype": {"datatype": "COMPLEX"},
    "a number for a datatype": {"datatype": 3},
    "a list for a name": {"name": []},
    "too few values": {"data": []},
    "too many values": {"data": [1, 2, 3]},
    "uneven lists": {"data": [[1], []]},
    "no data": {"data": None},
    "a promise of bytes that do not come": {"parameters": {"binary_data_size": 8}},
    "a size below zero": {"parameters": {"binary_data_size": -8}},
    "parameters that are none": {"parameters": 3},
}


@pytest.mark.parametrize("change", MISMADE.values(), ids=MISMADE)
def test_a_tensor_that_is_not_what_it_says_is_refused(at: Door, change: dict[str, Any]) -> None:
    inputs = tensors([1], [1.0], ["a"])
    inputs[0] |= change
    refused(infer(at, inputs), 400, 413)


def test_a_number_that_json_cannot_say_comes_in_as_binary_and_leaves_as_null_or_binary(at: Door) -> None:
    """The binary extension carries NaN and Infinity; JSON answers have null for them."""
    raw = struct.pack("<qd", 1, math.nan) + struct.pack("<I", 1) + b"a"
    inputs = [
        {"name": name, "datatype": kind, "shape": [1, 1], "parameters": {"binary_data_size": size}}
        for name, kind, size in (("id", "INT64", 8), ("x", "FP64", 8), ("word", "BYTES", 5))
    ]
    text = json.dumps({"inputs": inputs}).encode()
    said = httpx.post(
        f"http://{at.host}/v2/models/echo/infer",
        content=text + raw,
        headers={"inference-header-content-length": str(len(text))},
        timeout=120,
    )
    if said.status_code == 200:
        assert {one["name"]: one["data"] for one in said.json()["outputs"]}["same_x"] == [None]
    else:
        assert said.status_code == 400
        assert "x" in said.json()["error"]
