"""The `payoff` command: every word of it in one place, each in a file of its own subject.

Nothing heavy is imported here or by the commands' files until a command runs.
"""

import os
import sys
from typing import Annotated

import typer

from payoff.cli import (
    act,
    bench,
    costs,
    dashboard,
    drill,
    evaluate,
    experiment,
    files,
    lists,
    power,
    roi,
    rows,
    selftest,
    serve,
    show,
    threshold,
    verdict,
)
from payoff.errors import PayoffError

app = typer.Typer(
    name="payoff",
    help="Deploy any model, record every decision, learn what it earned, stop it when it provably loses money.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ROOMS = (
    serve, rows, lists, roi, verdict, threshold, experiment, costs, act, files, drill, bench, power, selftest, evaluate,
    dashboard,
)  # fmt: skip
for room in ROOMS:
    for command in room.COMMANDS:
        app.command()(command)


def _say_version(asked: bool) -> None:
    if asked:
        from payoff.version import VERSION

        typer.echo(f"payoff {VERSION}")
        raise typer.Exit()


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", help="Say the version and stop.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Deploy any model, record every decision, learn what it earned, stop it when it provably loses money."""


def run() -> None:
    """The console script: 0 done, 1 failed, 2 wrong usage, and never a stack trace unless PAYOFF_DEBUG asks for it."""
    try:
        app()
    except PayoffError as error:
        _stop(type(error).__name__, str(error))
    except BrokenPipeError:  # the reader had enough, as in `payoff predictions x | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("PAYOFF_DEBUG"):
            raise
        _stop("Internal", f"payoff failed: {type(error).__name__}: {error}; see all of it with PAYOFF_DEBUG=1")


def _stop(name: str, what: str) -> None:
    """Words for people on stderr; with --json the same as an object on stdout."""
    if "--json" in sys.argv:
        show.put_json(show.error_object(name, what))
    show.warn(f"payoff: {what}")
    sys.exit(1)


if __name__ == "__main__":
    run()
