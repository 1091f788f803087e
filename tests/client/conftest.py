"""A running payoff for the tests of the client: real processes, real sockets."""

from collections.abc import Iterator

import pandas as pd
import pytest

from payoff.client import Client, connect
from payoff.demo.server import Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("client") / "home", workers=1) as found:
        yield found


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[Client]:
    with connect(server.api) as found:
        yield found


@pytest.fixture(scope="session")
def customers() -> pd.DataFrame:
    """Forty customers with mixed columns; the old ones and the students subscribe."""
    ages, jobs = [*range(20, 60)], ["student", "admin.", "services", "technician"] * 10
    frame = pd.DataFrame({"age": ages, "job": jobs, "balance": [float(100 * (i % 7)) for i in range(40)]})
    return frame.set_index(pd.Index([f"c{i}" for i in range(40)]))
