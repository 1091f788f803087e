"""A whole payoff for end-to-end stories: real processes, real sockets, a home of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from payoff.demo.server import Server, running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with running(home, workers=2) as found:
        yield found
