"""JAX: a function that jax.export has serialized, recognised by the program in it."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.sampled import columns_of

_PROGRAM = b"ML\xefR"  # MLIR's bytecode, in which StableHLO is kept
_FIELDS_MAX = 64


class Jax:
    """What exported.serialize() gives, in a file."""

    name = "jax"
    takes = "a JAX function from jax.export (exported.serialize(), written to a file)"

    def recognises(self, path: Path, head: bytes) -> bool:
        if path.is_dir() or len(head) < 32:
            return False
        with suppress(OSError, ValueError, struct.error):
            return _holds_program(path)
        return False

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served with JAX on a CPU."""
        return prepare_native(arrival, "jax", ["jax", "flatbuffers"], options=columns_of(arrival))


def _holds_program(path: Path) -> bool:
    """Whether it is a flatbuffer with a program of StableHLO among the vectors of its root."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(
            content[at : at + 4] == _PROGRAM and b"StableHLO" in content[at : at + 64] for at in _vectors(content)
        )


def _vectors(content: Any) -> Iterator[int]:
    """Where the vectors of the root table may begin: every field read as an offset to one.

    A flatbuffer starts with the place of its root, which starts with the distance back to the table of its fields.
    """
    (root,) = struct.unpack_from("<I", content, 0)
    (back,) = struct.unpack_from("<i", content, root)
    (size,) = struct.unpack_from("<H", content, root - back)
    for place in range(min(size // 2 - 2, _FIELDS_MAX)):
        (offset,) = struct.unpack_from("<H", content, root - back + 4 + 2 * place)
        if offset and root + offset + 4 <= len(content):
            (distance,) = struct.unpack_from("<I", content, root + offset)
            yield root + offset + distance + 4


FLAVOR = Jax()
