"""What really happened, told over HTTP: taken in every format, kept before the reply, refused by name."""

import io
import json
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest

Made = dict[str, Any]
PATH = "/endpoints/calls/outcomes"


def said(reply: httpx.Response) -> tuple[int, str]:
    assert set(reply.json()) == {"error"}, reply.text
    return reply.status_code, reply.json()["error"]["what"]


def outcomes(http: httpx.Client, ids: list[str]) -> list[list[Any]]:
    """What is known of these predictions, in the order of their ids; those without an outcome are left out."""
    rows = http.get("/endpoints/calls/predictions", params={"limit": 10}).json()["predictions"]
    known = {row["id"]: row for row in rows if row["outcome"] is not None}
    mine = [known[one] for one in sorted(ids) if one in known]
    return [[row["id"], row["outcome"]["subscribed"], row["outcome_value"]] for row in mine]


def arrow(rows: list[Made]) -> bytes:
    table = pa.Table.from_pylist(rows)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def parquet(rows: list[Made]) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


FORMATS = {
    "application/json": lambda rows: json.dumps(rows).encode(),
    "application/x-ndjson": lambda rows: "\n".join(map(json.dumps, rows)).encode(),
    "text/csv": lambda rows: (
        b"prediction_id,subscribed\n"
        + b"".join(f"{row['prediction_id']},{str(row['subscribed']).lower()}\n".encode() for row in rows)
    ),
    "application/vnd.apache.arrow.stream": arrow,
    "application/vnd.apache.parquet": parquet,
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_says_the_same(http: httpx.Client, answered: list[str], kind: str) -> None:
    rows = [{"prediction_id": one, "subscribed": True} for one in answered]
    reply = http.post(PATH, content=FORMATS[kind](rows), headers={"content-type": kind})
    assert reply.status_code == 200, reply.text
    assert (reply.json()["accepted"], reply.json()["unknown"]) == (2, 0)
    assert reply.json()["outcome_id"] > max(answered)
    assert outcomes(http, answered) == [[one, True, None] for one in sorted(answered)]


def test_the_last_word_on_a_prediction_counts(http: httpx.Client, answered: list[str]) -> None:
    for subscribed in (True, True, False):
        http.post(PATH, json=[{"prediction_id": answered[0], "subscribed": subscribed}])
    assert outcomes(http, answered) == [[answered[0], False, None]]


def test_money_may_come_with_it(http: httpx.Client, answered: list[str]) -> None:
    http.post(PATH, json=[{"prediction_id": answered[0], "subscribed": True, "value": 12.5}])
    assert outcomes(http, answered) == [[answered[0], True, 12.5]]


def test_money_alone_is_enough_and_overrules_the_value_expression(http: httpx.Client, calls: Made, file: str) -> None:
    assert http.put("/endpoints/corrected", content=file.format(name="corrected")).status_code == 200
    asked = httpx.post(calls["url"].replace("/calls", "/corrected"), json=[{"age": 80.0, "balance": 1.0}])
    (told,) = (row["prediction_id"] for row in asked.json()["predictions"])
    path = "/endpoints/corrected"
    for row, worth in (({"subscribed": True}, 58.0), ({"value": 12.5}, 12.5), ({"subscribed": False}, -2.0)):
        reply = http.post(f"{path}/outcomes", json=[{"prediction_id": told, **row}])
        assert reply.status_code == 200, reply.text
        assert http.get(f"{path}/roi").json()["total"]["value"] == worth


def test_unknown_predictions_are_listed_and_the_others_taken(http: httpx.Client, answered: list[str]) -> None:
    stranger = answered[0][:-4] + "0000"
    reply = http.post(PATH, json=[{"prediction_id": one, "subscribed": True} for one in (stranger, answered[0])])
    assert (reply.json()["accepted"], reply.json()["unknown"], reply.json()["unknown_ids"]) == (1, 1, [stranger])


def test_predictions_of_another_endpoint_are_unknown_here(
    http: httpx.Client, answered: list[str], other_artifact: bytes
) -> None:
    made = http.post("/deploy", files={"artifact": ("m.onnx", other_artifact)}, data={"name": "elsewhere"}).json()
    there = httpx.post(made["url"], json=[{"age": 1.0, "balance": 1.0}]).json()["predictions"][0]["prediction_id"]
    reply = http.post(PATH, json=[{"prediction_id": there, "subscribed": True}])
    assert (reply.json()["accepted"], reply.json()["unknown_ids"], reply.json()["outcome_id"]) == (0, [there], None)


@pytest.mark.parametrize(("row", "words"), [
    pytest.param({"subscribed": True}, "prediction_id", id="no prediction_id"),
    pytest.param({"prediction_id": "ID"}, "subscribed", id="no truth"),
    pytest.param({"prediction_id": "ID", "subscribd": True}, "subscribed", id="a misspelt column"),
    pytest.param({"prediction_id": "ID", "subscribed": "maybe"}, "maybe", id="a text where a boolean belongs"),
    pytest.param({"prediction_id": "ID", "subscribed": True, "value": "much"}, "much", id="money that is text"),
    pytest.param({"prediction_id": "ID", "subscribed": True, "value": 1e12}, "no amount of money", id="too much money"),
    pytest.param({"prediction_id": "x'; drop table", "subscribed": True}, "drop table", id="an id that is none"),
    pytest.param({"prediction_id": 5, "subscribed": True}, "prediction_id", id="a number as id"),
])  # fmt: skip
def test_a_row_that_does_not_fit_is_named_and_nothing_is_kept(
    http: httpx.Client, answered: list[str], row: Made, words: str
) -> None:
    good = {"prediction_id": answered[1], "subscribed": True}
    bad = {name: answered[0] if value == "ID" else value for name, value in row.items()}
    reply = http.post(PATH, json=[good, bad])
    assert said(reply)[0] == 400
    assert words in said(reply)[1]
    assert outcomes(http, answered) == []


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e400"])
def test_money_is_finite(http: httpx.Client, answered: list[str], amount: str) -> None:
    body = f"prediction_id,subscribed,value\n{answered[0]},true,{amount}\n"
    reply = http.post(PATH, content=body, headers={"content-type": "text/csv"})
    if reply.status_code == 200:  # NaN in a CSV may be read as no value at all
        assert (amount, outcomes(http, answered)) == ("NaN", [[answered[0], True, None]])
    else:
        assert said(reply)[0] == 400


@pytest.mark.parametrize(("kind", "body", "words"), [
    pytest.param("image/png", b"x", "image/png", id="a picture"),
    pytest.param("application/json", b'[{"prediction_id": "x"', "JSON", id="truncated JSON"),
    pytest.param("text/csv", b"\xff\xfe\x00", "", id="no UTF-8"),
    pytest.param("application/vnd.apache.parquet", b"PAR1", "", id="half a Parquet file"),
    pytest.param("application/vnd.apache.arrow.stream", b"", "", id="nothing"),
])  # fmt: skip
def test_a_body_that_cannot_be_read_is_named(
    http: httpx.Client, calls: Made, kind: str, body: bytes, words: str
) -> None:
    reply = http.post(PATH, content=body, headers={"content-type": kind})
    assert said(reply)[0] == 400
    assert words in said(reply)[1]


def test_more_than_the_limit_is_refused_before_it_is_read(http: httpx.Client, calls: Made) -> None:
    reply = http.post(PATH, content=b"[" + b" " * (65 << 20) + b"]")
    assert said(reply) == (413, "the body is larger than the 64 MiB that '/api/endpoints/calls/outcomes' takes; "
                                "send it in smaller parts")  # fmt: skip


def test_unknown_endpoints_are_named(http: httpx.Client, calls: Made) -> None:
    assert said(http.post("/endpoints/nope/outcomes", json=[]))[0] == 404
