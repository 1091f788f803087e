"""The command that says how sure payoff is of what, and why."""

from typing import Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Url, client
from payoff.errors import NotFound


def verdict(
    endpoint: Endpoint,
    explain: Annotated[bool, typer.Option("--explain", help="In whole sentences, with what would change it.")] = False,
    recompute: Annotated[
        int | None, typer.Option(metavar="ID", help="Compute a verdict on file again, from its rows alone.")
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """What is compared on an endpoint, what was found, and how sure that is.

    Every figure may be read as often as one likes. Exit status 1 if a recomputed verdict does not come out the same.
    """
    asked = client(url).endpoint(endpoint)
    if recompute is not None:
        return _recomputed(_own(asked.recompute(recompute), endpoint), as_json)
    found = asked.verdicts()
    if as_json:
        return show.put_json(found)
    if explain:
        return _explained(found, asked.describe()["policy"])
    show.table(
        [_line(one) for one in found["now"]],
        ["version", "role", "asked", "tested", "per_prediction", "between", "evidence", "needed", "verdict"],
        "nothing is asked about this endpoint yet: give it a value expression",
    )
    _on_file(found["on_file"])


def _line(one: dict[str, Any]) -> dict[str, Any]:
    between = None if one["low"] is None else f"{show.money(one['low'])} to {show.money(one['high'])}"
    return {
        "version": f"{one['model']} v{one['version']}",
        "role": one["role"],
        "asked": one["question"],
        "tested": one["tested"],
        "per_prediction": show.money(one["mean"] if one["tested"] else None),
        "between": between,
        "evidence": one["e_value"],
        "needed": one["threshold"],
        "verdict": one["verdict"],
    }


def _explained(found: dict[str, Any], policy: dict[str, Any]) -> None:
    if not found["now"]:
        typer.echo("nothing is asked about this endpoint yet: give it a value expression")
    for one in found["now"]:
        typer.echo(show.safe(f"{one['model']} v{one['version']} ({one['role']}): {one['question']}?"))
        for sentence in (one["text"], *_between(found, one), one["outlook"], _acts(one), *_blocks(one)):
            typer.echo(show.safe(f"  {sentence}"))
        typer.echo("")
    typer.echo(_waits(policy))
    _on_file(found["on_file"])


def _between(found: dict[str, Any], one: dict[str, Any]) -> list[str]:
    if one["low"] is None:
        return []
    low, high, unit = show.money(one["low"]), show.money(one["high"]), found["currency"]
    return [f"The true mean lies between {low} and {high} {unit} per prediction, except in 5 of 100 such watches."]


def _waits(policy: dict[str, Any]) -> str:
    """Why fewer predictions may be counted here than outcomes are known."""
    from payoff.codecs.units import duration

    window = duration(policy["outcome_window_s"])
    if policy["matures"] == "window":
        return f"A prediction is counted when its window of {window} has passed (outcome_window)."
    return (
        f"Predictions are counted in their order: where an outcome is missing, those after it wait, {window} at most "
        "(outcome_window)."
    )


def _acts(one: dict[str, Any]) -> str:
    guard = one["guard"]
    if guard is None:
        return "No guard acts on it."
    shared = f", divided by {one['shared_by']}" if one["shared_by"] > 1 else ""
    return (
        f"The guard {guard['when']!r} acts on it: {guard['do']}, with an error of {guard['error'] * 100:.4g}%{shared}."
    )


def _blocks(one: dict[str, Any]) -> list[str]:
    return [f"Holds up the promotion: {words}" for words in one["blocked_by"]]


def _on_file(filed: list[dict[str, Any]]) -> None:
    if not filed:
        return
    typer.echo("\non file: payoff verdict ENDPOINT --recompute ID")
    rows = [row | {"version": f"{row['model']} v{row['version']}", "rows": row["rows"][:12]} for row in filed]
    show.table(rows, ["id", "at", "version", "question", "tested", "e_value", "threshold", "rows", "software"], "")


def _own(found: dict[str, Any], endpoint: str) -> dict[str, Any]:
    """The verdict, if it is about this endpoint."""
    if found["endpoint"] != endpoint:
        raise NotFound(f"verdict {found['id']} is about {found['endpoint']}; `payoff verdict {endpoint}` lists its own")
    return found


def _recomputed(found: dict[str, Any], as_json: bool) -> None:
    again = found["again"]
    if as_json:
        show.put_json(found)
    else:
        typer.echo(show.safe(again["text"]))
        said = f"evidence {found['e_value']:.10g} on {found['tested']:,} predictions"
        same = "the same" if again["same"] else f"now {again['e_value']:.10g} on {again['tested']:,}"
        typer.echo(show.safe(f"on file: {said}, by payoff {found['software']}; computed again: {same}"))
    if not again["same"]:
        raise typer.Exit(1)


COMMANDS = (verdict,)
