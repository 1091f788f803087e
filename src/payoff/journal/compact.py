"""Closed segments become Delta tables, each row exactly once, whenever and however often this is killed.

A compaction first writes down its number and its segments (`compacting.json`), then commits their rows to each table
together with that number, then deletes the segments, then the note. Whoever finds the note finishes the work: a table
that has the number has the rows. Readers do the same sum (see snapshot.py) and hold a shared lock while they do it, so
that no segment goes while they look. Best in a short-lived process of its own: `python -m payoff.journal.compact HOME`.
"""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from payoff.journal import segment, tables
from payoff.journal.decode import Kind
from payoff.journal.reader import Damage, Held
from payoff.journal.tidy import tidy

NOTE = "compacting.json"
LOCK, SNAPSHOT = ".compact.lock", ".snapshot.lock"
GATE = ".snapshot.gate"  # whoever reads comes through it; shut while readers are waited for, who else need never end
ASIDE = "aside"  # a folder: what cannot be read is kept here
_BATCH_BYTES_MAX = 128 << 20  # of segments, taken into memory at once


@dataclass(frozen=True, slots=True)
class Report:
    """What a compaction did. `busy`: another one was at work, and nothing was done here."""

    busy: bool = False
    segments: int = 0
    predictions: int = 0
    outcomes: int = 0
    torn_bytes: int = 0  # of writes that were never finished, whose answers never left
    damage: tuple[Damage, ...] = ()  # kept in journal/aside
    merged: int = 0  # small files made into larger ones
    deleted: int = 0  # files that nothing needs any more
    seconds: float = 0.0


class Note(TypedDict):
    """What a compaction under way has taken on."""

    number: int
    segments: list[str]


def compact(home: Path) -> Report:
    """Bring every closed segment into the tables and keep the tables in good order."""
    began, root = time.monotonic(), home / "journal"
    with segment.locked(root / LOCK, wait=False) as mine:
        if not mine:
            return Report(busy=True)
        report = Report()
        noted = root / NOTE
        if noted.exists():
            report = _finish(home, json.loads(noted.read_text()), report)
        while batch := _batch(root):
            report = _finish(home, _write_note(home, batch), report)
        merged, deleted = tidy(home / "tables")
    return replace(report, merged=merged, deleted=deleted, seconds=time.monotonic() - began)


def note(root: Path) -> tuple[int, frozenset[str]]:
    """The number and the segments of the compaction under way; (0, none) if there is none."""
    try:
        facts = json.loads((root / NOTE).read_text())
    except FileNotFoundError:
        return 0, frozenset()
    return facts["number"], frozenset(facts["segments"])


def _batch(root: Path) -> list[segment.Segment]:
    batch: list[segment.Segment] = []
    for each in segment.segments(root):
        if segment.is_closed(each.path):
            batch.append(each)
            if sum(one.size for one in batch) >= _BATCH_BYTES_MAX:
                break
    return batch


def _write_note(home: Path, batch: Sequence[segment.Segment]) -> Note:
    known = [tables.Table(home / "tables", kind) for kind in tables.kinds(home / "tables")]
    for table in known:
        table.refresh()
    number = 1 + max((table.compaction for table in known), default=0)
    facts: Note = {"number": number, "segments": [each.path.name for each in batch]}
    _replace_file(home / "journal" / NOTE, json.dumps(facts))
    return facts


def _finish(home: Path, facts: Note, report: Report) -> Report:
    root = home / "journal"
    held = [Held(root / name) for name in facts["segments"] if (root / name).exists()]
    rows: dict[Kind, list[pa.Table]] = {}
    for each in held:
        each.catch_up(each.path.stat().st_size)
        for kind, chunks in each.tables.items():
            rows.setdefault(kind, []).extend(chunks)
    for kind, chunks in rows.items():
        tables.Table(home / "tables", kind).append(chunks, facts["number"])
    damage = tuple(each.damage for each in held if each.damage)
    _set_aside(root, damage)
    _delete(root, held)
    return replace(
        report,
        segments=report.segments + len(held),
        predictions=report.predictions + _count(rows, "predictions"),
        outcomes=report.outcomes + _count(rows, "outcomes"),
        torn_bytes=report.torn_bytes + sum(each.torn_bytes for each in held),
        damage=report.damage + damage,
    )


def _count(rows: dict[Kind, list[pa.Table]], kind: str) -> int:
    return sum(chunk.num_rows for each, chunks in rows.items() if each[0] == kind for chunk in chunks)


def _set_aside(root: Path, damage: Sequence[Damage]) -> None:
    for each in damage:
        (root / ASIDE).mkdir(exist_ok=True)
        rest = (root / each.segment).read_bytes()[each.offset :]
        (root / ASIDE / f"{each.segment}.{each.offset}").write_bytes(rest)


def _delete(root: Path, held: Sequence[Held]) -> None:
    remembered = root / segment.NEWEST
    newest = max((each.newest for each in held), default=0)
    if newest > (int(remembered.read_text()) if remembered.exists() else 0):
        _replace_file(remembered, str(newest))
    with segment.locked(root / GATE), segment.locked(root / SNAPSHOT):
        for each in held:
            each.path.unlink()
        tables.sync(root)
        (root / NOTE).unlink()


def _replace_file(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text)
    tables.sync(part)
    part.rename(path)
    tables.sync(path.parent)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(compact(Path(sys.argv[1])))) + "\n")
