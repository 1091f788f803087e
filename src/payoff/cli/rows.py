"""Rows in files: predict and outcomes, over CSV, JSON, JSON lines, Parquet and Arrow, by the file's suffix."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from payoff.cli import show
from payoff.cli.server import Endpoint, Json, Url, client
from payoff.errors import BadInput

if TYPE_CHECKING:
    import pyarrow

PIECE_BYTES_MAX = 4 << 20
PIECE_ROWS_MAX = 50_000
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

    CSV, JSON, JSON lines, Parquet and Arrow, by the file's suffix, in and out.
    """
    kind_in = kind(str(file), form)
    kind_out = ".json" if as_json else kind(output, form if output == "-" else None, kind_in)
    require_folder(output)
    asked = client(url).endpoint(endpoint)
    answers = [asked.ask(body, content_type) for content_type, body in pieces(file, kind_in)]
    import pyarrow as pa

    write(pa.concat_tables(answers, promote_options="permissive"), kind_out, output)


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

        yield from ((ARROW, frames.stream(piece)) for piece in frames.pieces(_table(file, suffix)))
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


def write(table: "pyarrow.Table", suffix: str, output: str) -> None:
    """The answers in the format of a suffix, to a file or stdout."""
    sink: Any = sys.stdout.buffer if output == "-" else output
    if suffix == ".csv":
        from pyarrow import csv

        csv.write_csv(_flat(table), sink)
    elif suffix == ".parquet":
        from pyarrow import parquet

        parquet.write_table(table, sink)
    elif suffix in (".arrow", ".feather"):
        import pyarrow as pa

        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        _put(_text(table, suffix), output)


def _text(table: "pyarrow.Table", suffix: str) -> bytes:
    import orjson

    rows = table.to_pylist()
    if suffix == ".json":
        return orjson.dumps(rows, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return b"".join(orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _put(text: bytes, output: str) -> None:
    if output == "-":
        sys.stdout.buffer.write(text)
    else:
        Path(output).write_bytes(text)


def _flat(table: "pyarrow.Table") -> "pyarrow.Table":
    """CSV has no lists: they are written as JSON."""
    import json

    import pyarrow as pa

    for i, field in enumerate(table.schema):
        if pa.types.is_nested(field.type):
            texts = [None if one is None else json.dumps(one, default=str) for one in table[i].to_pylist()]
            table = table.set_column(i, field.name, pa.array(texts, pa.string()))
    return table


def _opened(file: Path) -> IO[bytes]:
    from payoff.client.artefacts import existing

    return sys.stdin.buffer if str(file) == "-" else existing(file, "file of rows").open("rb")


def _table(file: Path, suffix: str) -> "pyarrow.Table":
    import pyarrow as pa

    with _opened(file) as source:
        body = pa.py_buffer(source.read())
    try:
        if suffix == ".parquet":
            from pyarrow import parquet

            return parquet.read_table(pa.BufferReader(body))
        return _ipc(body)
    except pa.ArrowInvalid as error:
        raise BadInput(f"{file} is not a whole {suffix} file: {error}") from error


def _ipc(body: "pyarrow.Buffer") -> "pyarrow.Table":
    import pyarrow as pa

    is_file = body.slice(0, 6).to_pybytes() == b"ARROW1"
    reader = pa.ipc.open_file(body) if is_file else pa.ipc.open_stream(body)
    return reader.read_all()


COMMANDS = (predict, outcomes)
