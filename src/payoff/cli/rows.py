"""Rows in files: predict and outcomes, over CSV, JSON, JSON lines, Parquet and Arrow, by the file's suffix."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Url, client
from payoff.errors import BadInput

if TYPE_CHECKING:
    import pyarrow

PIECE_BYTES_MAX = 4 << 20
PIECE_ROWS_MAX = 10_000
TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": "application/vnd.apache.arrow.stream",
    ".feather": "application/vnd.apache.arrow.stream",
}
ARROW = TYPES[".arrow"]
_FILE_MAGIC = b"ARROW1"

Source = Annotated[Path, typer.Argument(metavar="FILE", help="Rows; - for stdin.", show_default=False)]
Form = Annotated[str | None, typer.Option("--format", "-f", help="csv, json, jsonl, parquet or arrow [the suffix].")]


def predict(
    endpoint: Endpoint,
    file: Source,
    output: Annotated[str, typer.Option("--output", "-o", help="Where the answers go; - for stdout.")] = "-",
    form: Form = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Send rows to an endpoint and write the answers.

    CSV, JSON, JSON lines, Parquet and Arrow, by the file's suffix, in and out. The file may be larger than memory: it
    is read, asked and written in parts, some of them at the same time; only JSON that is no JSON lines is read whole.
    """
    kind_in = kind(str(file), form)
    kind_out = ".json" if as_json else kind(output, form if output == "-" else None, kind_in)
    require_folder(output)
    from payoff.cli.answers import write
    from payoff.client.ordered import in_order

    asked = client(url).endpoint(endpoint)
    write(in_order(lambda piece: asked.ask(piece[1], piece[0]), pieces(file, kind_in)), kind_out, output)


