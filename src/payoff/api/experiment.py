"""The path that shows the arms of an endpoint side by side."""

from typing import Annotated, Any

from litestar import get
from litestar.params import Parameter

from payoff.api.engines import House
from payoff.ledger import prices
from payoff.monitor import arms
from payoff.monitor.evidence import history
from payoff.records import names

By = Annotated[str | None, Parameter(description="Also by segment: an expression over inputs, at most 20 segments.")]


@get("/endpoints/{endpoint:str}/experiment", sync_to_thread=True)
def experiment(house: House, endpoint: str, by: By = None) -> dict[str, Any]:
    """Share, decisions and value per decision of each arm, and the difference from the champion with its interval.

    All intervals of differences hold together, at every look. Amounts are in units of the endpoint's currency.
    """
    name = house.registry.current(names.check(endpoint, "endpoint")).endpoint
    found = arms.experiment(house.journal, history(house.registry, name), prices.read(house.home), by, house.clock)
    return arms.plain(found)


HANDLERS: list[Any] = [experiment]
