"""Runners and crews of kinds that live in a folder beside these tests, in payoff's own interpreter."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from payoff.records.columns import Column, Columns
from payoff.records.model import Bounds
from payoff.runner.crew import Crew
from payoff.runner.runner import Runner
from payoff.runner.zygote import Zygotes

KINDS = Path(__file__).parent / "kinds"
PYTHON = Path(sys.executable)
SMALL = Bounds(memory_bytes_max=512 << 20, load_s_max=300.0, call_s_max=300.0)  # times that end only what hangs
CALL_S = 3.0  # where a call shall hang: thousands of times what the others take

Start = Callable[..., Runner]
Gather = Callable[..., Crew]


def ask_to(*deeds: str) -> Columns:
    """Rows for the wild kind."""
    return {"do": Column(np.array(deeds, object))}


def told(answer: dict[str, Column]) -> list[str]:
    """What the wild kind tells."""
    return [str(value) for value in answer["told"].values]


@pytest.fixture(scope="session")
def zygotes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygotes]:
    """For models of all these tests."""
    folder = tmp_path_factory.getbasetemp()
    made = Zygotes(read=[folder, KINDS], write=[folder])
    yield made
    made.close()


@pytest.fixture(params=["from a zygote", pytest.param("the long way", marks=pytest.mark.slow)])
def forks(request: pytest.FixtureRequest, zygotes: Zygotes) -> Zygotes | None:
    """Both ways in which a process comes about."""
    return zygotes if request.param == "from a zygote" else None


@pytest.fixture
def start(tmp_path: Path, forks: Zygotes | None) -> Iterator[Start]:
    """Starts runners that end with the test."""
    made: list[Runner] = []

    def begin(kind: str = "wild", bounds: Bounds = SMALL, **options: Any) -> Runner:
        runner = Runner.start(
            PYTHON, kind, tmp_path / "artefact", options, bounds, tmp_path / "scratch", kinds_path=KINDS, zygotes=forks
        )
        made.append(runner)
        return runner

    yield begin
    for runner in made:
        runner.close()


@pytest.fixture
def gather(tmp_path: Path, forks: Zygotes | None) -> Iterator[Gather]:
    """Makes crews that end with the test; they are not started."""
    made: list[Crew] = []

    def begin(kind: str = "wild", bounds: Bounds = SMALL, **options: Any) -> Crew:
        scratch = tmp_path / "scratch"
        crew = Crew(PYTHON, kind, tmp_path / "artefact", options, bounds, scratch, kinds_path=KINDS, zygotes=forks)
        made.append(crew)
        return crew

    yield begin
    for crew in made:
        crew.close()
