"""The bank story, played: what the README tells is what happens."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from payoff.demo import bank


def play(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "payoff.cli.main",
        "demo",
        "--headless",
        "--json",
        "-o",
        str(tmp_path / "story.png"),
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_the_champion_is_stopped_in_october_2008_by_the_guard_and_nothing_is_lost(tmp_path: Path) -> None:
    found = play(tmp_path, "--rows", "200")
    (kill,) = [order for order in found["orders"] if order["order"] == "kill"]
    assert kill["version"] == 1
    assert kill["date"].startswith("2008-10")
    assert kill["by"] == "guard: loses money"
    assert 61 <= kill["after_predictions"] <= 90
    assert found["answered"] == found["journaled"] == 200
    assert found["failed_requests"] == 0
    assert {row["version"] for row in found["versions"]} == {1, None}
    v1 = next(row for row in found["versions"] if row["version"] == 1)
    assert v1["net"] == pytest.approx(v1["value"] - v1["cost"])
    assert v1["interval"] == [None, None]  # too few decisions to learn how far amounts range
    assert v1["vs_fallback"] < 0
    assert (tmp_path / "story.png").read_bytes().startswith(b"\x89PNG")
    assert "What term-deposit earned" in (tmp_path / "story.html").read_text()


def test_the_data_are_the_calls_of_the_story() -> None:
    calls = bank.calls()
    assert len(calls) == 45_211
    assert calls["called_on"].is_monotonic_increasing
    assert not {"duration_s", "subscribed", "called_on"} & set(bank.FEATURES)


def test_calling_everybody_was_worth_what_the_story_says() -> None:
    worth = bank.worth(bank.calls())
    assert [round(float(np.sum(worth[a:b]))) for a, b in ((24_000, 30_000), (36_000, 40_000), (40_000, 45_211))] == [
        1_224,
        13_625,
        123_299,
    ]
