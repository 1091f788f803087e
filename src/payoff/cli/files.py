"""An endpoint as a file under version control, and questions in SQL: apply, diff, sql."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Json, Reason, Url, client

File = Annotated[Path, typer.Argument(metavar="FILE", help="The endpoint as YAML; - for stdin.", show_default=False)]


class Format(StrEnum):
    """How `payoff sql` prints."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def apply(file: File, reason: Reason = "", url: Url = None, as_json: Json = False) -> None:
    """Make an endpoint what a file says."""
    done = client(url).apply(_content(file), reason)
    if as_json:
        return show.put_json(done)
    if not done["changed"]:
        typer.echo(show.safe(f"nothing to change: {done['endpoint']} runs revision {done['revision']}"))
        show.notes(done)
        return
    typer.echo("\n".join(map(show.safe, done["diff"].splitlines())))
    typer.echo(show.safe(f"{done['endpoint']} now runs revision {done['revision']}"))
    show.notes(done)


def diff(
    what: Annotated[list[str], typer.Argument(metavar="FILE | MODEL V1 V2", help="An endpoint file, or two versions.")],
    sample: Annotated[Path | None, typer.Option(help="Rows to ask both versions [the first one's sample].")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """What `apply` would change, without doing it; or how two versions differ.

    payoff diff buyers.yaml; payoff diff buyers 3 4; payoff diff buyers@3 buyers@champion. Versions are compared by
    columns, packages, facts, and by their answers to the same rows.
    """
    if len(what) == 1 and sample is None:
        return _what_apply_changes(what[0], url, as_json)
    from payoff.cli import sides

    before, after = sides.named(what)
    found = client(url).compare(before, after, sample)
    if as_json:
        return show.put_json(found)
    sides.put(found)


def _what_apply_changes(file: str, url: str | None, as_json: bool) -> None:
    found = client(url).diff(_content(Path(file)))
    if as_json:
        return show.put_json(found)
    typer.echo("\n".join(map(show.safe, found["diff"].splitlines())) or "nothing to change")


def sql(
    text: Annotated[str, typer.Argument(metavar="SQL", help="DuckDB SQL; - for stdin.", show_default=False)],
    form: Annotated[Format, typer.Option("--format", "-f", help="How to print the rows.")] = Format.TABLE,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many rows [10000].")] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Ask in SQL over predictions, shadows, outcomes.

    DuckDB's dialect, read only: no files, no network, no settings.
    """
    found = client(url).sql_rows(sys.stdin.read() if text == "-" else text, limit)
    names = [column["name"] for column in found["columns"]]
    if as_json or form is Format.JSON:
        show.put_json(found if as_json else [dict(zip(names, row, strict=True)) for row in found["rows"]])
    elif form is Format.CSV:
        typer.echo(show.comma_separated(names, found["rows"]), nl=False)
    else:
        _table(names, found["rows"])
    if found["truncated"]:
        show.warn(f"payoff: only the first {len(found['rows'])} rows; ask for more with --limit, or aggregate")


def _table(names: list[str], rows: list[list[Any]]) -> None:
    if not rows:
        typer.echo("no rows")
        return
    cells = [[show.cell(one) for one in row] for row in rows]
    right = [all(one is None or isinstance(one, int | float) for one in column) for column in zip(*rows, strict=True)]
    typer.echo("\n".join(show.plain([*map(show.safe, names)], cells, right)))


def _content(file: Path) -> str:
    """The YAML itself: a path is read here, so that the server never sees one."""
    from payoff.client.artefacts import existing
    from payoff.errors import BadInput

    raw = sys.stdin.buffer.read() if str(file) == "-" else existing(file, "endpoint file").read_bytes()
    try:
        return f"{raw.decode('utf-8')}\n"
    except UnicodeDecodeError as error:
        raise BadInput(f"{file} is no text in UTF-8 (from byte {error.start} on); give the endpoint's YAML") from error


COMMANDS = (apply, diff, sql)
