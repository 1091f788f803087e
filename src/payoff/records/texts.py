"""Texts of one length, such as ids, as one block of bytes: a thousand of them need not become a thousand objects."""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Texts(Sequence[str]):
    """A list of ASCII texts. `block` has a row of bytes for each, shape (n, length)."""

    __slots__ = ("_made", "block")

    def __init__(self, block: NDArray[np.uint8]) -> None:
        self.block = block
        self._made: list[str] | None = None

    def __len__(self) -> int:
        return len(self.block)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Texts": ...
    def __getitem__(self, index: int | slice) -> "str | Texts":
        return Texts(self.block[index]) if isinstance(index, slice) else self._texts()[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts())

    def _texts(self) -> list[str]:
        if self._made is None:
            whole, width = self.block.tobytes().decode("ascii"), self.block.shape[1]
            self._made = [whole[at : at + width] for at in range(0, len(whole), width)]
        return self._made

    def framed(self, before: bytes, after: bytes) -> tuple[bytes, int]:
        """All of them, each between these bytes; and how many bytes that makes of each."""
        start, stop = len(before), len(before) + self.block.shape[1]
        out = np.empty((len(self.block), stop + len(after)), np.uint8)
        out[:, :start] = np.frombuffer(before, np.uint8)
        out[:, start:stop] = self.block
        out[:, stop:] = np.frombuffer(after, np.uint8)
        return out.tobytes(), out.shape[1]
