"""Commands that move things: deploy, promote, ramp, rollback, kill, revive."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Reason, Url, client
from payoff.errors import BadInput

Arm = Annotated[
    str | None, typer.Argument(metavar="[ARM]", help="Which arm: its name, role or version.", show_default=False)
]


def share(text: str) -> float:
    """ "10%" or "0.1" as 0.1; wrong usage otherwise."""
    from payoff.records.share import share as read

    if (found := read(text)) is None:
        raise typer.BadParameter(f"{text!r} is no share of the traffic; write 10% or 0.1")
    return found


def deploy(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The model's file.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="The model's name [the file's].")] = None,
    endpoint: Annotated[str | None, typer.Option(help="The endpoint's name [the model's].")] = None,
    sample: Annotated[Path | None, typer.Option(help="A file of sample rows: CSV, JSON, Parquet, Arrow.")] = None,
    role: Annotated[str | None, typer.Option("--as", help="champion, challenger or shadow.")] = None,
    traffic: Annotated[str | None, typer.Option(help="The challenger's share: 10%.")] = None,
    flavor: Annotated[str | None, typer.Option(help="What the file is, if payoff cannot tell.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="KEY=VALUE to keep with the version; repeatable.")] = None,
    reason: Reason = "",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Put a model into production."""
    made = client(url).deploy(
        path, name, sample=sample, endpoint=endpoint, as_=role, traffic=None if traffic is None else share(traffic),
        flavor=flavor, reason=reason, tags=dict(map(_pair, tag or [])),
    )  # fmt: skip
    done = made.deployment or {}
    if as_json:
        return show.put_json(done)
    typer.echo(show.safe(f"{done['model']} v{done['version']} is {done['role']} on {done['endpoint']}"
                         f" (revision {done['revision']})"))  # fmt: skip
    told(done)
    typer.echo(f"\n{done['url']}\n\n{done['curl']}")


def promote(endpoint: Endpoint, arm: Arm = None, reason: Reason = "", url: Url = None, as_json: Json = False) -> None:
    """Make a challenger (or the arm named) the champion."""
    _order(url, as_json, endpoint, "promote", arm=arm, reason=reason)


def ramp(
    endpoint: Endpoint,
    traffic: Annotated[str, typer.Argument(metavar="TRAFFIC", help="The new share: 25%.", show_default=False)],
    arm: Arm = None,
    reason: Reason = "",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Give the challenger another share of the traffic."""
    _order(url, as_json, endpoint, "ramp", traffic=share(traffic), arm=arm, reason=reason)


def rollback(
    endpoint: Endpoint,
    to: Annotated[int | None, typer.Option("--to", help="The revision to bring back [the latest safe one].")] = None,
    reason: Reason = "",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Bring an old revision back."""
    _order(url, as_json, endpoint, "rollback", to=to, reason=reason)


def kill(endpoint: Endpoint, arm: Arm = None, reason: Reason = "", url: Url = None, as_json: Json = False) -> None:
    """Stop a version at once; the fallback answers.

    The champion, or the arm named, answers no more within a tenth of a second. It goes on in the shadow.
    The exit status is 1 if a living worker has not followed yet.
    """
    done = _order(url, as_json, endpoint, "kill", arm=arm, reason=_why(reason, "kill"))
    if late := behind(done):
        for words in late:
            show.warn(f"payoff: {words}; the version may still answer there: see `payoff doctor`")
        raise typer.Exit(1)


def revive(endpoint: Endpoint, arm: Arm = None, reason: Reason = "", url: Url = None, as_json: Json = False) -> None:
    """Bring a killed arm back into the role it had."""
    _order(url, as_json, endpoint, "revive", arm=arm, reason=_why(reason, "revive"))


def _order(url: str | None, as_json: bool, endpoint: str, verb: str, **details: Any) -> dict[str, Any]:
    done: dict[str, Any] = client(url).endpoint(endpoint).order(verb, **details)
    if as_json:
        show.put_json(done)
        return done
    typer.echo(show.safe(f"{verb}: {done['endpoint']} now runs revision {done['revision']}"))
    told(done)
    return done


def behind(done: dict[str, Any]) -> list[str]:
    """What the reply to an order says of living workers that do not serve its revision yet."""
    said = [step["what"] for step in done["steps"]] + done["notes"]
    return [words for words in said if re.match(r"worker \d+ (does not serve|could not load) ", words)]


def told(done: dict[str, Any]) -> None:
    """How long each step of an order took, and what its author may want to know."""
    for step in done["steps"]:
        typer.echo(show.safe(f"  {step['seconds']:7.3f} s  {step['what']}"))
    show.notes(done)


def _why(reason: str, verb: str) -> str:
    if not reason.strip():
        raise typer.BadParameter(f"{verb} takes a reason, for the audit trail: --reason '...'")
    return reason


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise BadInput(f"the tag {text!r} is not KEY=VALUE")
    return key, value


COMMANDS = (deploy, promote, ramp, rollback, kill, revive)
