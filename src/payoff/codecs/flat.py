"""What an Arrow message claims, read from its FlatBuffers header before anything is made of it.

A few bytes can claim much: buffers that expand when they are decompressed, schemas that share one field a million
times. These are the tables of Schema.fbs, Message.fbs and File.fbs of the Arrow columnar format, by the order of their
slots. What lies outside of the header is read as nothing.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from payoff.errors import BadInput

_MESSAGE_HEADER, _SCHEMA_FIELDS, _FIELD_CHILDREN = 2, 1, 5
_BATCH_ROWS, _BATCH_BUFFERS, _BATCH_COMPRESSION = 0, 2, 3
_DICTIONARY_DATA, _DICTIONARY_IS_DELTA = 1, 2
_INDEX_SCHEMA, _INDEX_DICTIONARIES, _INDEX_BATCHES = 1, 2, 3
_BUFFER = struct.Struct("<qq")  # offset, length
_BLOCK = struct.Struct("<qi4xq")  # offset, length of the head, length of the body
_EXPANDED = struct.Struct("<q")  # stands before the bytes of a compressed buffer; -1: they are not compressed


@dataclass(frozen=True, slots=True)
class Table:
    """A FlatBuffers table at a place in a buffer."""

    held: memoryview
    at: int

    @staticmethod
    def root(held: memoryview) -> "Table":
        """The table that a buffer begins with."""
        return Table(held, _offset(held, 0))

    def table(self, slot: int) -> "Table | None":
        """The table in a slot; None if the slot is empty."""
        place = self._place(slot)
        return Table(self.held, place + _offset(self.held, place)) if place else None

    def long(self, slot: int) -> int:
        """The int64 in a slot."""
        place = self._place(slot)
        return int.from_bytes(self.held[place : place + 8], "little", signed=True) if place else 0

    def byte(self, slot: int) -> int:
        """The byte in a slot."""
        place = self._place(slot)
        return int.from_bytes(self.held[place : place + 1], "little") if place else 0

    def tables(self, slot: int) -> Iterator["Table"]:
        """The tables of a vector."""
        start, count = self._vector(slot)
        for place in range(start, start + 4 * count, 4):
            yield Table(self.held, place + _offset(self.held, place))

    def structs(self, slot: int, kind: struct.Struct) -> Iterator[tuple[int, ...]]:
        """The structs of a vector."""
        start, count = self._vector(slot)
        found = self.held[start : start + kind.size * count]
        if len(found) != kind.size * count:
            raise BadInput("body is not readable Arrow data: the head of a message points out of itself")
        return kind.iter_unpack(found)

    def _vector(self, slot: int) -> tuple[int, int]:
        place = self._place(slot)
        if not place:
            return 0, 0
        start = place + _offset(self.held, place)
        return start + 4, _offset(self.held, start)

    def _place(self, slot: int) -> int:
        """Where the slot's value is; 0 if the table has none."""
        slots = self.at - int.from_bytes(self.held[self.at : self.at + 4], "little", signed=True)
        end, entry = int.from_bytes(self.held[slots : slots + 2], "little"), 4 + 2 * slot
        offset = int.from_bytes(self.held[slots + entry : slots + entry + 2], "little") if entry < end else 0
        return self.at + offset if offset else 0


def _offset(held: memoryview, place: int) -> int:
    return int.from_bytes(held[place : place + 4], "little")


def columns(metadata: memoryview, most: int) -> int:
    """How many columns a schema message has, those inside of others too; counting ends above `most`."""
    return _columns(Table.root(metadata).table(_MESSAGE_HEADER), most)


def index_columns(index: memoryview, most: int) -> int:
    """The same of the index at the end of a file."""
    return _columns(Table.root(index).table(_INDEX_SCHEMA), most)


def index_blocks(index: memoryview) -> list[tuple[int, int]]:
    """Where the messages of a file are, dictionaries first: their first bytes and their sizes."""
    root = Table.root(index)
    blocks = [*root.structs(_INDEX_DICTIONARIES, _BLOCK), *root.structs(_INDEX_BATCHES, _BLOCK)]
    return [(offset, head + body) for offset, head, body in blocks]


def _columns(schema: Table | None, most: int) -> int:
    waiting = [schema.tables(_SCHEMA_FIELDS)] if schema else []
    found = 0
    while waiting and found <= most:
        field = next(waiting[-1], None)
        if field is None:
            waiting.pop()
            continue
        found += 1
        waiting.append(field.tables(_FIELD_CHILDREN))
    return found


def batch_rows(metadata: memoryview) -> int:
    """How many rows a record batch message has."""
    batch = Table.root(metadata).table(_MESSAGE_HEADER)
    return batch.long(_BATCH_ROWS) if batch else 0


def batch_bytes(metadata: memoryview, body: memoryview) -> int:
    """How many bytes the buffers of a record batch message take, expanded."""
    return _expanded(Table.root(metadata).table(_MESSAGE_HEADER), body)


def dictionary_bytes(metadata: memoryview, body: memoryview) -> tuple[int, bool]:
    """The same of a dictionary batch message, and whether it adds to the dictionary before it."""
    dictionary = Table.root(metadata).table(_MESSAGE_HEADER)
    if dictionary is None:
        return 0, False
    return _expanded(dictionary.table(_DICTIONARY_DATA), body), bool(dictionary.byte(_DICTIONARY_IS_DELTA))


def _expanded(batch: Table | None, body: memoryview) -> int:
    if batch is None or batch.table(_BATCH_COMPRESSION) is None:
        return len(body)
    size = 0
    for offset, length in batch.structs(_BATCH_BUFFERS, _BUFFER):
        claimed = _EXPANDED.unpack_from(body, offset)[0] if length >= 8 and 0 <= offset <= len(body) - 8 else 0
        size += claimed if claimed >= 0 else length
    return size
