"""A house for every test, and a flavor whose models compute elsewhere."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from payoff.flavors import FLAVORS
from payoff.serving import Heat, Limits
from tests.serving.elsewhere import MADE
from tests.serving.house import House
from tests.shared import PATIENCE_S

LIMITS, HEAT = Limits(), Heat(wait_s_max=PATIENCE_S)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    MADE.clear()
    monkeypatch.setitem(FLAVORS._own, "elsewhere", "tests.serving.elsewhere:FLAVOR")


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    """Makes houses with limits of their own."""
    built: list[House] = []

    def make(limits: Limits = LIMITS, heat: Heat = HEAT) -> House:
        built.append(House(tmp_path / f"home-{len(built)}", limits, heat))
        return built[-1]

    yield make
    for house in built:
        house.models.close()


@pytest.fixture
async def house(build: Callable[..., House]) -> House:
    return build()
