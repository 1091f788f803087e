"""`payoff costs` at the command line: words, JSON, CSV, FOCUS."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from payoff.cli import main
from payoff.demo.server import Server
from tests.shared import until

Say = Callable[..., str]


@pytest.fixture
def say(server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command against the server, in this process; what it prints."""

    def run(*words: str, status: int = 0) -> str:
        monkeypatch.setenv("PAYOFF_URL", server.api)
        monkeypatch.setattr(sys, "argv", ["payoff", *words])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        assert int(ended.value.code or 0) == status, said.err
        return said.err if status else said.out

    return run


@pytest.fixture
def metered(say: Say, artifact: Path, tmp_path: Path) -> None:
    """One endpoint that has answered, when it has been metered."""
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([{"age": 20.0}, {"age": 80.0}]))
    say("deploy", str(artifact), "--name", "dear", "--sample", str(rows))
    say("predict", "dear", str(rows))

    def priced() -> bool:
        lines = json.loads(say("costs", "dear", "--since", "2d", "--json"))["lines"]
        return any(line["break_even"] for line in lines)

    until(priced, "what the version must earn")


def test_costs_in_words_as_json_and_for_spreadsheets(say: Say, metered: None, tmp_path: Path) -> None:
    words = say("costs", "--since", "2d")
    assert "dear v1 on dear" in words
    assert "the bill of the house: " in words
    assert "dear v1 on dear must earn " in words
    assert "a core-hour costs 0.031611" in words

    (line,) = json.loads(say("costs", "dear", "--since", "2d", "--json"))["lines"]
    assert (line["model"], line["version"], line["predictions"] >= 2) == ("dear", 1, True)

    rows = list(csv.DictReader(io.StringIO(say("costs", "dear", "--since", "2d", "--by", "day", "--csv"))))
    assert {row["who"] for row in rows} == {"dear v1 on dear"}
    assert all("e" not in row[name] for row in rows for name in ("cpu", "idle", "overhead", "total"))
    assert "dear v1 on dear" in say("costs", "--by", "hour", "--since", "3h")

    file = tmp_path / "focus.csv"
    assert f"rows to {file}" in say("costs", "--since", "2d", "--focus", str(file))
    assert {row["ServiceName"] for row in csv.DictReader(file.open())} == {"payoff"}


def test_what_cannot_be_told_or_written_says_why(say: Say, metered: None, tmp_path: Path) -> None:
    assert "how long ago" in say("costs", "--since", "soon", status=1)
    assert "cannot write" in say("costs", "--focus", str(tmp_path / "no" / "focus.csv"), status=1)
