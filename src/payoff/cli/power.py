"""`payoff power`: before an experiment, what will a verdict take?"""

from enum import StrEnum
from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Json, Url, client


class Verdict(StrEnum):
    """What is waited for."""

    kill = "kill"
    promote = "promote"


Whose = Annotated[
    str | None,
    typer.Argument(metavar="[ENDPOINT]", help="Take spread, shape and pace from its record.", show_default=False),
]
Effect = Annotated[float | None, typer.Option(help="Money per decision; below 0 it loses [a choice of them].")]
Spread = Annotated[
    float | None, typer.Option(help="Standard deviation of a decision's money [the endpoint's record; else 1].")
]
Error = Annotated[str | None, typer.Option(help="Chance of a false verdict [the guard's; else 1%].")]
Cap = Annotated[float | None, typer.Option(help="Most that one decision is credited with [the guard's; else learned].")]
Which = Annotated[Verdict, typer.Option(help="Which verdict is waited for.")]
Share = Annotated[
    str | None, typer.Option(help="The version's part of the traffic; without ENDPOINT the sides are drawn at random.")
]
_COLUMNS = ("effect", "in_spreads", "reached", "decisions", "9_of_10", "days", "days_9_of_10", "lost", "lost_9_of_10")


def power(
    endpoint: Whose = None, effect: Effect = None, spread: Spread = None, error: Error = None, gain_cap: Cap = None,
    verdict: Which = Verdict.kill, share: Share = None, url: Url = None, as_json: Json = False,
) -> None:  # fmt: skip
    """How many decisions and how much money until a verdict, before an experiment.

    With ENDPOINT, spread, shape and pace are those of its recorded decisions.
    """
    said = {"effect": effect, "spread": spread, "error": error, "gain_cap": gain_cap, "share": share}
    found = _alone(verdict, said) if endpoint is None else client(url).endpoint(endpoint).power(verdict.value, **said)
    if as_json:
        return show.put_json(found)
    _print(found)


def _alone(verdict: Verdict, said: dict[str, Any]) -> dict[str, Any]:
    """Without a server: a normal shape."""
    from payoff.errors import BadInput
    from payoff.experiment.power import Setting, outlooks, plain
    from payoff.records.share import share

    parts = {name: None if said[name] is None else share(said[name]) for name in ("error", "share")}
    for name, found in parts.items():
        if said[name] is not None and found is None:
            raise BadInput(f"{said[name][:80]!r} is no {name}; say it as 10% or 0.1")
    part = parts["share"]
    setting = Setting(
        "kill" if verdict is Verdict.kill else "promote",
        1.0 if said["spread"] is None else said["spread"],
        0.01 if parts["error"] is None else parts["error"],
        cap=said["gain_cap"],
        share=1.0 if part is None else part,
        other=None if part is None else 1 - part,
    )
    basis = "money has a normal shape around 0; name an endpoint, and its record tells spread, shape and pace"
    return plain(setting, outlooks(setting, () if said["effect"] is None else (said["effect"],)), basis)


def _print(found: dict[str, Any]) -> None:
    spread = f"{found['spread']:,.4g} {found['currency']}".strip()
    pace = found["decisions_per_day"]
    paced = "" if pace is None else f", {pace:,.0f} decisions a day"
    verdict = "kill" if found["verdict"] == "kill" else "promotion"
    typer.echo(show.safe(f"until a {verdict} at an error of {found['error']:.2%}: spread {spread}{paced}"))
    columns = [name for name in _COLUMNS if pace is not None or "days" not in name]
    show.table([_row(one, found["horizon"]) for one in found["effects"]], columns, "")
    if found["warning"]:
        typer.echo("\n" + show.safe(f"mind: {found['warning']}"))
    typer.echo()
    for text in found["assumptions"]:
        typer.echo(show.safe(f"- {text}"))


def _row(one: dict[str, Any], horizon: int) -> dict[str, Any]:
    return {
        "effect": f"{one['effect']:,.4g}",
        "in_spreads": f"{one['in_spreads']:.2g}",
        "reached": show.percent(one["share_reached"]),
        "decisions": _by(one["decisions"], horizon),
        "9_of_10": _by(one["decisions_9_of_10"], horizon),
        "days": _days(one["days"]),
        "days_9_of_10": _days(one["days_9_of_10"]),
        "lost": f"{one['lost']:,.2f}",
        "lost_9_of_10": f"{one['lost_9_of_10']:,.2f}",
    }


def _by(decisions: int | None, horizon: int) -> str:
    return f"over {horizon:,}" if decisions is None else f"{decisions:,}"


def _days(days: float | None) -> str | None:
    return None if days is None else f"{days:,.1f}"


COMMANDS = (power,)
