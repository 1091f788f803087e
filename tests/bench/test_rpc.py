"""The gRPC side of the load, against payoff's own door: messages larger than a window, and refusals."""

import asyncio
import base64
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

import payoff
from payoff.bench.asks import messages
from payoff.bench.bench import Wanted, bench
from payoff.bench.load import Load, Seen
from payoff.client.client import Client
from payoff.demo.server import running

GRPC = Wanted(protocol="grpc", connections=(2,), seconds=0.5)
ROWS = [{"score": place / 7} for place in range(50)]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("rpc") / "home", workers=1) as server:
        client = payoff.connect(server.api)
        client.deploy(payoff.rule("inputs.score", inputs={"score": "float64"}, output="p"), name="loans")
        yield client


def test_messages_larger_than_a_window_are_answered_as_small_ones_are(house: Client) -> None:
    large = bench(house, "loans", replace(GRPC, rows=20_000), ROWS)
    small = bench(house, "loans", GRPC, ROWS)
    assert [one.failed for one in (*large.steps, *small.steps)] == [0, 0]
    assert small.steps[0].answered > large.steps[0].answered > 0


def test_a_refusal_is_a_failure_with_its_words(house: Client) -> None:
    told = house.endpoint("loans").describe()
    door = urlsplit(told["urls"]["grpc"])
    asked = messages("nobody", told["signature"]["inputs"], ROWS, 1)
    job = {"host": door.hostname, "port": door.port, "grpc": True, "connections": 1, "seconds": 0.3,
           "requests": [base64.b64encode(one).decode() for one in asked]}  # fmt: skip

    async def run() -> Seen:
        return await Load(job).run()

    seen = asyncio.run(run())
    assert seen.answered == 0
    assert seen.failed > 0
    assert "nobody" in seen.why
