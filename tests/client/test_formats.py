"""Every format in, every format out, at a real door: the same rows and the same answers, whoever asks."""

import io
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from itertools import product
from typing import Any

import httpx
import pandas as pd
import pytest
from pyarrow import parquet

import payoff
from payoff.client import Client, Endpoint
from payoff.codecs import csv, infer, replies, tables
from payoff.codecs.untyped import pa
from tests.shared import PATIENCE_S

JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
STREAM, FILE = "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file"
PARQUET = "application/vnd.apache.parquet"
KINDS = {"i": "int64", "u": "uint64", "f": "float64 or null", "t": "text or null", "b": "bool", "d": "date",
         "w": "timestamp"}  # fmt: skip
WHEN = datetime(2020, 1, 2, 3, 4, 5, 123456, UTC)
ROWS: list[dict[str, Any]] = [
    {"i": -(2**63), "u": 0, "f": 5e-324, "t": 'ü😀, "q"\n', "b": True, "d": date(1, 1, 1), "w": WHEN},
    {"i": 2**63 - 1, "u": 2**64 - 1, "f": None, "t": None, "b": False, "d": date(9999, 12, 31), "w": WHEN},
    {"i": 2**53 + 1, "u": 7, "f": 1e300, "t": "007", "b": True, "d": date(2008, 5, 5), "w": WHEN.replace(year=9999)},
]
SCHEMA = pa.schema([("i", pa.int64()), ("u", pa.uint64()), ("f", pa.float64()), ("t", pa.string()), ("b", pa.bool_()),
                    ("d", pa.date32()), ("w", pa.timestamp("us", "UTC"))])  # fmt: skip
TABLE = pa.Table.from_pylist(ROWS, schema=SCHEMA)


def in_json(row: dict[str, Any]) -> str:
    return json.dumps(row, default=lambda value: value.isoformat())


def in_csv() -> bytes:
    fields = infer.fields(TABLE)
    return csv.write(tables.from_arrow(TABLE, fields), fields)


