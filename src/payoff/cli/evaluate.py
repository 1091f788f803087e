"""`payoff evaluate`: what would a candidate have earned, before it answers anybody?"""

from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Url, client

Which = Annotated[
    str,
    typer.Argument(metavar="MODEL:VERSION", help="The candidate; a number, an alias or latest.", show_default=False),
]
Decision = Annotated[
    str | None, typer.Option(metavar="SQL", help="How its outputs are decided [as the endpoint decides].")
]
Rows = Annotated[int, typer.Option("--rows", min=1, max=100_000, help="On the latest so many recorded predictions.")]
Method = Annotated[
    str | None, typer.Option(help="paired, dr, ips, snips, clipped, dm, sndr, switch-dr [the best that is possible].")
]


def evaluate(
    endpoint: Endpoint, candidate: Which, decision: Decision = None, rows: Rows = 2_000, method: Method = None,
    url: Url = None, as_json: Json = False,
) -> None:  # fmt: skip
    """What another version, or another decision, would have earned on recorded traffic: an estimate, never money.

    Exit status 1 if too little is recorded to tell.
    """
    model, _, version = candidate.partition(":")
    house = client(url).endpoint(endpoint)
    found = house.evaluate(model, version or "latest", decision=decision, rows=rows, method=method)
    if as_json:
        show.put_json(found)
    else:
        _print(found)
    if found["refusal"]:
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    typer.echo(show.safe(found["text"]))
    if found["refusal"]:
        return
    typer.echo(
        f"{found['rows']:,} recorded decisions, {found['differing']:,} of them otherwise; worth "
        f"{found['effective_rows']:,.0f} of its own; method: {found['method']}"
    )
    for text in found["assumptions"]:
        typer.echo(show.safe(f"- {text}"))


COMMANDS = (evaluate,)
