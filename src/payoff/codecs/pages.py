"""What a Parquet file claims, read from its footer and the headers of its pages before any page is expanded.

The file's own sums are only words: a page may say that it expands to two gigabytes, or that one long text stands in a
million rows. pyarrow's view of the footer ends the process where the footer is broken, so it is read here; the structs
are those of parquet.thrift.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from payoff.codecs.thrift import I32, I64, LIST, STRUCT, TEXT, Reader, Struct
from payoff.errors import BadInput, TooLarge

PAGES_MAX = 100_000
FOOTER_BYTES_MAX = 4 << 20
BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY = 6, 7
_END = 8  # the footer's size in four bytes, and PAR1
_DICTIONARY_PAGE = 2
_ABOUT = {0: (5, STRUCT), _DICTIONARY_PAGE: (7, STRUCT), 3: (8, STRUCT)}  # by the type of the page
_ENCODING = {0: (2, I32), 3: (4, I32)}
_VALUES = (1, I32)
_PREFIXES = 7  # DELTA_BYTE_ARRAY: each text says how much of the one before it begins with


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column of one row group, as the footer has it."""

    path: tuple[bytes, ...]
    kind: int
    start: int
    stop: int


@dataclass(slots=True)
class Claim:
    """What the pages of a chunk claim: bytes expanded, values, and bytes of the dictionary."""

    expanded_bytes: int = 0
    values: int = 0
    dictionary_bytes: int = 0
    pages: int = 0

    def add(self, header: Struct) -> None:
        """Count one page."""
        page, size = _number(header, (1, I32)), _number(header, (2, I32))
        about = header.get(_ABOUT.get(page, (0, 0)), {})
        values = _number(about, _VALUES)
        if size < 0 or values < 0:
            raise BadInput("body is not readable Parquet: a page of negative size")
        self.pages += 1
        self.expanded_bytes += size
        if page == _DICTIONARY_PAGE:
            self.dictionary_bytes += size
            return
        self.values += values
        if _number(about, _ENCODING.get(page, (0, 0))) == _PREFIXES:
            self.expanded_bytes += values * size


def chunks(body: memoryview) -> Iterator[Chunk]:
    """The column chunks of a file, group by group."""
    for group in _structs(Reader(_footer(body)).struct(), 4):
        for chunk in _structs(group, 1):
            yield _chunk(chunk.get((3, STRUCT), {}))


def without_types(body: memoryview) -> bytes:
    """The footer as a file of its own, in which the Arrow types of the columns are not found.

    With them pyarrow reads lists as lists of fixed size, and ends the process where their lengths are broken (seen with
    pyarrow 26.0.1). What columns are stored as says enough.
    """
    footer = bytes(_footer(body)).replace(b"ARROW:schema", b"ARROW:unread")
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _footer(body: memoryview) -> memoryview:
    size = int.from_bytes(body[-_END:-4], "little")
    if bytes(body[-4:]) != b"PAR1" or size + _END > len(body):
        raise BadInput("body is not readable Parquet: it does not end as such a file does; send all of it")
    if size > FOOTER_BYTES_MAX:
        raise TooLarge(f"the Parquet file has {size:,} bytes about itself; the limit is {FOOTER_BYTES_MAX:,}")
    return body[-size - _END : -_END]


def _chunk(about: Struct) -> Chunk:
    kind, path = about.get((3, LIST), (TEXT, []))
    if kind != TEXT:
        raise BadInput("body is not readable Parquet: a column's path is no text")
    starts = [_number(about, field) for field in ((9, I64), (11, I64))]
    start = min((at for at in starts if at > 0), default=0)
    size = max(0, _number(about, (7, I64)))
    return Chunk(tuple(map(bytes, path)), _number(about, (1, I32)), start, start + size)


def claim(body: memoryview, chunk: Chunk, pages_max: int = PAGES_MAX) -> Claim:
    """The claims of a chunk's pages. Raises BadInput, and TooLarge above `pages_max` pages."""
    found, at, stop = Claim(), chunk.start, min(chunk.stop, len(body))
    while at < stop:
        reader = Reader(body, at)
        header = reader.struct()
        found.add(header)
        if found.pages > pages_max:
            raise TooLarge(f"the Parquet file has more than {PAGES_MAX:,} pages; write it with larger ones")
        at = reader.at + max(0, _number(header, (3, I32)))
    return found


def _structs(struct: Struct, field: int) -> list[Struct]:
    kind, found = struct.get((field, LIST), (STRUCT, []))
    if kind != STRUCT:
        raise BadInput("body is not readable Parquet: its footer has a list of something else")
    structs: list[Struct] = found
    return structs


def _number(struct: Struct, field: tuple[int, int]) -> int:
    found: Any = struct.get(field, 0)
    return int(found)
