"""Commands that start something: up and demo."""

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from payoff.cli import show
from payoff.cli.server import Json
from payoff.errors import BadInput

Home = Annotated[str, typer.Option(envvar="PAYOFF_HOME", metavar="DIR", help="Where everything is kept.")]
HOME = "~/.payoff"


class LogFormat(StrEnum):
    """How processes log."""

    TEXT = "text"
    JSON = "json"


class GrpcServer(StrEnum):
    """Whose server is behind the gRPC door."""

    OWN = "own"
    GRPCIO = "grpcio"


def up(
    home: Home = HOME,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Inference processes [one per core].")] = None,
    http: Annotated[str, typer.Option(help="The inference door.")] = "127.0.0.1:8000",
    grpc: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The gRPC door, or `none` [the port after that of the inference door]."),
    ] = None,
    grpc_server: Annotated[
        GrpcServer, typer.Option(help="Who speaks gRPC: payoff itself, or grpcio (`pip install 'payoff[grpc]'`).")
    ] = GrpcServer.OWN,
    flight: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="An Arrow Flight door for scoring in bulk [there is none].")
    ] = None,
    console: Annotated[str, typer.Option(help="The console and API door.")] = "127.0.0.1:8080",
    sync: Annotated[
        bool, typer.Option("--sync", help="Survive loss of power too: flush to the disk each time.")
    ] = False,
    body_max: Annotated[int, typer.Option(min=1, help="The largest body of one inference call, in MiB.")] = 64,
    hot: Annotated[
        int, typer.Option(min=1, help="Models that each worker keeps loaded; the rest come back on their next call.")
    ] = 50,
    pin: Annotated[bool, typer.Option("--pin", help="Keep each worker on a core of its own (Linux).")] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Speak TLS with this certificate (PEM), at every door.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only callers with a certificate that this one has signed.")
    ] = None,
    log_format: Annotated[LogFormat, typer.Option(help="Of all processes' logs, on stderr.")] = LogFormat.TEXT,
    slow_ms: Annotated[float, typer.Option(min=0.0, help="Log calls that take longer; 0 for none.")] = 250.0,
    otel: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Send traces to this OpenTelemetry collector; `env`: to that of OTEL_*."),
    ] = None,
    otel_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of calls that come without a trace.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Start payoff on this machine; stop it with Ctrl-C."""
    from payoff.cli import up as supervisor
    from payoff.gateway.exporter import collector

    say = _sayer(log_format, as_json)
    count = workers or max(1, os.cpu_count() or 1)
    each = {
        "body_bytes_max": body_max << 20,
        "hot_max": hot,
        "log_format": log_format.value,
        "slow_ms": slow_ms,
        "otel": collector(otel, os.environ),
        "otel_share": otel_share,
        "pin": supervisor.can_pin(pin),
        "grpc_server": supervisor.has_grpcio(grpc_server.value),
    }
    files = [path and path.expanduser().resolve() for path in (tls_cert, tls_key, tls_client_ca)]
    door = None if grpc == "none" else grpc or supervisor.beside(http)
    shown = supervisor.shown(*files)
    settings = supervisor.Settings(_place(home), count, http, door, flight, console, sync, shown, each)
    supervisor.run(settings, say)


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="No progress, only the end.")] = False,
    rows: Annotated[int | None, typer.Option(min=1, help="Replay only so many calls to customers.")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.0, help="Days of the story per second [as fast as it can].")
    ] = None,
    home: Annotated[
        str | None, typer.Option(metavar="DIR", help="Keep the demo's home here [a folder that is removed].")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture.")] = Path("payoff-demo.png"),
    as_json: Json = False,
) -> None:
    """The bank story, on real data, end to end."""
    from importlib import import_module

    main = import_module("payoff.demo.main")
    place = None if home is None else _place(home)
    main.run(headless=headless, rows=rows, speed=speed, as_json=as_json, home=place, out=out)


def _sayer(log_format: LogFormat, as_json: bool) -> Callable[[str], None]:
    """How the supervisor says what happens."""
    if log_format is LogFormat.JSON:
        import logging

        from payoff.doors import logs

        logs.set_up(log_format.value, "supervisor")
        return logging.getLogger("payoff.up").info
    return (lambda text: show.put_json({"said": text}, indent=None)) if as_json else typer.echo


def _place(home: str) -> Path:
    """The home as an absolute path: the processes that share it do not all work in the same folder."""
    if not home.strip():
        raise BadInput("--home is blank; say which folder: --home DIR")
    try:
        return Path(home).expanduser().resolve()
    except (RuntimeError, OSError) as error:  # ~nobody, links in a circle
        raise BadInput(f"{home!r} cannot be a home: {error}; choose another with --home DIR") from error


COMMANDS = (up, demo)
