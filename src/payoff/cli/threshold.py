"""The decision threshold: what the present one leaves on the table, and moving it when asked."""

from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Reason, Url, client

LINES = 12  # of the curve, as it is printed
Apply = Annotated[bool, typer.Option("--apply", help="Give the order that moves it, with this as its evidence.")]


def threshold(
    endpoint: Endpoint, apply: Apply = False, reason: Reason = "", url: Url = None, as_json: Json = False
) -> None:
    """Money per decision by decision threshold, from matured outcomes, and the threshold to take.

    For decisions such as `outputs.probability > 0.5`. Nothing moves without --apply.
    """
    house = client(url).endpoint(endpoint)
    if apply:
        done = house.apply_threshold(reason)
        if as_json:
            return show.put_json(done)
        typer.echo(show.safe(done["threshold"]["note"]))
        typer.echo(show.safe(f"{endpoint} now runs revision {done['revision']}"))
        return
    found = house.threshold()
    if as_json:
        return show.put_json(found)
    show.table(_curve(found), ["threshold", "per_decision", ""], "")
    typer.echo(
        f"\nbest between {found['best_low']:.4g} and {found['best_high']:.4g}, from {found['rows']:,} matured decisions"
    )
    typer.echo(show.safe(found["note"]))
    for assumption in found["assumptions"]:
        typer.echo(show.safe(f"- {assumption}"))
    if found["worth_it"]:
        typer.echo(show.safe(f"to move it: payoff threshold {endpoint} --apply"))


def _curve(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Some points of the curve, with the present and the suggested threshold among them."""
    points = list(zip(found["thresholds"], found["profit"], strict=True))
    marks = {"present": found["present"], "suggested": found["best"]}
    near = {min(range(len(points)), key=lambda n: abs(points[n][0] - at)): name for name, at in marks.items()}
    step = max(1, len(points) // LINES)
    places = sorted({*range(0, len(points), step), *near})
    return [
        {"threshold": f"{points[n][0]:.4g}", "per_decision": f"{points[n][1]:,.4f}", "": near.get(n, "")}
        for n in places
    ]


COMMANDS = (threshold,)
