"""Tables and fresh segments as one, at one moment: no row twice, none missing, whatever compaction does meanwhile.

While a snapshot is taken, under a shared lock, no segment can disappear. It first reads the segments, then the tables,
then the note of the compaction under way. So rows that a table already has, and only those, are in segments of the note
whose number the table knows: for that table these segments are left out.
"""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from payoff.journal import segment, shape, tables
from payoff.journal.compact import GATE, SNAPSHOT, note
from payoff.journal.decode import Kind
from payoff.journal.reader import Damage, Held, Tail, alike


@dataclass(frozen=True, slots=True)
class Relation:
    """All rows of one kind of one endpoint: files of its table, and the rows of segments that are not in it yet."""

    kind: Kind
    files: tuple[tables.File, ...]
    filed: pa.Schema  # the storage columns of the files
    fresh: pa.Table  # with all storage columns there are
    schema_path: Path | None  # the file without rows that has every column of the files

    @property
    def storage(self) -> pa.Schema:
        return self.fresh.schema

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files) + self.fresh.num_rows


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The journal at one moment."""

    relations: dict[Kind, Relation]
    damage: tuple[Damage, ...]


class Snapshots:
    """Takes snapshots of a home; each reads only what is new since the last. One caller at a time."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._tail = Tail(home / "journal")
        self._tables: dict[Kind, tables.Table] = {}

    def take(self) -> Snapshot:
        """The journal as of now."""
        root = self.home / "journal"
        with segment.locked(root / GATE, shared=True):
            pass
        with segment.locked(root / SNAPSHOT, shared=True):
            held = self._tail.look()
            self._refresh({kind for each in held for kind in each.tables})
            number, noted = note(root)
        relations = {kind: _relation(kind, table, held, number, noted) for kind, table in self._tables.items()}
        return Snapshot(
            {kind: relation for kind, relation in sorted(relations.items()) if len(relation.storage)},
            tuple(each.damage for each in held if each.damage),
        )

    def _refresh(self, fresh: set[Kind]) -> None:
        root = self.home / "tables"
        for kind in {*tables.kinds(root), *fresh}:
            if kind not in self._tables:
                self._tables[kind] = tables.Table(root, kind)
            self._tables[kind].refresh()


def _relation(kind: Kind, table: tables.Table, held: list[Held], number: int, noted: frozenset[str]) -> Relation:
    done = noted if table.compaction >= number else frozenset()
    chunks = [chunk for each in held if each.path.name not in done for chunk in each.tables.get(kind, ())]
    groups = [pa.concat_tables(group) for group in alike(chunks)]
    storage = table.storage
    for group in groups:
        storage = pa.schema(shape.place(storage, group.schema))
    conformed = [shape.conform(group, storage) for group in groups]
    fresh = pa.concat_tables(conformed) if conformed else storage.empty_table()
    return Relation(kind, table.files, table.storage, fresh, table.schema_path if table.files else None)
