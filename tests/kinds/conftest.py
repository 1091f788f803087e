"""One server of a test process for all kinds: each is a model of its own there."""

from collections.abc import Iterator
from typing import Any

import pytest

from payoff.demo.server import Server, running
from tests.shared import PATIENCE_S

PATIENT: dict[str, Any] = {"load_timeout": PATIENCE_S, "call_timeout": PATIENCE_S}  # for client.deploy


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("payoff") / "home", workers=1, patience_s=PATIENCE_S) as found:
        yield found
