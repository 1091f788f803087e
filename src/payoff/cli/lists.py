"""Commands that only look: models, endpoints, versions, revisions, predictions, findings, orders, roi, doctor."""

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Limit, OneEndpoint, Url, client

if TYPE_CHECKING:
    from payoff.client.roi import Roi


def models(url: Url = None, as_json: Json = False) -> None:
    """The models, their latest version and their aliases."""
    found = client(url).models()
    if as_json:
        return show.put_json(found)
    rows = [row | {"aliases": ", ".join(f"{a}={n}" for a, n in row["aliases"].items()) or None} for row in found]
    show.table(rows, ["model", "versions", "flavor", "created_at", "aliases"], "no models yet: payoff deploy PATH")


def versions(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """The versions of a model."""
    found = client(url).versions(model)
    if as_json:
        return show.put_json(found)
    rows = [row | {"digest": row["digest"][:12]} for row in found]
    show.table(rows, ["version", "flavor", "digest", "size_bytes", "created_at", "author"], "no versions")


def endpoints(url: Url = None, as_json: Json = False) -> None:
    """The endpoints and what answers on them."""
    found = client(url).endpoints()
    if as_json:
        return show.put_json(found)
    rows = [row | {"arms": _arms(row["arms"]), "url": row["urls"]["predict"]} for row in found]
    show.table(rows, ["endpoint", "revision", "arms", "url"], "no endpoints yet: payoff deploy PATH")


def revisions(endpoint: Endpoint, url: Url = None, as_json: Json = False) -> None:
    """Every configuration an endpoint ever had."""
    found = client(url).endpoint(endpoint).revisions()
    if as_json:
        return show.put_json(found)
    rows = [row | {"arms": _arms(row["arms"])} for row in found]
    show.table(rows, ["revision", "created_at", "author", "reason", "arms"], "no revisions")


def predictions(endpoint: Endpoint, limit: Limit = 20, url: Url = None, as_json: Json = False) -> None:
    """The latest predictions of an endpoint."""
    found = client(url).endpoint(endpoint).predictions(limit)
    if as_json:
        return show.put_json(found)
    columns = ["id", "time", "arm", "version", "decision", "why", "inputs", "outputs"]
    show.table(found, columns, f"no predictions yet: payoff predict {endpoint} FILE")


def findings(endpoint: OneEndpoint = None, limit: Limit = 50, url: Url = None, as_json: Json = False) -> None:
    """What the monitors found."""
    found = client(url).findings(endpoint, limit)
    if as_json:
        return show.put_json(found)
    show.table(found, ["id", "at", "endpoint", "monitor", "severity", "text"], "no findings")


def orders(endpoint: OneEndpoint = None, limit: Limit = 50, url: Url = None, as_json: Json = False) -> None:
    """Who moved what, when and why."""
    found = client(url).orders(endpoint, limit)
    if as_json:
        return show.put_json(found)
    show.table(found, ["id", "at", "endpoint", "verb", "author", "reason", "before", "after"], "no orders yet")


def roi(endpoint: OneEndpoint = None, url: Url = None, as_json: Json = False) -> None:
    """What each version earned, and the verdict so far.

    Value, compute and net per version, with an interval that holds however often one looks.
    """
    house = client(url)
    names = [endpoint] if endpoint else [row["endpoint"] for row in house.endpoints()]
    found = [house.endpoint(name).roi() for name in names]
    if as_json:
        objects = [dataclasses.asdict(one) for one in found]
        return show.put_json(objects[0] if endpoint else objects)
    if not found:
        typer.echo("no endpoints yet: payoff deploy PATH")
    for statement in found:
        _statement(statement)


def doctor(url: Url = None, as_json: Json = False) -> None:
    """Is everything healthy, and if not, what to do. Exit status 1 if something is not."""
    found = client(url).health()
    if as_json:
        show.put_json(found)
    else:
        show.table(found["parts"], ["part", "state", "text", "what_to_do"], "nothing to report")
        typer.echo("everything is healthy" if found["healthy"] else "not everything is healthy")
    if not found["healthy"]:
        raise typer.Exit(1)


def _arms(arms: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{arm['role']} {arm['model']} v{arm['version']}"
        + (f" {show.percent(arm['traffic'])}" if arm["traffic"] else "")
        for arm in arms
    )


def _statement(found: "Roi") -> None:
    typer.echo(show.safe(f"{found.endpoint}, in {found.currency}"))
    columns = ["version", "role", "answered", "matured", "value", "cost", "net", "interval", "vs_fallback", "verdict"]
    show.table([_line(row) for row in found.rows], columns, "nothing answered yet")
    if found.watched:
        typer.echo("\nwatched: what would have been, not money")
        show.table([_line(row) for row in found.watched], columns, "")
    typer.echo("\n" + show.safe(found.note))
    for assumption in found.assumptions:
        typer.echo(show.safe(f"- {assumption}"))
    typer.echo("")


def _line(row: dict[str, Any]) -> dict[str, Any]:
    from payoff.client.roi import named

    bounds = None if row["low"] is None else f"{show.money(row['low'])} to {show.money(row['high'])}"
    amounts = {name: show.money(row[name]) for name in ("value", "cost", "net", "vs_fallback")}
    return named(row) | amounts | {"interval": bounds}


COMMANDS = (models, versions, endpoints, revisions, predictions, findings, orders, roi, doctor)
