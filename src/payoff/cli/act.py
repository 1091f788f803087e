"""Commands that move things: deploy, alias, promote, ramp, allocate, rollback, kill, revive, retire."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from payoff.cli import pairs, show
from payoff.cli.server import Endpoint, Json, Reason, Url, client

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
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file or folder; or mlflow:models:/NAME/VERSION.",
                                        show_default=False)],
    name: Annotated[str | None, typer.Option(help="The model's name [the file's].")] = None,
    endpoint: Annotated[str | None, typer.Option(help="The endpoint's name [the model's].")] = None,
    sample: Annotated[Path | None, typer.Option(help="A file of sample rows: CSV, JSON, Parquet, Arrow.")] = None,
    role: Annotated[str | None, typer.Option("--as", help="champion, challenger or shadow.")] = None,
    traffic: Annotated[str | None, typer.Option(help="The challenger's share: 10%.")] = None,
    flavor: Annotated[str | None, typer.Option(help="What the artefact is, if payoff cannot tell.")] = None,
    requirements: Annotated[
        str | None, typer.Option(metavar="FILE|TEXT", help="What it needs: a file, or 'a==1, b>=2' [what it says].")
    ] = None,
    python: Annotated[str | None, typer.Option(metavar="VERSION", help="The Python it needs: 3.11.")] = None,
    memory: Annotated[str | None, typer.Option(help="What one of its processes may use [4G].")] = None,
    call_timeout: Annotated[str | None, typer.Option(help="How long one call may take [30s].")] = None,
    load_timeout: Annotated[str | None, typer.Option(help="How long loading may take [120s].")] = None,
    runners: Annotated[int | None, typer.Option(min=1, help="Its processes in each worker [1].")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of one process [1].")] = None,
    network: Annotated[bool, typer.Option("--network", help="It may use the network.")] = False,
    native: Annotated[bool, typer.Option("--native", help="Never convert it: run it in its own framework.")] = False,
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for its flavor; repeatable.")] = None,
    code: Annotated[str | None, typer.Option(metavar="REF", help="The code it is from [git's commit].")] = None,
    data: Annotated[str | None, typer.Option(metavar="REF", help="The data it was trained on.")] = None,
    metric: Annotated[list[str] | None, typer.Option(metavar="NAME=NUMBER", help="How good it is; repeatable.")] = None,
    note: Annotated[str | None, typer.Option(help="Anything else to know of it.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="KEY=VALUE to keep with the version; repeatable.")] = None,
    author: Annotated[str | None, typer.Option(help="Who deploys [your login].")] = None,
    tracking: Annotated[
        str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="The MLflow server of mlflow:...")
    ] = None,
    reason: Reason = "",
    url: Url = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Put a model into production.

    A file or folder of any framework; see docs/models.md. It may take minutes the first time, while the model's
    environment is built.
    """
    from payoff.cli.going import Going

    going = Going(quiet=as_json)
    with going:
        made = client(url).deploy(
            path, name, sample=sample, endpoint=endpoint, as_=role, traffic=None if traffic is None else share(traffic),
            flavor=flavor, requirements=requirements, python=python, memory=memory, call_timeout=call_timeout,
            load_timeout=load_timeout, runners=runners, threads=threads, network=network, native=native,
            options=pairs.values(option, "option"), author=author, code=code, data=data,
            metrics=pairs.numbers(metric, "metric"), note=note, tags=pairs.texts(tag, "tag"), reason=reason,
            tracking=tracking, hears=going.hear,
        )  # fmt: skip
    done = made.deployment or {}
    if as_json:
        return show.put_json(done)
    going.rest(done["steps"])
    typer.echo(show.safe(f"{done['model']} v{done['version']} is {done['role']} on {done['endpoint']}"
                         f" (revision {done['revision']}), {_how(done)}"))  # fmt: skip
    show.notes(done)
    typer.echo(f"\n{done['url']}\n\n{done['curl']}")


def alias(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.", show_default=False)],
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="A word for a version.", show_default=False)],
    version: Annotated[int, typer.Argument(metavar="VERSION", help="The version's number.", show_default=False)],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Point a name such as `approved` at a version."""
    done = client(url).alias(model, alias, version)
    if as_json:
        return show.put_json(done)
    typer.echo(show.safe(f"{done['model']}@{done['alias']} is v{done['version']}"))


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


def allocate(
    endpoint: Endpoint,
    shares: Annotated[
        list[str], typer.Argument(metavar="ARM=SHARE...", help="challenger=20% next=5%.", show_default=False)
    ],
    reason: Reason = "",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Give several challengers their shares at once."""
    wanted = {arm: share(traffic) for arm, traffic in pairs.texts(shares, "share").items()}
    _order(url, as_json, endpoint, "allocate", shares=wanted, reason=reason)


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


def retire(endpoint: Endpoint, arm: Arm = None, reason: Reason = "", url: Url = None, as_json: Json = False) -> None:
    """Take a challenger, a shadow or a killed challenger off the endpoint."""
    _order(url, as_json, endpoint, "retire", arm=arm, reason=reason)


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


def _how(done: dict[str, Any]) -> str:
    """What it turned out to be, and how it runs."""
    flavor, runs = done["flavor"], done["served"]["flavor"]
    if runs == "native":
        return f"{flavor} in its own framework"
    return flavor if runs == flavor else f"{flavor} converted to {runs.upper()}"


COMMANDS = (deploy, alias, promote, ramp, allocate, rollback, kill, revive, retire)
