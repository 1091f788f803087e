"""Good bodies of every format, and what may happen to bytes on their way; the fuzzers' common ground.

Run as a program it decodes so many mutated bodies of each within a limit of memory: `BODIES SEED [NAME ...]`. A process
of its own, for what is looked for may also end it. The same seed makes the same bodies on every machine; another one
looks further.
"""

import io
import json
import resource
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from pyarrow import parquet as pq

from payoff.codecs import arrow, csv, ndjson, parquet, rows, samples
from payoff.codecs.pieces import Batches, Lines, Source
from payoff.codecs.untyped import pa
from payoff.errors import BadInput, TooLarge
from payoff.records import Field, Type

MEMORY_BYTES_MAX = 6 << 30  # of addresses; Arrow and its threads reserve much of that without using it
FIELDS = (
    Field("a", Type.INT8, nullable=True),
    Field("b", Type.TEXT, nullable=True),
    Field("c", Type.FLOAT32, (2,), nullable=True),
    Field("d", Type.TIMESTAMP, nullable=True),
    Field("e", Type.DATE, nullable=True),
    Field("f", Type.BOOL, nullable=True),
)
N = 40
TABLE = pa.table({
    "a": pa.array([1, None] * (N // 2), pa.int8()),
    "b": pa.array(["x", "yy" * 20] * (N // 2)),
    "c": pa.array([[1, 2], None] * (N // 2), pa.list_(pa.float32(), 2)),
    "d": pa.array([0, 1000] * (N // 2), pa.timestamp("ns")),
    "e": pa.array([0, 3] * (N // 2), pa.date32()),
    "f": pa.array([True, False] * (N // 2)),
})  # fmt: skip
ENCODED = TABLE.set_column(1, "b", TABLE["b"].dictionary_encode()).set_column(
    3,
    "d",
    pa.chunked_array(
        [pa.RunEndEncodedArray.from_arrays(pa.array([9, N], pa.int32()), pa.array([1, 2], pa.timestamp("us")))]
    ),
)
VIEWS = TABLE.set_column(1, "b", TABLE["b"].cast(pa.string_view()))
RECORD = {"a": 1, "b": "x", "c": [1, None], "d": "2008-05-05T10:00:00Z", "e": "2008-05-05", "f": True}


def in_arrow(table: Any, opener: Any = pa.ipc.new_stream, **how: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with opener(sink, table.schema, options=pa.ipc.IpcWriteOptions(**how)) as writer:
        writer.write_table(table, max_chunksize=N // 2)
    return bytes(sink.getvalue().to_pybytes())


def in_parquet(table: Any, **how: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **how)
    return sink.getvalue()


def fed(source: Source, body: bytes) -> None:
    """A body in parts, and all that is in it."""
    for at in range(0, len(body), 50):
        source.feed(body[at : at + 50])
        source.next(FIELDS, 7)
    source.end()
    while source.next(FIELDS, 7):
        pass


Decode = Callable[[bytes], object]
DECODERS: dict[str, tuple[Decode, bytes]] = {
    "rows": (lambda body: rows.decode(body, FIELDS, rows_max=100), json.dumps([RECORD, RECORD]).encode()),
    "ndjson": (lambda body: ndjson.decode(body, FIELDS), json.dumps(RECORD).encode() + b"\n"),
    "csv": (lambda body: csv.decode(body, FIELDS), b'a,b,c,d,e,f\n1,"x","[1,2]",2008-05-05,2008-05-05,1\n,,,,,\n'),
    "arrow": (lambda body: arrow.decode(body, FIELDS), in_arrow(TABLE)),
    "arrow, encoded": (lambda body: arrow.decode(body, FIELDS), in_arrow(ENCODED)),
    "arrow, views": (lambda body: arrow.decode(body, FIELDS), in_arrow(VIEWS)),
    "arrow, zstd": (lambda body: arrow.decode(body, FIELDS), in_arrow(ENCODED, compression="zstd")),
    "arrow, lz4": (lambda body: arrow.decode(body, FIELDS), in_arrow(TABLE, compression="lz4")),
    "arrow, file": (lambda body: arrow.decode(body, FIELDS), in_arrow(TABLE, pa.ipc.new_file)),
    "parquet": (lambda body: parquet.decode(body, FIELDS), in_parquet(TABLE)),
    "parquet, zstd": (
        lambda body: parquet.decode(body, FIELDS), in_parquet(TABLE, compression="zstd", data_page_version="2.0")
    ),
    "parquet, plain": (
        lambda body: parquet.decode(body, FIELDS), in_parquet(TABLE, compression="none", use_dictionary=False)
    ),
    "parquet, prefixes": (
        lambda body: parquet.decode(body, FIELDS),
        in_parquet(TABLE, use_dictionary=False, column_encoding={"b": "DELTA_BYTE_ARRAY"}),
    ),
    "sample csv": (lambda body: samples.table(body, "csv"), b"a,b\n1,2008-05-05\n"),
    "sample json": (lambda body: samples.table(body, "json"), json.dumps([RECORD]).encode()),
    "lines": (lambda body: fed(Lines(), body), json.dumps(RECORD).encode() * 2 + b"\n" + json.dumps(RECORD).encode()),
    "batches": (lambda body: fed(Batches(), body), in_arrow(ENCODED)),
}  # fmt: skip


def survives(decode: Decode, body: bytes) -> None:
    """Columns, or a refusal that can be answered."""
    try:
        decode(body)
    except (BadInput, TooLarge):
        return


def mutated(body: bytes, chance: Generator) -> bytes:
    """Some bytes changed, some numbers made extreme, some parts left out, doubled or swapped."""
    made = bytearray(body)
    for _ in range(chance.integers(1, 5)):
        at, size = int(chance.integers(0, max(1, len(made)))), int(chance.integers(1, 9))
        kind = chance.integers(0, 6)
        if kind <= 1:
            made[at : at + 1] = bytes([chance.integers(0, 256)])
        elif kind == 2:
            made[at : at + size] = chance.choice([b"\x00", b"\xff", b"\x7f", b"\x80"]).tobytes()[:1] * size
        elif kind == 3:
            del made[at : at + size]
        elif kind == 4:
            made[at:at] = made[at : at + 8 * size]
        else:
            end = int(chance.integers(0, len(made) + 1))
            made[at : at + size] = made[end : end + size]
    return bytes(made)


def fuzz(bodies: int, seed: int, name: str) -> None:
    """Decode so many mutated bodies."""
    decode, good = DECODERS[name]
    decode(good)
    chance = np.random.default_rng(seed)
    for _ in range(bodies):
        body = mutated(good, chance)
        try:
            survives(decode, body)
        except BaseException:
            sys.stderr.write(f"{name}: {body!r}\n")
            raise


def main(bodies: str, seed: str, *names: str) -> None:
    """Each decoder in turn, all of them if none is named; says which are through."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    for name in names or DECODERS:
        fuzz(int(bodies), int(seed), name)
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
