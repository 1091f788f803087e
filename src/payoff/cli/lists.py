"""Commands that only look: models, endpoints, versions, revisions, predictions, findings, orders, doctor."""

from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Limit, OneEndpoint, Url, client


def models(url: Url = None, as_json: Json = False) -> None:
    """The models, their latest version and their aliases."""
    found = client(url).models()
    if as_json:
        return show.put_json(found)
    rows = [row | {"aliases": ", ".join(f"{a}={n}" for a, n in row["aliases"].items()) or None} for row in found]
    show.table(rows, ["model", "versions", "flavor", "created_at", "aliases"], "no models yet: payoff deploy PATH")


def versions(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")],
    version: Annotated[str | None, typer.Option(help="All about this one: a number or an alias.")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """The versions of a model, or all about one of them."""
    if version is not None:
        one = client(url).version(model, version)
        return show.put_json(one) if as_json else _about(one)
    found = client(url).versions(model)
    if as_json:
        return show.put_json(found)
    rows = [row | {"digest": row["digest"][:12], "runs_as": row["served"]["flavor"]} for row in found]
    show.table(rows, ["version", "flavor", "runs_as", "digest", "size_bytes", "created_at", "author"], "no versions")


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


def orders(
    endpoint: OneEndpoint = None,
    limit: Limit = 50,
    verify: Annotated[bool, typer.Option("--verify", help="Is every order still what was recorded?")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Who moved what, when and why.

    Each order is chained to the one before it. With --verify all of them are checked, of all endpoints; the exit status
    is 1 if one was changed, or is missing.
    """
    if verify:
        return _verified(client(url).verify_orders(), as_json)
    found = client(url).orders(endpoint, limit)
    if as_json:
        return show.put_json(found)
    show.table(found, ["id", "at", "endpoint", "verb", "author", "reason", "before", "after"], "no orders yet")


def doctor(url: Url = None, as_json: Json = False) -> None:
    """Is everything healthy, and if not, what to do. Exit status 1 if something is not."""
    found = client(url).health()
    if as_json:
        show.put_json(found)
    else:
        show.table(found["parts"], ["part", "state", "text", "what_to_do"], "nothing to report", chars_max=1_000)
        typer.echo("everything is healthy" if found["healthy"] else "not everything is healthy")
    if not found["healthy"]:
        raise typer.Exit(1)


def _verified(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show.put_json(found)
    elif found["whole"]:
        link = f"its last link is {found['end']}" if found["end"] else "no order was given yet"
        typer.echo(f"the audit trail is whole; {link}")
    else:
        show.warn(f"payoff: {found['broken']['text']}")
    if not found["whole"]:
        raise typer.Exit(1)


def _arms(arms: list[dict[str, Any]]) -> str:
    return ", ".join(
        f"{arm['role']} {arm['model']} v{arm['version']}"
        + (f" {show.percent(arm['traffic'])}" if arm["traffic"] else "")
        for arm in arms
    )


def _about(one: dict[str, Any]) -> None:
    """A version as lines of a name and what it says, in blocks."""
    served, place = one["served"], one["served"]["place"]
    typer.echo(show.safe(f"{one['model']} v{one['version']}"))
    _block("", {
        "flavor": one["flavor"], "runs as": served["flavor"] if place is None else f"native, by {place['kind']}",
        "created": one["created_at"], "author": one["author"], "size": f"{one['size_bytes']:,} bytes",
        "digest": one["digest"], "golden rows": "yes" if served["sampled"] else "no",
    })  # fmt: skip
    for what in ("inputs", "outputs"):
        _block(what, {field["name"]: _is(field) for field in one[what]})
    _block("lineage", {**one["lineage"], **({"tags": one["tags"]} if one["tags"] else {})})
    if place is not None:
        _block("bounds", place["bounds"])
        _block("options", place["options"])
    _block("how it came about", one["provenance"])
    _block(f"environment {place['environment'][:12] if place else ''}".rstrip(), one["environment"])


def _block(head: str, said: dict[str, Any]) -> None:
    if not said:
        return
    if head:
        typer.echo(f"\n{head}")
    width = max(map(len, said))
    for name, value in said.items():
        typer.echo(show.safe(f"  {name.ljust(width)}  ") + show.cell(value, 400))


def _is(field: dict[str, Any]) -> str:
    shape = "x".join(map(str, field["shape"]))
    return f"{field['type']}{f'[{shape}]' if shape else ''}{' or null' if field['nullable'] else ''}"


COMMANDS = (models, versions, endpoints, revisions, predictions, findings, orders, doctor)
