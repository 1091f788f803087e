"""Which codec reads a body, which one writes the answer, and that nobody pays for one he does not use."""

import subprocess
import sys

import pytest

from payoff.codecs import formats
from payoff.errors import BadInput, NotFound, NotRead, NotWritten
from payoff.records import Field, Type

JSON, CSV, ARROW = (formats.CODECS.take(name) for name in ("json", "csv", "arrow"))


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        (None, "json"),
        ("", "json"),
        ("application/json; charset=utf-8", "json"),
        ("application/x-www-form-urlencoded", "json"),
        ("Text/CSV;charset=UTF-8", "csv"),
        ("application/x-ndjson", "ndjson"),
        ("application/vnd.apache.arrow.stream", "arrow"),
        ("application/vnd.apache.arrow.file", "arrow-file"),
        ("application/vnd.apache.parquet", "parquet"),
    ],
)
def test_a_content_type_names_a_codec(content_type: str | None, name: str) -> None:
    assert formats.by_content_type(content_type).name == name


def test_an_unknown_content_type_is_answered_with_the_known_ones() -> None:
    with pytest.raises(
        NotRead, match=r"content type 'image/png' is not read here; there are: application/json, .*text/csv"
    ):
        formats.by_content_type("image/png")
    with pytest.raises(NotRead, match="charset 'latin1' is not read here; send UTF-8"):
        formats.by_content_type("text/csv; charset=latin1")
    with pytest.raises(NotFound, match="there are: arrow, arrow-file, csv, json, ndjson, parquet"):
        formats.CODECS.take("avro")


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        pytest.param(None, "csv", id="nothing said: as asked"),
        pytest.param("*/*", "csv", id="anything: as asked"),
        pytest.param("text/*, application/json", "csv", id="as asked is among the liked"),
        pytest.param("application/json", "json", id="one"),
        pytest.param("application/json;q=0.5, text/csv;q=0.4", "json", id="the better liked"),
        pytest.param("application/json;q=0.5, text/csv;q=0.5", "csv", id="as asked where both are liked alike"),
        pytest.param("text/html, application/xhtml+xml, */*;q=0.1", "csv", id="a browser"),
        pytest.param("text/csv;q=0, */*", "json", id="anything but as asked"),
        pytest.param("image/png, application/vnd.apache.parquet;q=0.2", "parquet", id="what can be written"),
        pytest.param("text/csv;q=x, application/json;q=0.1", "json", id="a liking that is no number"),
    ],
)
def test_the_answer_is_what_the_caller_likes_best(accept: str | None, name: str) -> None:
    assert formats.negotiate(accept, CSV).name == name


def test_nothing_acceptable_is_answered_with_what_there_is() -> None:
    with pytest.raises(NotWritten, match="nothing in Accept 'image/png' can be written; there are: application/json"):
        formats.negotiate("image/png", JSON)


@pytest.mark.parametrize(
    ("file", "name"),
    [("a/b.CSV", "csv"), ("x.json", "json"), ("x.jsonl", "ndjson"), ("x.ndjson", "ndjson"), ("x.y.parquet", "parquet"),
     ("x.arrow", "arrow"), ("x.arrows", "arrow"), ("x.feather", "arrow-file")],
)  # fmt: skip
def test_a_suffix_names_a_codec(file: str, name: str) -> None:
    assert formats.by_suffix(file).name == name


@pytest.mark.parametrize("file", ["model.pkl", "data", ".csv"])
def test_an_unknown_suffix_is_answered_with_the_known_ones(file: str) -> None:
    with pytest.raises(BadInput, match=r"there are: .csv, .json, .jsonl, .ndjson, .parquet, .arrow, .arrows, .feather"):
        formats.by_suffix(file)


def test_who_sees_only_json_and_tensors_never_imports_arrow() -> None:
    program = """
import sys
from payoff.codecs import formats, ndjson, oip, oip_reply, schema
from payoff.records import Field, Type
fields = (Field("a", Type.INT64), Field("d", Type.DATE))
codec = formats.negotiate("*/*", formats.by_content_type("application/json"))
codec.decoder(fields)(b'[{"a": 1, "d": "2008-05-05"}]')
oip.decode(b'{"inputs": [{"name": "a", "shape": [1], "datatype": "INT64", "data": [1]}]}', fields[:1])
sys.exit("pyarrow" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_decoder_is_made_once_for_the_same_fields() -> None:
    fields = (Field("a", Type.INT64),)
    assert JSON.decoder(fields) is JSON.decoder(fields)
    assert JSON.decoder(fields, rows_max=5) is not JSON.decoder(fields)
    for _ in range(1_000):
        other = (Field("b", Type.INT64),)
        assert list(JSON.decoder(other)(b"[]")) == ["b"]