def in_batches(table: Any, opener: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with opener(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=50_000)
    return bytes(sink.getvalue().to_pybytes())


def in_pages(table: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


BODIES = {
    JSON: f"[{', '.join(map(in_json, ROWS))}]".encode(),
    NDJSON: "\n".join(map(in_json, ROWS)).encode(),
    CSV: in_csv(),
    STREAM: in_batches(TABLE, pa.ipc.new_stream),
    FILE: in_batches(TABLE, pa.ipc.new_file),
    PARQUET: in_pages(TABLE),
}


@pytest.fixture(scope="session")
def same(client: Client) -> Endpoint:
    """Answers with what it is asked."""
    rule = payoff.rule({f"{name}2": f"inputs.{name}" for name in KINDS}, inputs=KINDS)
    return client.deploy(rule, name="same")


def plain(value: Any) -> Any:
    """Days and times as text, for some formats have no others."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and value[4:5] == "-" and "T" in value:
        return datetime.fromisoformat(value).isoformat()
    return value.isoformat() if isinstance(value, date) else value


@pytest.mark.parametrize(("asked", "answered"), [*product(BODIES, BODIES)])
def test_every_format_may_be_answered_in_every_format(same: Endpoint, asked: str, answered: str) -> None:
    said = httpx.post(
        same.url, content=BODIES[asked], headers={"content-type": asked, "accept": answered}, timeout=PATIENCE_S
    )
    assert said.status_code == 200, said.text
    assert said.headers["content-type"] == answered
    found = replies.decode(said.content, answered).to_pylist()
    for row, answer in zip(ROWS, found, strict=True):
        got = {name: plain(answer[f"{name}2"]) for name in KINDS}
        assert got == {name: plain(value) for name, value in row.items()}


@pytest.mark.parametrize("asked", BODIES)
def test_the_answer_comes_in_the_format_of_the_question(same: Endpoint, asked: str) -> None:
    assert (
        httpx.post(same.url, content=BODIES[asked], headers={"content-type": asked}, timeout=PATIENCE_S).headers[
            "content-type"
        ]
        == asked
    )


def test_an_arrow_file_is_a_file(same: Endpoint) -> None:
    said = httpx.post(same.url, content=BODIES[JSON], headers={"accept": FILE}, timeout=PATIENCE_S)
    assert pa.ipc.open_file(said.content).read_all()["i2"].to_pylist() == [row["i"] for row in ROWS]


@pytest.mark.parametrize("how", [["-T", "-", "-X", "POST"], ["--data-binary", "@-"]], ids=["chunked", "sized"])
def test_curl_sends_lines_and_reads_lines(same: Endpoint, how: list[str]) -> None:
    command = ["curl", "-sS", "--fail-with-body", *how, "-H", f"content-type: {NDJSON}", same.url]
    done = subprocess.run(command, input=BODIES[NDJSON], capture_output=True, timeout=PATIENCE_S, check=True)
    assert [json.loads(line)["i2"] for line in done.stdout.splitlines()] == [row["i"] for row in ROWS]


def test_lines_that_are_answered_in_another_format_are_answered_whole_or_not_at_all(same: Endpoint) -> None:
    body = BODIES[NDJSON] + b"\nnonsense"
    said = httpx.post(same.url, content=body, headers={"content-type": NDJSON, "accept": STREAM}, timeout=PATIENCE_S)
    assert said.status_code == 400
    assert "line 4 is not JSON" in said.json()["error"]


def test_pandas_reads_the_answer_from_the_wire(same: Endpoint) -> None:
    def asked(accept: str) -> io.BytesIO:
        return io.BytesIO(
            httpx.post(same.url, content=BODIES[JSON], headers={"accept": accept}, timeout=PATIENCE_S).content
        )

    numbers = [row["i"] for row in ROWS]
    assert list(pd.read_csv(asked(CSV))["i2"]) == numbers
    assert list(pd.read_parquet(asked(PARQUET))["i2"]) == numbers
    assert list(pd.read_feather(asked(FILE))["i2"]) == numbers
    assert list(pd.read_json(asked(NDJSON), lines=True)["i2"]) == numbers


@pytest.mark.parametrize(("headers", "words"), [
    ({"content-type": "text/html"}, "content type 'text/html' is not read here; there are: application/json"),
    ({"accept": "text/html"}, "nothing in Accept 'text/html' can be written"),
    ({"content-type": "text/csv; charset=latin-1"}, "charset 'latin-1' is not read here; send UTF-8"),
])  # fmt: skip
def test_what_nobody_reads_is_refused_with_what_there_is(same: Endpoint, headers: dict[str, str], words: str) -> None:
    said = httpx.post(same.url, content=BODIES[JSON], headers=headers, timeout=PATIENCE_S)
    assert 400 <= said.status_code < 500
    assert words in said.json()["error"]


@pytest.mark.parametrize("asked", [kind for kind in BODIES if kind != NDJSON])
def test_more_rows_than_one_call_takes_are_refused_with_the_way_to_send_them(same: Endpoint, asked: str) -> None:
    many = pa.table({name: pa.array([ROWS[0][name]] * 100_001, SCHEMA.field(name).type) for name in KINDS})
    made: dict[str, Callable[[], bytes]] = {
        JSON: lambda: f"[{','.join([in_json(ROWS[0])] * many.num_rows)}]".encode(),
        CSV: lambda: b"i,u,f,t,b,d,w\n" + b"1,1,1,a,true,2020-01-01,2020-01-01\n" * many.num_rows,
        STREAM: lambda: in_batches(many, pa.ipc.new_stream),
        FILE: lambda: in_batches(many, pa.ipc.new_file),
        PARQUET: lambda: in_pages(many),
    }
    said = httpx.post(same.url, content=made[asked](), headers={"content-type": asked}, timeout=PATIENCE_S)
    assert said.status_code == 413
    assert "the limit is 100000: send them in parts" in said.json()["error"]
