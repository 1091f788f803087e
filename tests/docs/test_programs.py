"""The programs in examples/ do what they say, each against a server of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from payoff.demo.server import Server, running

pytestmark = pytest.mark.docs

EXAMPLES = Path(__file__).parents[2] / "examples"
LINES_MAX = 100


@contextmanager
def server_at(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that the programs find by PAYOFF_URL."""
    with running(home, workers=1) as server:
        monkeypatch.setenv("PAYOFF_URL", server.api)
        monkeypatch.delenv("PAYOFF_KEY", raising=False)
        yield server


def said(program: str, folder: Path) -> str:
    """What a program prints; it must end well."""
    command = [sys.executable, str(EXAMPLES / program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=folder, env=dict(os.environ))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_a_first_model_earns_money_and_an_application_asks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_at(tmp_path / "home", monkeypatch):
        assert "500 outcomes accepted" in (printed := said("first_model.py", tmp_path))
        assert "first-model v1" in printed
        assert "outcomes accepted: 1" in said("ask_over_http.py", tmp_path)


def test_a_model_with_swapped_labels_is_stopped_by_its_guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server_at(tmp_path / "home", monkeypatch):
        printed = said("a_loser_is_stopped.py", tmp_path)
    assert "kill, by 'guard: loses money'" in printed
    assert "earned" in printed


def test_every_program_is_tried_and_short() -> None:
    programs = {path.name: len(path.read_text().splitlines()) for path in EXAMPLES.glob("*.py")}
    assert set(programs) == {"first_model.py", "ask_over_http.py", "a_loser_is_stopped.py"}
    assert max(programs.values()) < LINES_MAX
