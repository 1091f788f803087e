"""`payoff bench`: what an endpoint carries, where the knee is, and what it costs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Url, client
from payoff.errors import BadInput

if TYPE_CHECKING:
    from payoff.bench.report import Report

File = Annotated[Path | None, typer.Option("--file", help="Rows to ask [the latest recorded, else the example].")]
Rows = Annotated[int, typer.Option("--rows", min=1, max=100_000, help="Of one request.")]
Protocol = Annotated[str, typer.Option("--protocol", help="json, binary, grpc, arrow or rows.")]
Connections = Annotated[str, typer.Option("--connections", help="How many at once, step by step: 1,2,4,8.")]
Seconds = Annotated[float, typer.Option("--seconds", min=0.1, max=600, help="Of each step.")]
Most = Annotated[float, typer.Option("--max-seconds", min=0.1, max=3_600, help="Of all steps; then it ends.")]
Rate = Annotated[
    float | None, typer.Option("--rate", min=0.1, max=1e6, help="Requests per second, whether or not it keeps up.")
]
Clients = Annotated[int, typer.Option("--clients", min=1, max=64, help="Processes that load.")]
Live = Annotated[bool, typer.Option("--live", help="Load the endpoint itself: recorded and counted as its own.")]
CONNECTIONS_MAX = 10_000


def bench(
    endpoint: Endpoint, file: File = None, rows: Rows = 1, protocol: Protocol = "json",
    connections: Connections = "1,2,4,8,16,32,64", seconds: Seconds = 3.0, most: Most = 60.0, rate: Rate = None,
    clients: Clients = 1, live: Live = False, url: Url = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Load a copy of an endpoint at rising concurrency: throughput, latency, CPU, the knee, and what it costs.

    The copy is in nobody's books and goes away afterwards. Ctrl-C ends with what was measured so far.
    """
    import os

    from payoff.bench.bench import Wanted
    from payoff.bench.bench import bench as run

    wanted = Wanted(protocol, rows, counts(connections), seconds, most, rate, live, clients)
    records = read(file) if file is not None else []
    say = (lambda _: None) if as_json else (lambda text: show.warn(text))
    found = run(client(url), endpoint, wanted, records, os.environ.get("PAYOFF_KEY"), say)
    if as_json:
        show.put_json(found.plain())
    else:
        tell(found)
    if found.knee is None:
        raise typer.Exit(1)


def counts(text: str) -> tuple[int, ...]:
    """ "1,2,4" as numbers; BadInput if they are none."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isdecimal() and 0 < int(word) <= CONNECTIONS_MAX for word in words):
        raise BadInput(f"--connections is {text[:60]!r}; write numbers up to {CONNECTIONS_MAX:,}, such as 1,2,4,8")
    return tuple(map(int, words))


def read(file: Path) -> list[dict[str, Any]]:
    """The rows of a file. BadInput if it cannot be read, or has none."""
    from payoff.codecs import formats, samples

    try:
        body = file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}; give a file of rows") from error
    found: list[dict[str, Any]] = samples.table(body, formats.by_suffix(file).name).to_pylist()
    if not found:
        raise BadInput(f"{file} has no rows; give some that the endpoint takes")
    return found


def tell(found: "Report") -> None:
    """A table of the steps, and words."""
    from payoff.bench.report import ms

    where = "itself: recorded as its own" if found.live else "on a copy of it"
    a_request = "1 row" if found.rows == 1 else f"{found.rows:,} rows"
    typer.echo(show.safe(f"{found.endpoint}, {where}; {found.protocol}, {a_request} a request, rows {found.source}"))
    typer.echo("")
    rows = [{"connections": one.connections, "rows/s": f"{one.rows_per_s:,.0f}", "p50 ms": ms(one.p50_us),
             "p90 ms": ms(one.p90_us), "p99 ms": ms(one.p99_us), "max ms": ms(one.max_us), "failed": one.failed,
             "CPU s per 1,000": None if one.cpu_s_per_1000 is None else round(one.cpu_s_per_1000, 4)}
            for one in found.steps]  # fmt: skip
    show.table(rows, list(rows[0]) if rows else [], "nothing was measured")
    typer.echo("")
    for line in found.lines():
        typer.echo(show.safe(line))


COMMANDS = (bench,)
