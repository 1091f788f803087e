"""Small files become large ones, and files that nobody reads any more go away: a table stays quick for years."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from payoff.journal import tables

_FILES_MAX = 8  # of about one size on one date; then they are merged
_FINAL_BYTES = 16 << 20  # a file this large is never merged again
_RETENTION_H = 1  # how long a replaced file stays: longer than any query runs
_VACUUM_EVERY = 32  # table versions: it lists all files, so not after every compaction


def tidy(root: Path) -> tuple[int, int]:
    """Merge and delete where it is worth it; how many files were merged, and how many deleted."""
    merged = deleted = 0
    for kind in tables.kinds(root):
        table = tables.Table(root, kind)
        table.refresh()
        while crowd := next(crowds(table.files), None):
            table.replace(crowd)
            merged += len(crowd)
        if table.version % _VACUUM_EVERY == _VACUUM_EVERY - 1:
            deleted += table.vacuum(_RETENTION_H)
    return merged, deleted


def crowds(files: Sequence[tables.File]) -> Iterator[list[tables.File]]:
    """Groups of files worth merging: of one date, and of one size within a factor of eight.

    A row is so rewritten once per factor of eight that its file grows, not once per compaction.
    """
    small = sorted((file.date, _magnitude(file.size), file) for file in files if file.size < _FINAL_BYTES)
    for _, group in groupby(small, key=lambda each: each[:2]):
        crowd = [file for _, _, file in group]
        if len(crowd) >= _FILES_MAX:
            yield crowd


def _magnitude(size: int) -> int:
    return max(size.bit_length(), 15) // 3  # below 16 KiB all are alike: a file of nothing takes a few of them
