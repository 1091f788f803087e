"""The whole loop at the command line: deploy, predict, say what happened, read what it earned, move it, ask in SQL."""

import csv
import io
import json
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow.parquet
import pytest

from payoff.cli import main
from payoff.demo.server import Server
from tests.shared import PATIENCE_S

FILE = """
endpoint: calls
arms:
  champion: {model: calls, version: 1}
decision: outputs.probability > 0.5
value: case when decision then (case when outcome.subscribed then 60 else 0 end) - 2 else 0 end
fallback: {decision: true}
"""
Say = Callable[..., str]


@pytest.fixture
def say(server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command against the server, in this process; its stdout, if it succeeds."""

    def run(*words: str, stdin: str = "", status: int = 0) -> str:
        monkeypatch.setenv("PAYOFF_URL", server.api)
        monkeypatch.setattr(sys, "argv", ["payoff", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        assert int(ended.value.code or 0) == status, said.err
        return said.err if status else said.out

    return run


@pytest.fixture
def deployed(say: Say, artifact: Path) -> str:
    """What the deploy of `calls` says; the endpoint then has a decision and a value."""
    said = say("deploy", str(artifact), "--name", "calls", "--reason", "a walk")
    say("apply", "-", stdin=FILE)
    return said


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text("age\n20\n80\n")
    return path


def test_deploy_prints_a_curl_line_that_works(deployed: str) -> None:
    line = next(line for line in deployed.splitlines() if line.startswith("curl "))
    done = subprocess.run(shlex.split(line), capture_output=True, check=True, timeout=PATIENCE_S)
    assert len(json.loads(done.stdout)["predictions"]) == 1
    assert " s  upload" in deployed


@pytest.mark.parametrize("suffix", [".csv", ".json", ".jsonl", ".parquet", ".arrow"])
def test_rows_in_any_format_answers_in_any_format(
    say: Say, deployed: str, rows: Path, tmp_path: Path, suffix: str
) -> None:
    first, back = tmp_path / f"first{suffix}", tmp_path / f"back{suffix}"
    say("predict", "calls", str(rows), "-o", str(first))
    if suffix == ".csv":
        assert [row["decision"] for row in csv.DictReader(first.open())] == ["false", "true"]
    asked = tmp_path / f"asked{suffix}"
    asked.write_bytes({
        ".csv": b"age\n20\n80\n", ".json": b'[{"age": 20}, {"age": 80}]', ".jsonl": b'{"age": 20}\n{"age": 80}\n',
    }.get(suffix, b""))  # fmt: skip
    if suffix in (".parquet", ".arrow"):
        import pyarrow as pa

        from payoff.client import frames

        table = pa.table({"age": [20.0, 80.0]})
        if suffix == ".parquet":
            pyarrow.parquet.write_table(table, asked)
        else:
            asked.write_bytes(frames.stream(table))
    say("predict", "calls", str(asked), "-o", str(back))
    assert back.stat().st_size > 0


def test_the_loop(say: Say, deployed: str, rows: Path) -> None:
    answers = json.loads(say("predict", "calls", str(rows), "--json"))
    told = "\n".join(json.dumps({"prediction_id": one["prediction_id"], "subscribed": True}) for one in answers)
    assert "2 outcomes accepted" in say("outcomes", "calls", "-", "--format", "jsonl", stdin=told)
    assert "calls v1" in say("roi", "calls")
    roi = json.loads(say("roi", "calls", "--json"))
    assert roi["versions"][0]["value"] % 58 == 0
    newest = json.loads(say("predictions", "calls", "--limit", "2", "--json"))
    assert {row["id"] for row in newest} == {one["prediction_id"] for one in answers}


def test_the_statement_as_files(say: Say, deployed: str, tmp_path: Path) -> None:
    page, text, table = (tmp_path / name for name in ("all.html", "all.csv", "all.parquet"))
    say("roi", "--html", str(page), "--csv", str(text), "--parquet", str(table))
    assert "What calls earned" in page.read_text()
    said = say("roi", "calls", "--json")
    rows = json.loads(said)["versions"]
    assert text.read_text().splitlines()[0].startswith("endpoint,currency,watched,model,version")
    found = pyarrow.parquet.read_table(table)
    assert {"uplift_baseline", "uplift_net", "idle"} <= set(found.column_names)
    assert found["endpoint"].to_pylist().count("calls") >= len(rows)


def test_lists_are_tables_for_people_and_json_for_programs(say: Say, deployed: str) -> None:
    for words in (["models"], ["endpoints"], ["versions", "calls"], ["revisions", "calls"], ["orders"], ["findings"],
                  ["predictions", "calls"], ["roi"], ["doctor"]):  # fmt: skip
        assert say(*words).strip()
        assert isinstance(json.loads(say(*words, "--json")), list | dict)


def test_a_version_is_shown_named_and_compared(say: Say, deployed: str, tmp_path: Path) -> None:
    rule = tmp_path / "calls.sql"
    rule.write_text("inputs.age / 100.0")
    rows = tmp_path / "sample.csv"
    rows.write_text("age\n20\n80\n")
    said = say("deploy", str(rule), "--name", "rules", "--sample", str(rows), "--metric", "auc=0.7", "--data", "s3://x",
               "--note", "a first guess")  # fmt: skip
    assert "rules v1 is champion on rules (revision 1), rule" in said
    rule.write_text("inputs.age / 50.0")
    say("deploy", str(rule), "--name", "rules", "--sample", str(rows), "--metric", "auc=0.8")
    assert "rules@approved is v2" in say("alias", "rules", "approved", "2")
    about = say("versions", "rules", "--version", "1")
    for words in ("golden rows  yes", "s3://x", "a first guess", '{"auc": 0.7}'):
        assert words in about
    assert json.loads(say("versions", "rules", "--version", "approved", "--json"))["version"] == 2
    side = say("diff", "rules", "1", "v2")
    for words in ("rules v1 -> rules v2", "inputs: the same", "lineage.metrics.auc", "answers to 2 rows", "rows/s"):
        assert words in side
    found = json.loads(say("diff", "rules@1", "rules@approved", "--sample", str(rows), "--json"))
    assert found["answers"][0]["largest"] == pytest.approx(0.8)
    assert "name two versions" in say("diff", "rules", "1", status=2)


def test_orders_move_versions_and_say_how_long_it_took(say: Say, deployed: str) -> None:
    assert "calls now runs revision" in say("kill", "calls", "--reason", "a drill")
    assert "nothing to ramp" in say("ramp", "calls", "10%", status=1)
    assert "calls now runs revision" in say("revive", "calls", "--reason", "over")
    assert "calls now runs revision" in say("rollback", "calls", "--to", "1", "--reason", "back")
    say("apply", "-", stdin=FILE)
    verbs = [row["verb"] for row in json.loads(say("orders", "calls", "--json"))]
    assert verbs[:4] == ["apply", "rollback", "revive", "kill"]


def test_challengers_get_their_shares_and_retire(say: Say, deployed: str, tmp_path: Path) -> None:
    rule = tmp_path / "calls.sql"
    for n in (2, 3):
        rule.write_text(f"inputs.age / {n}00.0")
        say("deploy", str(rule), "--name", f"rule-{n}", "--endpoint", "shares",
            *(("--traffic", "10%") if n > 2 else ()), "--sample", str(_ages(tmp_path)))  # fmt: skip
    assert "allocate: shares now runs revision 3" in say("allocate", "shares", "challenger=20%", "--reason", "more")
    arms = json.loads(say("endpoints", "--json"))
    assert next(one for one in arms if one["endpoint"] == "shares")["arms"][1]["traffic"] == 0.2
    assert "no share of the traffic" in say("allocate", "shares", "challenger=lots", status=2)
    assert "is not KEY=VALUE" in say("allocate", "shares", "challenger", status=1)
    assert "retire: shares now runs revision 4" in say("retire", "shares", "--reason", "it was a try")
    assert "nothing to retire on shares" in say("retire", "shares", status=1)


def _ages(folder: Path) -> Path:
    rows = folder / "ages.csv"
    rows.write_text("age\n20\n80\n")
    return rows


def test_an_order_that_was_changed_by_hand_is_named(say: Say, deployed: str, home: Path) -> None:
    last = json.loads(say("orders", "--limit", "1", "--json"))[0]
    assert f"the audit trail is whole; its last link is {last['chain']}" in say("orders", "--verify")
    assert json.loads(say("orders", "--verify", "--json"))["whole"]
    with closing(sqlite3.connect(home / "payoff.db", PATIENCE_S, isolation_level=None)) as db:
        db.execute("update orders set reason = reason || '!' where id = 1")
        said = say("orders", "--verify", status=1)
        assert said.startswith("payoff: order 1 (deploy of ")
        assert "is not what was recorded" in said
        say("doctor", status=1)
        db.execute("update orders set reason = substr(reason, 1, length(reason) - 1) where id = 1")
    assert json.loads(say("orders", "--verify", "--json"))["whole"]


def test_a_file_tells_what_it_would_change(say: Say, deployed: str) -> None:
    bolder = FILE.replace("0.5", "0.9")
    assert "+decision: outputs.probability > 0.9" in say("diff", "-", stdin=bolder)
    assert "nothing to change" in say("diff", "-", stdin=FILE)


@pytest.mark.parametrize(("form", "expected"), [
    ("table", "n\n7\n"), ("csv", "n\n7\n"), ("json", '[\n  {\n    "n": 7\n  }\n]\n'),
])  # fmt: skip
def test_sql_prints_rows(say: Say, server: Server, form: str, expected: str) -> None:
    assert say("sql", "select 7 as n", "--format", form) == expected


@pytest.mark.parametrize(("words", "said"), [
    pytest.param(["roi", "cals"], "did you mean 'calls'", id="an endpoint that is none"),
    pytest.param(["threshold", "calls"], "a threshold needs 100", id="too few rows for a threshold"),
    pytest.param(["experiment", "calls", "--by", "inputs.nope"], "there is no column", id="a segment by no column"),
    pytest.param(["promote", "calls"], "nothing to promote", id="nothing to promote"),
    pytest.param(["sql", "selekt"], "syntax error", id="no SQL"),
    pytest.param(["predict", "calls", "-", "--format", "json"], "", id="an empty body"),
])  # fmt: skip
def test_refusals_are_one_line(say: Say, deployed: str, words: list[str], said: str) -> None:
    error = say(*words, status=1)
    assert said.lower() in error.lower()
    assert error.startswith("payoff: ")
    assert "Traceback" not in error


def test_outcomes_that_cannot_be_booked_are_told_and_listed(
    say: Say, deployed: str, rows: Path, tmp_path: Path
) -> None:
    """The last test of all: for an hour, `payoff doctor` warns."""
    one, other = (row["prediction_id"] for row in json.loads(say("predict", "calls", str(rows), "--json")))
    told = tmp_path / "told.csv"
    told.write_text(f"prediction_id,subscribed,value\n{one},true,1e300\n{other},true,\n{other},false,\n")
    assert "row 0 (the first is 0): value is 1e+300" in say("outcomes", "calls", str(told), status=1)
    said = say("outcomes", "calls", str(told), "--keep-good")
    assert said == "2 outcomes accepted\n1 of them replace what was told before\n"
    assert json.loads(say("outcomes", "calls", str(told), "--keep-good", "--json"))["refused"] == 1
    listed = say("outcomes", "calls", "--refused")
    assert "no amount of money" in listed
    assert one in listed
    assert json.loads(say("outcomes", "calls", "--refused", "--json"))["reasons"]["no amount of money"] == 3
    assert "name the file of outcomes" in say("outcomes", "calls", status=1)
