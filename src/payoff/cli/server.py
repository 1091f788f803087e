"""The options that every command talking to a server has, and the client they make."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from payoff.client.client import Client

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="PAYOFF_URL", help="The server's console and API door [http://127.0.0.1:8080]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of words.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it stands in the audit trail.")]
Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's name.", show_default=False)]
OneEndpoint = Annotated[
    str | None, typer.Argument(metavar="[ENDPOINT]", help="Only this endpoint's.", show_default=False)
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, help="At most so many, the newest first.")]


def client(url: str | None) -> "Client":
    """A client with the key from PAYOFF_KEY, if any."""
    from payoff.client.connect import connect

    return connect(url)
