"""A whole payoff for end-to-end stories: real processes, real sockets, a home of its own."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from payoff.demo.server import Server, running
from tests.walks.wire import Door, door


@pytest.fixture(scope="session", autouse=True)
def _files() -> None:
    """Some tests hold more connections than a process may usually have files open."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def server(home: Path) -> Iterator[Server]:
    with running(home, workers=2) as found:
        yield found


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A worker's door, for tests that speak to it by raw sockets."""
    with door(tmp_path_factory.mktemp("door")) as found:
        yield found


@pytest.fixture
def the_next_caller_is_answered(at: Door) -> Iterator[None]:
    """Whatever a test did to the door."""
    yield
    at.still_answers()
