"""The path that estimates what a candidate would have earned on an endpoint's recorded traffic."""

from typing import Annotated, Any

from litestar import get
from litestar.params import Parameter

from payoff.api.engines import House
from payoff.api.matured import ROWS_MAX
from payoff.api.versions import found
from payoff.monitor import offpolicy
from payoff.monitor.evidence import history
from payoff.records import names

Model = Annotated[str, Parameter(description="The candidate's model.")]
Version = Annotated[str, Parameter(query="version", description="A number, an alias, or `latest`.")]
Decision = Annotated[str | None, Parameter(description="SQL over inputs.* and outputs.*; else the endpoint's own.")]
Rows = Annotated[int, Parameter(ge=1, le=ROWS_MAX, description="Of the latest so many answered predictions.")]
Method = Annotated[str | None, Parameter(description="paired, dr, ips, snips, ...; else the best that is possible.")]


@get("/endpoints/{endpoint:str}/evaluate", sync_to_thread=True)
def evaluate(
    house: House, endpoint: str, model: Model, which: Version = "latest", decision: Decision = None,
    rows: Rows = 2_000, method: Method = None,
) -> dict[str, Any]:  # fmt: skip
    """What a version, or another decision over its outputs, would have earned per decision: an estimate, never money.

    The version is loaded in a process apart and asked the recorded rows. Where there is too little to go by, there is
    no value, and `refusal` says why.
    """
    name = house.registry.current(names.check(endpoint, "endpoint")).endpoint
    candidate = offpolicy.Candidate(found(house, model, which), decision)
    past = history(house.registry, name)
    return offpolicy.plain(offpolicy.evaluate(house.home, house.journal, past, candidate, rows, method, house.clock))


HANDLERS: list[Any] = [evaluate]
