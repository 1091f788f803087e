"""Rows in a file that NumPy alone can read: how a sample goes to a child process and golden rows to a worker.

An .npz without pickled objects. Workers must start fast and stay small, so the rows they check themselves against are
not in Arrow (24 MB and 50 ms more per process). `about` is a JSON text; every column is one array of values, or for
text its UTF-8 bytes and lengths, and a mask where it may be null.
"""

import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.records.columns import Column, length
from payoff.records.signature import Field, Type

# NumPy parses the head of each array as a Python literal, and Python 3.11 miscounts when two threads parse at once
# ("AST constructor recursion depth mismatch").
_READING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Rows:
    """Columns with their fields, in order."""

    fields: tuple[Field, ...]
    columns: dict[str, Column]

    def __len__(self) -> int:
        return length(self.columns)


@dataclass(frozen=True, slots=True)
class _About:
    groups: dict[str, tuple[Field, ...]]
    notes: dict[str, Any] = field(default_factory=dict)


def write_rows(path: Path, groups: Mapping[str, Rows], notes: Mapping[str, Any] | None = None) -> None:
    """Write groups of rows ("inputs", "outputs") and notes that JSON can hold."""
    about = _About({name: rows.fields for name, rows in groups.items()}, dict(notes or {}))
    arrays: dict[str, NDArray[Any]] = {"about": np.frombuffer(msgspec.json.encode(about), np.uint8)}
    for group, rows in groups.items():
        for number, one in enumerate(rows.fields):
            arrays.update(_pack(f"{group}.{number}", one, rows.columns[one.name]))
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_rows(path: Path) -> tuple[dict[str, Rows], dict[str, Any]]:
    """The groups and notes that `write_rows` wrote; BadInput if the file is not one of these."""
    try:
        with _READING, np.load(path, allow_pickle=False) as file:
            about = msgspec.json.decode(file["about"].tobytes(), type=_About)
            groups = {group: _rows(file, group, fields) for group, fields in about.groups.items()}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, msgspec.MsgspecError) as error:
        raise BadInput(f"{path.name} holds no rows that payoff wrote: {error}") from error
    return groups, about.notes


def _pack(key: str, one: Field, column: Column) -> dict[str, NDArray[Any]]:
    arrays = {} if column.valid is None else {f"{key}.valid": column.valid}
    if one.type is not Type.TEXT:
        return arrays | {f"{key}.values": np.ascontiguousarray(column.values).view(_plain(one.type))}
    flat = ["" if text is None else str(text) for text in column.values.reshape(-1)]
    encoded = [text.encode("utf-8", "surrogatepass") for text in flat]
    lengths = np.array([len(text) for text in encoded], np.int64).reshape(column.values.shape)
    return arrays | {f"{key}.bytes": np.frombuffer(b"".join(encoded), np.uint8), f"{key}.lengths": lengths}


def _rows(file: Any, group: str, fields: tuple[Field, ...]) -> Rows:
    columns = {}
    for number, one in enumerate(fields):
        key = f"{group}.{number}"
        values = _text(file, key) if one.type is Type.TEXT else file[f"{key}.values"].view(one.type.dtype)
        columns[one.name] = Column(values, file.get(f"{key}.valid"))
    return Rows(fields, columns)


def _text(file: Any, key: str) -> NDArray[Any]:
    data, lengths = file[f"{key}.bytes"].tobytes(), file[f"{key}.lengths"]
    ends = np.cumsum(lengths.reshape(-1))
    values = np.empty(lengths.size, object)
    for row, (end, size) in enumerate(zip(ends.tolist(), lengths.reshape(-1).tolist(), strict=True)):
        values[row] = data[end - size : end].decode("utf-8", "surrogatepass")
    return values.reshape(lengths.shape)


def _plain(kind: Type) -> np.dtype[Any]:
    """Dates and times go as whole numbers."""
    return np.dtype(np.int64) if kind in (Type.DATE, Type.TIMESTAMP) else kind.dtype
