"""What a command prints: an aligned table for people, JSON for programs. Text from elsewhere never moves the cursor."""

import csv
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

CELL_CHARS_MAX = 60


def put_json(value: Any, indent: int | None = 2) -> None:
    """One JSON document on stdout; on one line without an indent."""
    typer.echo(json.dumps(value, indent=indent, ensure_ascii=False, default=str))


def error_object(name: str, what: str) -> dict[str, Any]:
    """An error as --json prints it: the same shape as the API's."""
    return {"error": {"kind": re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), "what": what}}


def table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str, chars_max: int = CELL_CHARS_MAX
) -> None:
    """Rows under headings; with rich on a terminal, as plain aligned text anywhere else."""
    if not rows:
        typer.echo(empty)
        return
    cells = [[cell(row.get(name), chars_max) for name in columns] for row in rows]
    right = [all(_is_number(row.get(name)) for row in rows) for name in columns]
    heads = [name.replace("_", " ") for name in columns]
    if sys.stdout.isatty():
        _rich(heads, cells, right)
    else:
        typer.echo("\n".join(plain(heads, cells, right)))


def plain(heads: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Aligned lines: numbers to the right, text to the left."""
    lines = [list(heads), *map(list, cells)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return [
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)).rstrip()
        for line in lines
    ]


def comma_separated(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The same as CSV; structs and lists as JSON, nulls as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for row in rows:
        writer.writerow(["" if one is None else _json(one) if isinstance(one, dict | list) else one for one in row])
    return text.getvalue()


def cell(value: Any, chars_max: int = CELL_CHARS_MAX) -> str:
    """One value as it stands in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 1000 else f"{value:.6g}"
    text = safe(_json(value) if isinstance(value, dict | list) else str(value))
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}…"


def money(value: float | None) -> str:
    """An amount with cents."""
    return "-" if value is None else f"{value:,.2f}"


def percent(share: float) -> str:
    """0.1 as 10%."""
    return f"{share * 100:.4g}%"


def safe(text: str) -> str:
    """The text without what a terminal would obey: escapes, line ends, bells."""
    return "".join(one if one.isprintable() else " " for one in text)


def warn(text: str) -> None:
    """Words on stderr, where they do not disturb what is piped on; they may have lines."""
    typer.echo("\n".join(map(safe, text.splitlines())), err=True)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _is_number(value: Any) -> bool:
    """A number, or an amount that `money` has written."""
    if isinstance(value, str):
        return re.fullmatch(r"-|-?\d[\d,]*\.\d\d+", value) is not None
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _rich(heads: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold")
    for head, is_right in zip(heads, right, strict=True):
        made.add_column(head, justify="right" if is_right else "left", overflow="fold")
    for row in cells:
        made.add_row(*(Text(one) for one in row))
    Console().print(made)


def notes(done: dict[str, Any]) -> None:
    """What the author of an order may want to know."""
    for note in done["notes"]:
        typer.echo(safe(f"note: {note}"))
