"""Rows over Flight, and servers that leave meanwhile."""

import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from payoff.client.flight import Flights
from payoff.client.trust import Trust
from payoff.errors import Unavailable
from tests.shared import PATIENCE_S

PART = pa.table({"x": [1.0, 2.0]})


class Leaving(flight.FlightServerBase):
    """Answers so many batches to what it has read whole, and then does what a server does whose time is over."""

    answered = 0

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        if self.answered:
            reader.read_all()  # as ours does: else the client, still asking, would not hear an answer
        writer.begin(PART.schema)
        for _ in range(self.answered):
            writer.write_table(PART)
        raise flight.FlightCancelledError("CANCELLED")


@pytest.fixture
def leaving() -> Iterator[Leaving]:
    with Leaving("grpc://127.0.0.1:0") as server:
        threading.Thread(target=server.serve, daemon=True).start()
        with flight.connect(f"grpc://127.0.0.1:{server.port}") as client:  # gRPC may still think nobody is at that port
            client.wait_for_available(timeout=int(PATIENCE_S))
        yield server


def test_a_call_that_a_leaving_server_never_looked_at_has_no_answers_and_may_be_made_elsewhere(
    leaving: Leaving,
) -> None:
    flights = Flights(f"grpc://127.0.0.1:{leaving.port}", None, Trust())
    assert [*flights.answers("e", PART)] == []


def test_a_call_that_breaks_off_between_its_answers_is_not_made_twice(leaving: Leaving) -> None:
    leaving.answered = 1
    flights = Flights(f"grpc://127.0.0.1:{leaving.port}", None, Trust())
    answers = flights.answers("e", PART)
    assert next(answers).num_rows == 2
    with pytest.raises(Unavailable, match="broke off"):
        next(answers)
