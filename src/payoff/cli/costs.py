"""What everything costs, who bears it, and what a version must earn."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Json, OneEndpoint, Url, client
from payoff.errors import Unavailable

KINDS = ("cpu", "memory", "gpu", "fees", "idle", "overhead", "fixed")
MONEY = (*KINDS, "total", "per_thousand", "a_day")
Since = Annotated[
    str | None,
    typer.Option(help="A day, a time (2026-11-22T14:00), or how long ago: 7d, 24h. [the beginning of this month]"),
]
Until = Annotated[str | None, typer.Option(help="The same; up to but not including it. [now]")]
By = Annotated[str | None, typer.Option(help="Lines by hour, day or month (UTC).")]
Csv = Annotated[bool, typer.Option("--csv", help="The lines as CSV.")]
Focus = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write FOCUS 1.2 rows to this CSV file, by day unless --by says.")
]


def costs(
    endpoint: OneEndpoint = None,
    since: Since = None,
    until: Until = None,
    by: By = None,
    as_json: Json = False,
    as_csv: Csv = False,
    focus: Focus = None,
    url: Url = None,
) -> None:
    """What each version costs: what it used itself, and its share of idle, overhead and fixed costs.

    All lines together are the bill of the machine, to the micro.
    """
    house = client(url)
    if focus is not None:
        return _write(focus, house.costs_focus(endpoint, since=since, until=until, by=by))
    found = house.costs(endpoint, since=since, until=until, by=by)
    if as_json:
        return show.put_json(found)
    lines = found["periods"] if by else found["lines"]
    if as_csv:
        heads = list(lines[0]) if lines else []
        typer.echo(show.comma_separated(heads, [list(map(_digits, line.values())) for line in lines]), nl=False)
        return None
    return _tell(found, lines, by)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"cannot write {path}: {error.strerror}; choose another file") from error
    typer.echo(f"wrote {text.count(chr(10)) - 1} rows to {path}")


def _tell(found: dict[str, Any], lines: list[dict[str, Any]], by: str | None) -> None:
    typer.echo(f"{found['since'][:16]}Z to {found['until'][:16]}Z, in {found['currency']}")
    kinds = [kind for kind in KINDS if any(line[kind] for line in lines)]
    columns = [*(["since"] if by else []), "who", "predictions", *kinds, "total", "per_thousand"]
    columns += [] if by else ["a_day"]
    digits = {name: _digits_of([line[name] for line in lines]) for name in columns if name in MONEY}
    rows = [_row(line, columns, digits) for line in lines]
    show.table(rows, columns, "nothing was metered or asked in this time")
    bill = found["bill"]
    typer.echo(
        "\nthe bill of the house: "
        + ", ".join(f"{kind} {_amount(one, _digits_of([one]))}" for kind, one in bill.items() if one or kind == "total")
    )
    if not by:
        for line in lines:
            if line["break_even"]:
                typer.echo(show.safe(f"{line['who']} {line['break_even']}"))
    for note in (*found["notes"], *found["assumptions"]):
        typer.echo(show.safe(f"- {note}"))


def _row(line: dict[str, Any], columns: list[str], digits: dict[str, int]) -> dict[str, Any]:
    row = {name: _amount(line[name], digits[name]) if name in digits else line[name] for name in columns}
    return row | ({"since": line["since"][:16]} if "since" in row else {})


def _digits_of(values: list[float | None]) -> int:
    """Cents where that says enough; else all the digits that are booked."""
    return 6 if any(value and abs(value) < 1 for value in values) else 2


def _amount(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _digits(value: Any) -> Any:
    """Numbers without an exponent, for spreadsheets."""
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else value


COMMANDS = (costs,)