def outcomes(
    endpoint: Endpoint,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Rows; - for stdin.", show_default=False)] = None,
    form: Form = None,
    keep_good: Annotated[
        bool, typer.Option("--keep-good", help="Take the good rows where others are refused.")
    ] = False,
    refused: Annotated[bool, typer.Option("--refused", help="List what was refused so far, and why.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell an endpoint what really happened.

    The file has the columns prediction_id, the endpoint's outcome columns and, if known, value (money); if they are
    there, at (when it happened), part (the name of an instalment) and currency. Of each part the last word counts, and
    parts add up.
    """
    about = client(url).endpoint(endpoint)
    if refused:
        return _show_refused(about.refused(), as_json)
    if file is None:
        raise BadInput("name the file of outcomes, or - for stdin; --refused lists what was refused so far")
    done = about.tell_all(pieces(file, kind(str(file), form)), keep_good)
    if as_json:
        return show.put_json(done)
    typer.echo(f"{done['accepted']:,} outcomes accepted")
    if done["repeated"]:
        typer.echo(f"{done['repeated']:,} of them replace what was told before")
    _warn(endpoint, done)


def _warn(endpoint: str, done: dict[str, Any]) -> None:
    """Say what was left out."""
    if done["unknown"]:
        first = ", ".join(map(show.safe, done["unknown_ids"][:3]))
        show.warn(f"payoff: {done['unknown']:,} name no prediction of {endpoint} and were left out: {first}, ...")
    if others := done["refused"] - done["unknown"]:
        show.warn(f"payoff: {others:,} more were refused; `payoff outcomes {endpoint} --refused` lists them")
        for one in [one for one in done["refusals"] if one["reason"] != "unknown prediction"][:3]:
            show.warn(f"  row {one['row']} (the first is 0): {show.safe(one['what'])}")


def _show_refused(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return show.put_json(found)
    reasons = [{"reason": reason, "refused": n} for reason, n in found["reasons"].items()]
    show.table(reasons, ["reason", "refused"], f"no outcome of {found['endpoint']} was refused")
    if found["latest"]:
        typer.echo("")
        show.table(found["latest"], ["at", "reason", "prediction_id", "what"], "", chars_max=1_000)


def require_folder(output: str) -> None:
    """Asked before any row is sent: an answer that cannot be written would be recorded and lost to its caller."""
    folder = Path(output).absolute().parent
    if output != "-" and (Path(output).is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK)):
        raise BadInput(f"cannot write {output}: there is no folder {folder} to write to; nothing was asked")


def kind(path: str, form: str | None, otherwise: str | None = None) -> str:
    """The suffix that says how rows are written: asked for, the file's own, or `otherwise`."""
    suffix = f".{form}" if form else Path(path).suffix.lower() if path != "-" else otherwise or ".csv"
    if suffix in TYPES:
        return suffix
    raise BadInput(f"cannot tell the format of {path} by {suffix or 'its missing suffix'!r}; "
                   f"use one of {', '.join(TYPES)} or say --format csv")  # fmt: skip


def pieces(file: Path, suffix: str) -> Iterator[tuple[str, bytes]]:
    """The file's rows as bodies that fit into one request each, with their content type."""
    if suffix in (".parquet", ".arrow", ".feather"):
        from payoff.client import frames

        tables = _tables(file, suffix)
        yield from ((ARROW, frames.stream(piece)) for table in tables for piece in frames.pieces(table))
        return
    with _opened(file) as source:
        if suffix == ".json":
            yield TYPES[suffix], source.read()
            return
        yield from ((TYPES[suffix], body) for body in by_lines(source, header=suffix == ".csv"))


def by_lines(source: IO[bytes], header: bool) -> Iterator[bytes]:
    """Whole rows up to the limits of a piece; a quoted CSV field may hold line ends, and stays in one piece."""
    head = source.readline() if header else b""
    open_quote = header and head.count(b'"') % 2 == 1
    lines, size, sent = [head], len(head), False
    for line in source:
        lines.append(line)
        size += len(line)
        open_quote ^= header and line.count(b'"') % 2 == 1
        if (size >= PIECE_BYTES_MAX or len(lines) > PIECE_ROWS_MAX) and not open_quote:
            yield b"".join(lines)
            lines, size, sent = [head], len(head), True
    if len(lines) > 1 or not sent:
        yield b"".join(lines)


def _opened(file: Path) -> IO[bytes]:
    from payoff.client.artefacts import existing

    return sys.stdin.buffer if str(file) == "-" else existing(file, "file of rows").open("rb")


def _tables(file: Path, suffix: str) -> Iterator["pyarrow.Table"]:
    """The rows of a binary file, some at a time; stdin is read whole, for such files are read from their end."""
    import pyarrow as pa

    try:
        with _opened(file) as source:
            for batch in _batches(source, suffix):
                yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        raise BadInput(f"{file} is not a whole {suffix} file: {error}") from error


def _batches(source: IO[bytes], suffix: str) -> Iterator["pyarrow.RecordBatch"]:
    """At least one batch, so that the server can say what is missing."""
    import pyarrow as pa

    if suffix == ".parquet":
        from pyarrow import parquet

        with parquet.ParquetFile(source if source.seekable() else pa.BufferReader(source.read())) as file:
            yield from _some(file.iter_batches(PIECE_ROWS_MAX), file.schema_arrow)
        return
    whole: Any = source if source.seekable() else pa.BufferReader(source.read())
    mark = whole.read(len(_FILE_MAGIC))
    whole.seek(0)
    if mark == _FILE_MAGIC:
        with pa.ipc.open_file(whole) as found:
            yield from _some((found.get_batch(i) for i in range(found.num_record_batches)), found.schema)
    else:
        with pa.ipc.open_stream(whole) as stream:
            yield from _some(stream, stream.schema)


def _some(batches: Iterable["pyarrow.RecordBatch"], schema: "pyarrow.Schema") -> Iterator["pyarrow.RecordBatch"]:
    import pyarrow as pa

    found = False
    for batch in batches:
        found = True
        yield batch
    if not found:
        yield pa.RecordBatch.from_pylist([], schema=schema)


COMMANDS = (predict, outcomes)
