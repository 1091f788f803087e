"""Answers that a model gave a moment ago, given again to equal rows without asking it.

Only what the model said is kept: every row is still decided, held to the rules, explored and journaled by itself. A
cache belongs to one arm of one revision in one worker, and is gone with it.
"""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.records import Cache, Column, Columns, Field, Type, length

_ENTRY_BYTES = 200  # of Python's own, for a key and its place
_FIRST = 256  # places at first; they double


@dataclass(frozen=True, slots=True)
class Found:
    """What a cache knows of some rows: their places, of those that it answers and of the others."""

    keys: Sequence[Hashable]
    hits: NDArray[np.intp]
    misses: NDArray[np.intp]
    outputs: dict[str, Column]  # of the hits, in order


class Answers:
    """What one model answered, by the exact bytes of what it was asked. Belongs to one event loop."""

    def __init__(self, how: Cache, inputs: Sequence[Field], clock: Callable[[], float] = time.monotonic) -> None:
        self.how = how
        self._texts = [field.name for field in inputs if field.type is Type.TEXT]
        self._numbers = [field.name for field in inputs if field.type is not Type.TEXT]
        self._nullable = [field.name for field in inputs if field.nullable]
        self._clock = clock
        self._known: dict[Hashable, tuple[int, float]] = {}  # slot and birth; the longest unused first
        self._free: list[int] = []
        self._sizes: NDArray[np.int64] = np.zeros(0, np.int64)
        self._values: dict[str, NDArray[Any]] = {}
        self._valid: dict[str, NDArray[np.bool_]] = {}
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._known)

    def find(self, rows: Columns) -> Found:
        """Look rows up; those that are found count as used."""
        keys = self._keys(rows)
        known, old_s = self._known, self._clock() - self.how.for_s
        hits, misses, slots = list[int](), list[int](), list[int]()
        for place, key in enumerate(keys):
            one = known.pop(key, None)
            if one is not None:
                known[key] = one
            if one is None or one[1] <= old_s:
                misses.append(place)
            else:
                hits.append(place)
                slots.append(one[0])
        return Found(keys, np.array(hits, np.intp), np.array(misses, np.intp), self._take(slots) if slots else {})

    def keep(self, found: Found, outputs: Columns) -> None:
        """Remember what the model answered to the misses, in order."""
        last = slice(max(0, len(found.misses) - self.how.entries), None)
        places = found.misses[last].tolist()
        outputs = {name: column.take(last) for name, column in outputs.items()}
        if not places:
            return
        self._shape(outputs)
        now_s = self._clock()
        slots = [self._slot(found.keys[place], now_s) for place in places]
        for name, column in outputs.items():
            self._values[name][slots] = column.values
            self._valid[name][slots] = True if column.valid is None else column.valid
        self._weigh(np.array(slots, np.intp), _bytes(outputs) + _ENTRY_BYTES + _key_bytes(found.keys[places[0]]))

    def _keys(self, rows: Columns) -> list[Hashable]:
        """For each row something that is equal where all its cells are, byte for byte, and nulls are nulls."""
        if not length(rows):
            return []
        parts = [_cells(rows[name]) for name in self._numbers]
        parts += [_nulls(rows[name]) for name in self._nullable]
        keys: list[Hashable] = [*_packed(parts)] if parts else [b""] * length(rows)
        texts = [words for name in self._texts for words in _words(rows[name])]
        return list(zip(keys, *texts, strict=True)) if texts else keys

    def _take(self, slots: list[int]) -> dict[str, Column]:
        return {name: Column(values[slots], _mask(self._valid[name][slots])) for name, values in self._values.items()}

    def _slot(self, key: Hashable, now_s: float) -> int:
        """The place of a key, now the latest used; the longest unused gives its own up where there is no other."""
        slot, _ = self._known.pop(key, (-1, 0.0))
        if slot < 0:
            if not self._free:
                self._drop()
            slot = self._free.pop()
        self._known[key] = slot, now_s
        return slot

    def _drop(self) -> None:
        slot, _ = self._known.pop(next(iter(self._known)))
        self.held_bytes -= int(self._sizes[slot])
        self._sizes[slot] = 0
        self._free.append(slot)

    def _weigh(self, slots: NDArray[np.intp], sizes: NDArray[np.int64]) -> None:
        """Book what rows take, and drop the longest unused while all take too much."""
        slots, firsts = np.unique(slots, return_index=True)
        self.held_bytes += int((sizes[firsts] - self._sizes[slots]).sum())
        self._sizes[slots] = sizes[firsts]
        while self.held_bytes > self.how.bytes_max and self._known:
            self._drop()

    def _shape(self, outputs: Columns) -> None:
        """Room for these answers: made at first, and doubled until there are as many places as entries."""
        need = min(self.how.entries, len(self._known) + length(outputs))
        have = len(self._sizes)
        if have >= need:
            return
        size = min(self.how.entries, max(need, 2 * have, _FIRST))
        self._sizes = _grown(self._sizes, size)
        for name, column in outputs.items():
            old = self._values.get(name, np.zeros((0, *column.values.shape[1:]), column.values.dtype))
            self._values[name] = _grown(old, size)
            self._valid[name] = _grown(self._valid.get(name, np.zeros(0, bool)), size)
        self._free += range(have, size)


def _cells(column: Column) -> NDArray[np.uint8]:
    """The bytes of numbers, a row each; what stands at a null means nothing, and is zero here."""
    values = column.values
    if column.valid is not None:
        values = values.copy()
        values[~column.valid] = np.zeros(1, values.dtype)[0]
    return np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)


def _packed(parts: list[NDArray[np.uint8]]) -> list[bytes]:
    """Each row's bytes of all parts, one after the other."""
    if len(parts[0]) == 1:  # without a matrix in between
        return [b"".join([part.tobytes() for part in parts])]
    packed = np.concatenate(parts, axis=1)
    data, width = packed.tobytes(), packed.shape[1]
    return [data[start : start + width] for start in range(0, len(data), width)]


def _nulls(column: Column) -> NDArray[np.uint8]:
    return np.ones((len(column), 1), np.uint8) if column.valid is None else column.valid[:, None].astype(np.uint8)


def _words(column: Column) -> list[list[Any]]:
    """Texts, a list for each place of a cell."""
    values = column.values if column.valid is None else np.where(column.valid, column.values.T, "").T
    words: list[list[Any]] = values.reshape(len(values), -1).T.tolist()
    return words


def _mask(valid: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    return None if valid.all() else valid


def _grown(old: NDArray[Any], size: int) -> NDArray[Any]:
    new = np.zeros((size, *old.shape[1:]), old.dtype)
    new[: len(old)] = old
    return new


def _bytes(outputs: Columns) -> NDArray[np.int64]:
    """What the answers to each row take."""
    sizes = np.zeros(length(outputs), np.int64)
    for column in outputs.values():
        sizes += 1 + column.values.nbytes // max(1, len(column.values))
        if column.values.dtype == object:
            cells = column.values.reshape(len(column.values), -1)
            sizes += np.array([sum(len(str(cell)) for cell in row) for row in cells.tolist()], np.int64)
    return sizes


def _key_bytes(key: Hashable) -> int:
    return sum(len(part) for part in key) if isinstance(key, tuple) else len(key)  # type: ignore[arg-type]
