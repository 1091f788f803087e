"""`payoff drill`: does the plug work, and how fast?"""

import json
from typing import Annotated

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Url, client

Rows = Annotated[int, typer.Option("--rows", min=200, max=100_000, help="Replay so many recorded predictions.")]
Loss = Annotated[
    float | None,
    typer.Option("--loss", min=0.0, help="What the injected model loses per decision [0.3 of its spread]."),
]
Incident = Annotated[
    int | None,
    typer.Option(
        "--incident", help="Replay what was recorded before this order, as it was: would it be stopped today?"
    ),
]


def drill(
    endpoint: Endpoint, rows: Rows = 2_000, loss: Loss = None, incident: Incident = None, url: Url = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Inject a losing model into a copy of the endpoint, and measure time and money until it is stopped.

    Recorded traffic goes through the real doors; no caller notices. Exit status 1 if it was not stopped.
    """
    from payoff.drill import drill as run

    house = client(url)
    before = None if incident is None else _last_before(house.orders(endpoint, limit=1_000), incident)
    say = (lambda _: None) if as_json else (lambda text: typer.echo(show.safe(text)))
    found = run(house, endpoint, rows, loss, before, say)
    if as_json:
        typer.echo(json.dumps(found.plain(), indent=2))
    else:
        typer.echo("\n".join(map(show.safe, found.lines())))
    if not found.passed:
        raise typer.Exit(1)


def _last_before(orders: list[dict[str, object]], incident: int) -> str:
    """The id of the first moment after an order: what was recorded before it sorts before."""
    from datetime import datetime

    from payoff.errors import NotFound
    from payoff.journal import ids

    for order in orders:
        if order["id"] == incident:
            at = datetime.fromisoformat(str(order["at"]))
            return ids.floor(int(at.timestamp() * 1e6))
    known = ", ".join(str(order["id"]) for order in orders if order["verb"] == "kill")
    raise NotFound(f"there is no order {incident} on this endpoint; kills so far: {known or 'none'}")


COMMANDS = (drill,)
