"""SQL and reports over HTTP."""

from typing import Any

import httpx
import pyarrow as pa
import pytest

Made = dict[str, Any]


def test_predictions_come_newest_first_with_all_they_were(http: httpx.Client, answered: list[str]) -> None:
    found = http.get("/endpoints/calls/predictions", params={"limit": 2}).json()["predictions"]
    assert [row["id"] for row in found] == sorted(answered, reverse=True)
    assert found[0]["inputs"]["age"] in (20.0, 80.0)
    assert {"arm", "version", "why", "decision", "outputs", "latency_us"} <= set(found[0])


def test_the_next_page_begins_where_this_one_ended(http: httpx.Client, answered: list[str]) -> None:
    path, last = "/endpoints/calls/predictions", max(answered)
    (row,) = http.get(path, params={"limit": 1, "before": last}).json()["predictions"]
    assert row["id"] == min(answered)


@pytest.mark.parametrize("before", ["zzz", "", "x' or 1=1 --"])
def test_a_page_before_what_is_no_id_is_refused(http: httpx.Client, calls: Made, before: str) -> None:
    reply = http.get("/endpoints/calls/predictions", params={"before": before})
    assert reply.status_code == 400
    assert f"before is {before!r}" in reply.json()["error"]["what"]


def test_sql_counts_over_predictions(http: httpx.Client, answered: list[str]) -> None:
    reply = http.post("/sql", json={"sql": "select endpoint, count(*) n from predictions group by all"}).json()
    assert [column["name"] for column in reply["columns"]] == ["endpoint", "n"]
    assert dict(reply["rows"])["calls"] >= 2
    assert reply["truncated"] is False


def test_sql_says_when_rows_were_left_off(http: httpx.Client, answered: list[str]) -> None:
    reply = http.post("/sql", json={"sql": "select id from predictions", "limit": 1}).json()
    assert (len(reply["rows"]), reply["truncated"]) == (1, True)


def test_sql_answers_in_arrow_too(http: httpx.Client, answered: list[str]) -> None:
    headers = {"accept": "application/vnd.apache.arrow.stream"}
    reply = http.post("/sql", json={"sql": "select 1 as a, 'x' as b"}, headers=headers)
    assert pa.ipc.open_stream(reply.content).read_all().to_pylist() == [{"a": 1, "b": "x"}]


def test_values_that_json_has_no_word_for_become_null_or_text(http: httpx.Client, calls: Made) -> None:
    text = "select 'nan'::double, 'inf'::double, date '2008-05-05', 1.5::decimal(9,2), {'x': [1]}, '\\xAA'::blob"
    (row,) = http.post("/sql", json={"sql": text}).json()["rows"]
    assert row == [None, None, "2008-05-05", 1.5, {"x": [1]}, "aa"]


@pytest.mark.parametrize(("value", "shown"), [
    ("date 'infinity'", None), ("timestamp '-infinity'", None), ("timestamptz 'infinity'", None),
    ("date '99999-01-01'", "99999-01-01"), ("timestamp '99999-01-01 10:00:00.5'", "99999-01-01T10:00:00.500000"),
    ("timestamptz '99999-01-01 10:00:00+00'", "99999-01-01T10:00:00.000000+00:00"),
    ("{'a': [date 'infinity', date '2008-05-05', null], 'b': 1}", {"a": [None, "2008-05-05", None], "b": 1}),
    ("map {'a': date '99999-01-01'}", [["a", "99999-01-01"]]),
    ("[date '99999-01-01', date '2008-05-05']::date[2]", ["99999-01-01", "2008-05-05"]),
    ("timestamp_ns '2008-05-05 10:00:00.123456789'", "2008-05-05T10:00:00.123456789"),
])  # fmt: skip
def test_days_that_the_calendar_does_not_reach_become_null_or_text(
    http: httpx.Client, calls: Made, value: str, shown: Any
) -> None:
    reply = http.post("/sql", json={"sql": f"select {value} union all select null"})
    assert reply.status_code == 200, reply.text
    assert sorted(reply.json()["rows"], key=str) == sorted([[shown], [None]], key=str)


@pytest.mark.parametrize("text", [
    pytest.param("select * from read_csv('/etc/passwd')", id="a file"),
    pytest.param("copy (select 1) to '/tmp/payoff-was-here'", id="writing a file"),
    pytest.param("attach '/tmp/x.db'", id="another database"),
    pytest.param("set memory_limit='1TB'", id="a setting"),
    pytest.param("install httpfs", id="an extension"),
    pytest.param("drop view predictions", id="changing something"),
    pytest.param("select * from nowhere", id="a table that is none"),
    pytest.param("selekt 1", id="no SQL"),
    pytest.param("", id="nothing"),
])  # fmt: skip
def test_what_may_not_be_asked_is_refused(http: httpx.Client, calls: Made, text: str) -> None:
    reply = http.post("/sql", json={"sql": text})
    assert reply.status_code == 400, reply.text
    assert reply.json()["error"]["what"]
    assert "Traceback" not in reply.text


@pytest.mark.parametrize("limit", [0, -1, 10_000_000, "x", 1.5])
def test_a_limit_that_is_none_is_named(http: httpx.Client, calls: Made, limit: Any) -> None:
    reply = http.post("/sql", json={"sql": "select 1", "limit": limit})
    assert reply.status_code == 400
    assert "limit" in reply.json()["error"]["what"]
