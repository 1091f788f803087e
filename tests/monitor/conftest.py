"""The house that the tests of the monitor share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitor.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.writer.close()
    made.journal.close()
