"""What really happened, told over HTTP: taken in every format, kept before the reply, refused by name."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.shared import PATIENCE_S

Made = dict[str, Any]
PATH = "/endpoints/calls/outcomes"
ONE = [{"age": 80.0, "balance": 1.0}]


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
    asked = httpx.post(calls["url"].replace("/calls", "/corrected"), json=ONE, timeout=PATIENCE_S)
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
    there = httpx.post(made["url"], json=ONE, timeout=PATIENCE_S).json()["predictions"][0]["prediction_id"]
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
    assert said(reply)[0] == (415 if kind == "image/png" else 400)
    assert words in said(reply)[1]


def test_more_than_the_limit_is_refused_before_it_is_read(http: httpx.Client, calls: Made) -> None:
    reply = http.post(PATH, content=b"[" + b" " * (65 << 20) + b"]")
    assert said(reply) == (413, "the body is larger than the 64 MiB that '/api/endpoints/calls/outcomes' takes; "
                                "send it in smaller parts")  # fmt: skip


def test_unknown_endpoints_are_named(http: httpx.Client, calls: Made) -> None:
    assert said(http.post("/endpoints/nope/outcomes", json=[]))[0] == 404


def tell(http: httpx.Client, rows: list[Made], keep_good: bool = False) -> httpx.Response:
    return http.post(PATH, json=rows, params={"keep_good": "true"} if keep_good else {})


def sql(http: httpx.Client, text: str) -> list[list[Any]]:
    found: list[list[Any]] = http.post("/sql", json={"sql": text}).json()["rows"]
    return found


def last(http: httpx.Client, told: str, columns: str) -> list[Any]:
    (row,) = sql(http, f"select {columns} from calls.outcomes where prediction_id = '{told}'")
    return row


def refused(http: httpx.Client) -> Made:
    found: Made = http.get(f"{PATH}/refused").json()
    return found


@pytest.mark.parametrize("written", [
    pytest.param(datetime.isoformat, id="ISO"),
    pytest.param(lambda at: at.astimezone(timezone(timedelta(hours=5))).isoformat(), id="ISO with an offset"),
    pytest.param(lambda at: int(at.timestamp()) * 1_000_000 + 250_000, id="microseconds"),
])  # fmt: skip
def test_when_it_happened_may_be_told(
    http: httpx.Client, answered: list[str], written: Callable[[datetime], Any]
) -> None:
    now = datetime.now(UTC).replace(microsecond=250_000)
    reply = tell(http, [{"prediction_id": answered[0], "subscribed": True, "at": written(now)}])
    assert reply.status_code == 200, reply.text
    assert last(http, answered[0], "epoch_us(happened)") == [int(now.timestamp()) * 1_000_000 + 250_000]


def test_without_it_an_outcome_happened_when_it_was_told(http: httpx.Client, answered: list[str]) -> None:
    tell(http, [{"prediction_id": answered[0], "subscribed": True}])
    assert last(http, answered[0], "happened = time") == [True]


@pytest.mark.parametrize(("away", "words"), [
    pytest.param(timedelta(hours=2), "which is to come", id="from the future"),
    pytest.param(timedelta(hours=-2), "which is before its prediction", id="before the prediction"),
    pytest.param(timedelta(seconds=50), "", id="clocks may differ by a minute"),
    pytest.param(timedelta(seconds=-50), "", id="either way"),
])  # fmt: skip
def test_an_outcome_happens_between_its_prediction_and_now(
    http: httpx.Client, answered: list[str], away: timedelta, words: str
) -> None:
    at = (datetime.now(UTC) + away).isoformat()
    reply = tell(http, [{"prediction_id": answered[0], "subscribed": True, "at": at}])
    assert (reply.status_code == 200) is (words == "")
    assert words in reply.text
    assert bool(outcomes(http, answered)) is (words == "")


@pytest.mark.parametrize(("at", "words"), [
    pytest.param("yesterday", "yesterday", id="no time"),
    pytest.param(2**63 - 1, "is no time", id="in no calendar"),
    pytest.param(1_764_000_000, "1970-01-01T00:29:24", id="seconds, not microseconds"),
    pytest.param("1066-10-14", "1066-10-14T00:00:00", id="long ago"),
])  # fmt: skip
def test_a_time_that_cannot_be_is_named(http: httpx.Client, answered: list[str], at: Any, words: str) -> None:
    assert words in said(tell(http, [{"prediction_id": answered[0], "subscribed": True, "at": at}]))[1]


def test_parts_add_up_and_a_part_told_again_replaces_itself(http: httpx.Client, answered: list[str]) -> None:
    one = answered[0]
    tell(http, [{"prediction_id": one, "subscribed": True, "value": 30.0, "part": "first instalment"}])
    tell(http, [{"prediction_id": one, "value": 30.0, "part": "second instalment"}])
    assert outcomes(http, answered) == [[one, True, 60.0]]
    tell(http, [{"prediction_id": one, "value": 0.0, "part": "second instalment"},
                {"prediction_id": one, "value": -5.25, "part": "refund"}])  # fmt: skip
    assert outcomes(http, answered) == [[one, True, 24.75]]
    assert last(http, one, "parts") == [3]


def test_what_replaces_an_earlier_word_is_counted(http: httpx.Client, answered: list[str]) -> None:
    row = {"prediction_id": answered[0], "subscribed": True}
    assert tell(http, [row]).json()["repeated"] == 0
    assert tell(http, [row, {**row, "part": "refund", "value": -1.0}]).json()["repeated"] == 1
    assert tell(http, [row, row, {**row, "part": "refund", "value": -1.0}]).json()["repeated"] == 3


@pytest.fixture
def rates(home: Path) -> Iterator[Path]:
    """A table of rates: one euro is 1.25 dollars, from the day before yesterday on."""
    day = datetime.now(UTC).date() - timedelta(days=2)
    path = home / "rates.yaml"
    path.write_text(f"source: a test\none: EUR\nis:\n  {day}: {{USD: 1.25}}\n")
    yield path
    path.unlink(missing_ok=True)


def test_other_currencies_are_booked_at_the_rate_of_the_day(
    http: httpx.Client, answered: list[str], rates: Path
) -> None:
    rows = [
        {"prediction_id": answered[0], "value": 100.01, "currency": "USD"},
        {"prediction_id": answered[1], "value": 7.5, "currency": "EUR"},
    ]
    assert tell(http, rows).status_code == 200
    assert last(http, answered[0], '"value"') == [80.008]
    assert last(http, answered[1], '"value"') == [7.5]
    log = "select amount, currency from calls.outcome_log where prediction_id = "
    assert sql(http, f"{log}'{answered[0]}'") == [[100.01, "USD"]]


def test_an_unknown_currency_is_refused_with_the_line_to_write(
    http: httpx.Client, answered: list[str], rates: Path
) -> None:
    row = {"prediction_id": answered[0], "value": 100.0, "currency": "CHF"}
    status, words = said(tell(http, [row]))
    assert status == 400
    assert "rates.yaml has no CHF; it has: EUR, USD; write how many CHF one EUR was, as in `20" in words
    rates.unlink()
    assert (
        "nobody told what USD is worth: write rates.yaml in the home" in tell(http, [{**row, "currency": "USD"}]).text
    )
    rates.write_text("one: 5")
    assert "rates.yaml in the home does not say all of" in tell(http, [{**row, "currency": "USD"}]).text
    assert refused(http)["latest"][0]["reason"] == "cannot be read"
    rates.unlink()
    assert outcomes(http, answered) == []


def wrong_rows(answered: list[str]) -> dict[str, Made]:
    """A row to be refused for each reason."""
    one = {"prediction_id": answered[0], "subscribed": True}
    return {
        "says nothing": {"prediction_id": answered[0]},
        "no amount of money": {**one, "value": 1e12},
        "from the future": {**one, "at": "9000-01-01T00:00:00Z"},
        "before the prediction": {**one, "at": "2001-01-01T00:00:00Z"},
        "no rate for the currency": {**one, "value": 1.0, "currency": "XAU"},
        "unknown prediction": {**one, "prediction_id": answered[0][:-4] + "0000"},
    }


def test_good_rows_are_kept_where_that_is_asked_for(http: httpx.Client, answered: list[str]) -> None:
    wrong, before = wrong_rows(answered), refused(http)["reasons"]
    reply = tell(http, [*wrong.values(), {"prediction_id": answered[1], "subscribed": True}], keep_good=True).json()
    assert (reply["accepted"], reply["refused"]) == (1, len(wrong))
    assert reply["reasons"] == dict.fromkeys(wrong, 1)
    assert [one["reason"] for one in reply["refusals"]] == list(wrong)
    assert [one["row"] for one in reply["refusals"]] == list(range(len(wrong)))
    assert outcomes(http, answered) == [[answered[1], True, None]]
    after = refused(http)
    assert {reason: after["reasons"][reason] - before.get(reason, 0) for reason in wrong} == dict.fromkeys(wrong, 1)
    assert [one["reason"] for one in after["latest"][: len(wrong)]] == list(wrong)[::-1]
    assert all(one["what"] for one in after["latest"])


@pytest.mark.parametrize("reason", ["no amount of money", "from the future", "before the prediction",
                                    "no rate for the currency", "says nothing"])  # fmt: skip
def test_else_a_wrong_row_refuses_the_call_and_is_counted(http: httpx.Client, answered: list[str], reason: str) -> None:
    before = refused(http)["reasons"].get(reason, 0)
    good = {"prediction_id": answered[1], "subscribed": True}
    words = said(tell(http, [good, wrong_rows(answered)[reason], wrong_rows(answered)[reason]]))[1]
    assert words.startswith("row 1 (the first is 0): ")
    assert "1 more rows cannot be booked; nothing was taken" in words
    assert "take the 1 good ones with keep_good=true" in words
    assert outcomes(http, answered) == []
    assert refused(http)["reasons"][reason] == before + 2


def test_a_body_that_cannot_be_read_counts_once(http: httpx.Client, calls: Made) -> None:
    before = refused(http)["reasons"].get("cannot be read", 0)
    http.post(PATH, content=b"[", headers={"content-type": "application/json"})
    found = refused(http)
    assert found["reasons"]["cannot be read"] == before + 1
    assert "JSON" in found["latest"][0]["what"]
    assert found["latest"][0]["row"] is None


def test_what_was_refused_shows_in_the_health(http: httpx.Client, answered: list[str]) -> None:
    tell(http, [wrong_rows(answered)["unknown prediction"]])
    (part,) = (part for part in http.get("/health").json()["parts"] if part["part"] == "outcomes")
    assert part["state"] == "warning"
    assert "calls: " in part["text"]
    assert "unknown prediction" in part["text"]
    assert "payoff outcomes calls --refused" in part["what_to_do"]


def test_the_list_of_an_endpoint_that_is_not_there_is_not_found(http: httpx.Client, calls: Made) -> None:
    assert said(http.get("/endpoints/nope/outcomes/refused"))[0] == 404


def test_a_truth_may_have_the_name_of_an_optional_column(http: httpx.Client, calls: Made, file: str) -> None:
    """`at` is then a truth, and when it happened cannot be told."""
    asks = file.format(name="named").replace("outcome.subscribed", "outcome.at = 'branch'")
    assert http.put("/endpoints/named", content=asks).status_code == 200
    asked = httpx.post(calls["url"].replace("/calls", "/named"), json=ONE, timeout=PATIENCE_S)
    (told,) = (row["prediction_id"] for row in asked.json()["predictions"])
    reply = http.post("/endpoints/named/outcomes", json=[{"prediction_id": told, "at": "branch"}])
    assert reply.json()["accepted"] == 1, reply.text
    assert sql(http, "select outcome.at from named.outcomes") == [["branch"]]
