"""A registry in a file of its own."""

from pathlib import Path

import pytest

from payoff.registry import Registry, connect


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/payoff.db"


@pytest.fixture
def registry(url: str) -> Registry:
    return connect(url)
