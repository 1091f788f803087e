"""`payoff selftest`: would the guards stop what does not deserve it?"""

from typing import Annotated

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Url, client

Runs = Annotated[int, typer.Option(min=20, max=2_000, help="Try so many times.")]


def selftest(endpoint: Endpoint, runs: Runs = 200, url: Url = None, as_json: Json = False) -> None:
    """Try the guards on the endpoint's own decisions with nothing to be found in them (A/A).

    Exit status 1 if one of them gives clearly more false verdicts than its error allows.
    """
    found = client(url).endpoint(endpoint).selftest(runs)
    if as_json:
        show.put_json(found)
    else:
        for one in found["guards"]:
            typer.echo(show.safe(one["text"]))
            typer.echo(show.safe(f"  tried on {one['on']}"))
    if not found["passed"]:
        raise typer.Exit(1)


COMMANDS = (selftest,)
