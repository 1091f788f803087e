"""The arms of an endpoint side by side."""

from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Url, client

By = Annotated[
    str | None, typer.Option(metavar="EXPRESSION", help="Also by segment: an expression over inputs, as in inputs.job.")
]
_COLUMNS = ("arm", "role", "share", "decisions", "value", "interval", "difference", "difference_interval", "latency",
            "errors", "violations")  # fmt: skip


def experiment(endpoint: Endpoint, by: By = None, url: Url = None, as_json: Json = False) -> None:
    """Every arm's share, decisions and money per decision, and the difference from the champion.

    All intervals of differences hold together, at every look.
    """
    found = client(url).endpoint(endpoint).experiment(by)
    if as_json:
        return show.put_json(found)
    typer.echo(show.safe(f"{endpoint}, in {found['currency']} per decision"))
    show.table([_row(arm) for arm in found["arms"]], _COLUMNS, "no arms")
    for segment in found["segments"]:
        typer.echo(show.safe(f"\n{by} = {segment['segment']}"))
        show.table([_row(arm) for arm in segment["arms"]], _COLUMNS[:8], "no arms")
    for arm in found["arms"]:
        for text in arm["guardrails"]:
            typer.echo(show.safe(f"{arm['arm']}: {text}"))
    typer.echo("\n" + show.safe(found["note"]))
    for text in (found["sample_ratio"]["note"], *found["assumptions"]):
        typer.echo(show.safe(f"- {text}"))


def _row(arm: dict[str, Any]) -> dict[str, Any]:
    gain = arm["difference"]
    return {
        "arm": arm["arm"],
        "role": arm["role"],
        "share": "watches" if arm["watches"] else show.percent(arm["share"]),
        "decisions": arm["decisions"],
        "value": f"{arm['value']:,.4g}",
        "interval": _between(arm),
        "difference": None if gain is None else f"{gain['per_decision']:+,.4g}",
        "difference_interval": None if gain is None else _between(gain),
        "latency": None if arm["latency_us"] is None else f"{arm['latency_us'] / 1e3:.3g} ms",
        "errors": show.percent(arm["errors"]),
        "violations": show.percent(arm["violations"]),
    }


def _between(told: dict[str, Any]) -> str | None:
    return None if told["low"] is None else f"{told['low']:,.4g} to {told['high']:,.4g}"


COMMANDS = (experiment,)
