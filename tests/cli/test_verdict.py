"""`payoff verdict`: how sure payoff is of what, in a table, in sentences, and computed again."""

import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from payoff.cli import main
from payoff.client.connect import connect
from payoff.demo.server import Server
from tests.shared import PATIENCE_S, until

FILE = """
endpoint: vain
arms:
  champion: {model: vain, version: 1}
decision: outputs.probability > 0.5
value: case when decision then (case when outcome.subscribed then 60 else 0 end) - 2 else 0 end
fallback: {decision: false}
guards:
  - {when: loses money, error: 1%, gain_cap: 20, do: kill}
"""
Say = Callable[..., str]


@pytest.fixture
def say(server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command against the server, in this process; what it prints, if it ends with this status."""

    def run(*words: str, status: int = 0) -> str:
        monkeypatch.setenv("PAYOFF_URL", server.api)
        monkeypatch.setattr(sys, "argv", ["payoff", *words])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        assert int(ended.value.code or 0) == status, said.err
        return said.out + said.err

    return run


@pytest.fixture(scope="module")
def killed(server: Server, artifact: Path) -> int:
    """An endpoint whose model called 200 people in vain and was killed for it; the number of the verdict."""
    house = connect(server.api)
    vain = house.deploy(str(artifact), "vain")
    house.apply(FILE)
    answers = vain.predict([{"age": 90.0}] * 200)
    vain.outcomes([{"prediction_id": row["prediction_id"], "subscribed": False} for row in answers])
    until(lambda: [one["role"] for one in vain.verdicts()["now"]] == ["killed"], "the watch to see its order, too")
    return int(vain.verdicts()["on_file"][0]["id"])


def test_a_table_says_how_far_the_evidence_has_come_and_what_is_on_file(say: Say, killed: int) -> None:
    said = say("verdict", "vain")
    for words in ("vain v1", "killed", "loses money against fallback", "-2.00", "on file"):
        assert words in said


def test_explain_says_what_was_compared_how_sure_and_what_would_change_it(say: Say, killed: int) -> None:
    said = say("verdict", "vain", "--explain")
    for words in (
        "vain v1 earned 2.00 EUR less per prediction than the fallback",
        "at most 1 of 100 such watches",
        "The verdict stands",
        "The guard 'loses money' acts on it: kill, with an error of 1%.",
        "where an outcome is missing, those after it wait, 1d at most",
    ):
        assert words in said


def test_json_is_one_document(say: Say, killed: int) -> None:
    assert json.loads(say("verdict", "vain", "--json"))["on_file"][0]["id"] == killed


def test_a_verdict_is_computed_again_and_a_changed_record_is_found_out(say: Say, killed: int, home: Path) -> None:
    assert "computed again: the same" in say("verdict", "vain", "--recompute", str(killed))
    with closing(sqlite3.connect(home / "payoff.db", timeout=PATIENCE_S)) as database, database:
        database.execute("UPDATE verdicts SET verdict = json_set(verdict, '$.e_value', 3.5) WHERE id = ?", (killed,))
    assert "computed again: now" in say("verdict", "vain", "--recompute", str(killed), status=1)
