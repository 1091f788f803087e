"""What is in the segments: every look reads only the bytes that came since the last one."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from payoff.journal import segment
from payoff.journal.decode import Decoder, Kind
from payoff.journal.frame import MAGIC

_CHUNKS_MAX = 32


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that cannot be read though its writer is gone: `length` of them from `offset` on."""

    segment: str
    offset: int
    length: int


@dataclass(slots=True)
class Held:
    """One segment as far as it was read."""

    path: Path
    end: int = 0  # bytes of whole blocks
    newest: int = 0  # the upper half of the newest id
    damage: Damage | None = None
    tables: dict[Kind, list[pa.Table]] = field(default_factory=dict)
    _decoder: Decoder = field(default_factory=Decoder)
    _looked: int = 0  # size of the file when it was last read
    _final: bool = False  # it was closed by then

    def catch_up(self, size: int) -> None:
        """Read what was written since; a block that is not whole yet is left for the next time."""
        if size <= self.end or self.damage or (self._final and size == self._looked):
            return
        self._final = segment.is_closed(self.path)  # asked before reading: what a closed segment lacks will never come
        raw = segment.read(self.path, self.end)
        found = segment.scan(raw)
        for kind, table in self._decoder.tables(raw, found.bodies):
            self.tables.setdefault(kind, []).append(table)
        if self._final and not _is_torn(raw[found.end :], found.broken):
            self.damage = Damage(self.path.name, self.end + found.end, len(raw) - found.end)
        self.end, self.newest, self._looked = self.end + found.end, max(self.newest, found.newest), self.end + len(raw)
        for chunks in self.tables.values():
            if len(chunks) > _CHUNKS_MAX:
                chunks[:] = _joined(chunks)

    @property
    def torn_bytes(self) -> int:
        """Bytes at the end that a write left unfinished: their answers never left."""
        return 0 if self.damage else self._looked - self.end


class Tail:
    """All segments of a journal, read as they grow."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._held: dict[str, Held] = {}

    def look(self) -> list[Held]:
        """The segments there are, read to their present ends, oldest first."""
        there = segment.segments(self.root)
        self._held = {each.path.name: self._held.get(each.path.name) or Held(each.path) for each in there}
        for each in there:
            self._held[each.path.name].catch_up(each.size)
        return list(self._held.values())


def _is_torn(rest: bytes, broken: bool) -> bool:
    """True for the end of a write that never finished, or space the disk never filled, with nothing whole after it."""
    at = rest.find(MAGIC, 1)
    while at >= 0:
        if segment.scan(rest[at:]).bodies:
            return False
        at = rest.find(MAGIC, at + 1)
    return not broken or not rest.strip(b"\0")


def _joined(chunks: list[pa.Table]) -> list[pa.Table]:
    return [pa.concat_tables(group).combine_chunks() for group in alike(chunks)]


def alike(chunks: Iterable[pa.Table]) -> list[list[pa.Table]]:
    """The tables in groups of one schema each."""
    groups: list[list[pa.Table]] = []
    for chunk in chunks:
        home = next((group for group in groups if group[0].schema.equals(chunk.schema)), None)
        if home is None:
            groups.append([chunk])
        else:
            home.append(chunk)
    return groups
