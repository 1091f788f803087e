"""Commands that start something: up and demo."""

import os
from pathlib import Path
from typing import Annotated

import typer

from payoff.cli import show
from payoff.cli.server import Json

Home = Annotated[Path, typer.Option(envvar="PAYOFF_HOME", help="Where everything is kept.")]
HOME = Path("~/.payoff")


def up(
    home: Home = HOME,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Inference processes [one per core].")] = None,
    http: Annotated[str, typer.Option(help="The inference door.")] = "127.0.0.1:8000",
    console: Annotated[str, typer.Option(help="The console and API door.")] = "127.0.0.1:8080",
    sync: Annotated[
        bool, typer.Option("--sync", help="Survive loss of power too: flush to the disk each time.")
    ] = False,
    body_max: Annotated[int, typer.Option(min=1, help="The largest body of one inference call, in MiB.")] = 64,
    as_json: Json = False,
) -> None:
    """Start payoff on this machine; stop it with Ctrl-C."""
    from payoff.cli import up as supervisor

    say = (lambda text: show.put_json({"said": text}, indent=None)) if as_json else typer.echo
    count = workers or max(1, os.cpu_count() or 1)
    settings = supervisor.Settings(home.expanduser(), count, http, console, sync, body_max << 20)
    supervisor.run(settings, say)


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="No progress, only the end.")] = False,
    rows: Annotated[int | None, typer.Option(min=1, help="Replay only so many calls to customers.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.0, help="Days of the story per second [as fast as it can].")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Keep the demo's home here [a folder that is removed].")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture.")] = Path("payoff-demo.png"),
    as_json: Json = False,
) -> None:
    """The bank story, on real data, end to end."""
    from importlib import import_module

    main = import_module("payoff.demo.main")
    main.run(headless=headless, rows=rows, speed=speed, as_json=as_json, home=home, out=out)


COMMANDS = (up, demo)
