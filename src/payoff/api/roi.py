"""Paths that say what each version of an endpoint earned, and how far the guards have come with judging it."""

from typing import Any

from litestar import get

from payoff.api.engines import House
from payoff.records import names


@get("/endpoints/{endpoint:str}/judged", sync_to_thread=True)
def judged(house: House, endpoint: str) -> dict[str, Any]:
    """How far the guards have come: every outcome up to `outcome_id` was there when they last looked."""
    name = house.registry.current(names.check(endpoint, "endpoint")).endpoint
    found = house.watch.judged(name)
    return {"endpoint": name, "prediction_id": found.prediction_id, "outcome_id": found.outcome_id}


HANDLERS: list[Any] = [judged]
