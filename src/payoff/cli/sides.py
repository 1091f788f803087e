"""Two versions side by side, as tables: only what differs."""

from collections.abc import Sequence
from typing import Any

import typer

from payoff.cli import show

MIB = 1 << 20


def named(words: Sequence[str]) -> tuple[str, str]:
    """`buyers 3 4`, `buyers v3 v4` or `buyers@3 buyers@4` as two names with their versions; else wrong usage."""
    if len(words) == 2 and all("@" in word for word in words):
        return words[0], words[1]
    if len(words) == 3 and not any("@" in word for word in words):
        return f"{words[0]}@{words[1]}", f"{words[0]}@{words[2]}"
    raise typer.BadParameter("name two versions: payoff diff buyers 3 4, or payoff diff buyers@3 buyers@4")


def put(found: dict[str, Any]) -> None:
    """Everything that differs."""
    names = [f"{one['model']} v{one['version']}" for one in (found["before"], found["after"])]
    typer.echo(show.safe(f"{names[0]} -> {names[1]}"))
    for what in ("inputs", "outputs"):
        _table(what, _columns(found[what]), names)
    _table("environment", found["environment"], names)
    _table("facts", found["facts"], names)
    _answers(found, names)
    for note in found["notes"]:
        typer.echo(show.safe(f"note: {note}"))


def _columns(changes: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """As rows that say what was and what is."""
    gone = [{"name": one["name"], "before": one["was"], "after": None} for one in changes["gone"]]
    added = [{"name": one["name"], "before": None, "after": one["is"]} for one in changes["added"]]
    return [*gone, *changes["changed"], *added]


def _table(what: str, rows: list[dict[str, Any]], names: Sequence[str]) -> None:
    if not rows:
        typer.echo(f"\n{what}: the same")
        return
    typer.echo("")
    said = [{what: row["name"], names[0]: row["before"], names[1]: row["after"]} for row in rows]
    show.table(said, [what, *names], "")


def _answers(found: dict[str, Any], names: Sequence[str]) -> None:
    if not found["rows"]:
        return
    typer.echo("")
    typer.echo(show.safe(f"answers to {found['rows']:,} rows: {found['rows_of']}"))
    rows = [
        {"output": one["output"], "rows differing": one["rows_differing"], "largest": one["largest"],
         "mean": one["mean"], "row": one["row"], names[0]: one["before"], names[1]: one["after"]}
        for one in found["answers"]
    ]  # fmt: skip
    show.table(rows, ["output", "rows differing", "largest", "mean", "row", *names], "no answers in common")
    typer.echo("")
    speed = [
        {"version": one["version"], "rows/s": one["rows_per_s"], "load s": one["load_seconds"],
         "memory MiB": round(one["memory_bytes"] / MIB)}
        for one in found["speed"]
    ]  # fmt: skip
    show.table(speed, ["version", "rows/s", "load s", "memory MiB"], "")
