"""A registry in a file of its own."""

from pathlib import Path

import pytest

from payoff.registry import Registry
from payoff.registry.schema import MIGRATIONS
from payoff.store import database
from tests.shared import PATIENCE_S


def patient(url: str) -> Registry:
    """As `connect`, for many who write at once: it waits for the others however long this machine lets them take."""
    engine = database.open(url, busy_s=PATIENCE_S)
    database.migrate(engine, MIGRATIONS)
    return Registry(engine)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/payoff.db"


@pytest.fixture
def registry(url: str) -> Registry:
    return patient(url)
