"""What every version earned, against what else would have been: words, JSON, CSV, Parquet, and a page to print."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Json, OneEndpoint, Url, client
from payoff.errors import Unavailable

if TYPE_CHECKING:
    from payoff.client.roi import Roi

Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write one page of HTML that loads nothing.")]
Csv = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a line per version as CSV.")]
Parquet = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the same as Parquet.")]
_COLUMNS = ("version", "role", "matured", "in_flight", "value", "cost", "net", "interval", "against", "verdict")


def roi(
    endpoint: OneEndpoint = None,
    html: Html = None,
    csv: Csv = None,
    parquet: Parquet = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """What each version earned, against a named baseline, and the verdict so far.

    Value, cost and net per version, with intervals that hold however often one looks. What is in flight is in no sum.
    """
    house = client(url)
    if html is not None:
        _write(html, (house.endpoint(endpoint).roi_page() if endpoint else house.roi_page()).encode())
        if not (csv or parquet or as_json):
            return
    found = [house.endpoint(endpoint).roi()] if endpoint else house.roi()
    if csv is not None:
        _write(csv, _csv(found).encode())
    if parquet is not None:
        _write(parquet, _parquet(found))
    if as_json:
        said = [one.said for one in found]
        return show.put_json(said[0] if endpoint else said)
    if not (csv or parquet):
        _tell(found)


def _tell(found: "list[Roi]") -> None:
    if not found:
        typer.echo("no endpoints yet: payoff deploy PATH")
    for one in found:
        _statement(one)


def _statement(found: "Roi") -> None:
    typer.echo(show.safe(f"{found.endpoint}, in {found.currency}"))
    if found.headline is not None:
        typer.echo(show.safe(_headline(found.headline, found.currency)))
    show.table([_line(row) for row in found.rows], _COLUMNS, "nothing answered yet")
    if found.watched:
        typer.echo("\nwatched: what would have been, not money")
        show.table([_line(row) for row in found.watched], _COLUMNS, "")
    if found.rows:
        typer.echo("\n" + ", ".join(f"{step['what'].lower()} {_amount(step['amount'])}" for step in _steps(found)))
    if found.in_flight["decisions"]:
        typer.echo(_flying(found.in_flight))
    for line in _plug(found.said["plug"]):
        typer.echo(show.safe(line))
    typer.echo("\n" + show.safe(found.note))
    for assumption in found.assumptions:
        typer.echo(show.safe(f"- {assumption}"))
    typer.echo("")


def _headline(lead: dict[str, Any], currency: str) -> str:
    between = f"no interval yet: {lead['how']}"
    if lead["low"] is not None:
        between = f"{show.money(lead['low'])} to {show.money(lead['high'])}"
    causal = "" if lead["causal"] else ", not causal"
    net = f"{show.money(lead['net'])} {currency} ({between})"
    return f"net value of {lead['subject']} against {lead['baseline']}{causal}: {net}"


def _steps(found: "Roi") -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = found.said["waterfall"]
    return steps


def _flying(flight: dict[str, Any]) -> str:
    told = f"in flight, in no sum: {flight['decisions']:,} decisions"
    if flight["early"]:
        told += f", {flight['early']:,} with an outcome so far ({show.money(flight['early_value'])})"
    if flight["low"] is not None:
        told += (
            f"; about {show.money(flight['expected'])} ({show.money(flight['low'])} to {show.money(flight['high'])})"
        )
    return told


def _plug(plug: dict[str, Any]) -> list[str]:
    told = [
        f"evidence that {one['name']} {one['question']}: {show.money(one['e_value'])} of {show.money(one['threshold'])}"
        f" ({one['do'] or 'only shown'})"
        for one in plug["meters"]
    ]
    told += [
        f"{one['when']} of {one['who']} {one['over']}: {show.money(one['found'])} of {show.money(one['above'])}"
        for one in plug["limits"]
    ]
    drill = plug["last_drill"]
    return [*told, f"last drill: {drill['at'][:10]}: {drill['text']}" if drill else "last drill: never"]


def _line(row: dict[str, Any]) -> dict[str, Any]:
    from payoff.client.roi import named

    bounds = None if row["low"] is None else f"{show.money(row['low'])} to {show.money(row['high'])}"
    amounts = {name: _amount(row[name]) for name in ("value", "cost", "net")}
    return named(row) | amounts | {"interval": bounds}


def _amount(value: float) -> str:
    """Cents, or more digits where there are none: computing one answer costs little."""
    return show.money(value) if abs(value) >= 0.01 or not value else f"{value:.6f}"


def _csv(found: "list[Roi]") -> str:
    from payoff.client.roi import FIELDS, flat

    return show.comma_separated(list(FIELDS), [[row[name] for name in FIELDS] for row in flat(found)])


def _parquet(found: "list[Roi]") -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    from payoff.client.roi import table

    sink = pa.BufferOutputStream()
    parquet.write_table(table(found), sink)
    return sink.getvalue().to_pybytes()


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise Unavailable(f"cannot write {path}: {error.strerror}; choose another file") from error
    show.warn(f"wrote {path}")


COMMANDS = (roi,)
