"""Async tests run on asyncio; a home with an endpoint of every kind for the clients of both doors."""

from pathlib import Path

import pytest

from payoff.records import Role
from payoff.store import live
from tests.gateway import endpoints
from tests.gateway.test_worker import revision


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    live.publish(path, revision(path, 1, (Role.CHAMPION, 2, 0)))
    endpoints.publish(path)
    return path
