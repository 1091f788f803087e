"""The path that lists what single decisions were worth: what drills, power and off-policy estimates start from."""

import math
from typing import Annotated, Any

from litestar import get
from litestar.params import Parameter

from payoff.api.engines import House
from payoff.errors import BadInput
from payoff.journal.matured import Matured as Settled
from payoff.ledger import prices
from payoff.monitor.evidence import history, read
from payoff.monitor.matured import Matured, matured
from payoff.monitor.worth import worth
from payoff.records import Revision, names

ROWS_MAX = 100_000
Rows = Annotated[int, Parameter(ge=1, le=ROWS_MAX, description="Of the latest so many answered predictions.")]
BeforeId = Annotated[str | None, Parameter(description="Only those before this prediction.")]


@get("/endpoints/{endpoint:str}/matured", sync_to_thread=True)
def list_matured(house: House, endpoint: str, rows: Rows = 2_000, before: BeforeId = None) -> dict[str, Any]:
    """What each of the latest decisions was worth, as decided and as the fallback would have decided, oldest first.

    Only what has matured. `side` is the version, "holdout", or "" for the fallback. Amounts are in units of the
    endpoint's currency; null where nobody knows.
    """
    past = history(house.registry, names.check(endpoint, "endpoint"))
    if not past:
        raise_unknown(house, endpoint)
    found = latest(house, past, rows, before or "~")
    return {"endpoint": endpoint, "currency": past[-1].policy.currency, "rows": _plain(found)}


def latest(house: House, past: list[Revision], rows: int, before_id: str = "~") -> Matured:
    """The matured ones among the latest answered predictions before an id, in order, at most ROWS_MAX."""
    revision = past[-1]
    if revision.policy.value is None:
        raise BadInput(f"nobody said what a decision on {revision.endpoint} is worth; give it a 'value'")
    after = house.journal.behind(revision.endpoint, rows, before_id)
    price = prices.read(house.home)
    settled: Settled = read(house.journal, past, after, worth(revision), price, house.clock())
    found = matured(settled.rows, past, price)
    return found.take(found.ids.astype(str) < before_id)


def raise_unknown(house: House, endpoint: str) -> None:
    """NotFound, with the endpoints there are."""
    house.registry.current(endpoint)


def _plain(found: Matured) -> list[dict[str, Any]]:
    columns = {
        "prediction_id": found.ids, "version": found.arm, "side": found.side, "shadow": found.shadow,
        "explored": found.explored, "value": found.worth, "fallback": found.fallback, "cost": found.cost,
    }  # fmt: skip
    lists = [column.tolist() for column in columns.values()]
    return [dict(zip(columns, map(_known, row), strict=True)) for row in zip(*lists, strict=True)]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


HANDLERS: list[Any] = [list_matured]
