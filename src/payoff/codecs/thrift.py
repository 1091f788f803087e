"""Thrift's compact protocol, read only: the headers inside of a Parquet file.

Apache Thrift's thrift-compact-protocol.md. A struct is a dict by (number of the field, kind of its value), for readers
pass over a field whose kind they do not expect.
"""

from collections.abc import Callable, Iterator
from typing import Any

from payoff.errors import BadInput

I32, I64, TEXT, LIST, STRUCT = 5, 6, 8, 9, 12
Struct = dict[tuple[int, int], Any]

_TRUE, _FALSE, _BYTE, _I16, _DOUBLE, _SET = 1, 2, 3, 4, 7, 10
_DEPTH_MAX = 12
_LONG_LIST = 15


class Reader:
    """Reads values one after the other; `at` is where the next one begins. Raises BadInput."""

    def __init__(self, held: memoryview, at: int = 0) -> None:
        self.held, self.at = held, at
        self._read: dict[int, Callable[[int], Any]] = {
            _BYTE: lambda _: self._byte(),
            _I16: lambda _: self._zigzag(),
            I32: lambda _: self._zigzag(),
            I64: lambda _: self._zigzag(),
            _DOUBLE: lambda _: self._skip(8),
            TEXT: lambda _: self._skip(self._varint()),
            LIST: self._list,
            _SET: self._list,
            STRUCT: self.struct,
        }

    def struct(self, depth: int = 0) -> Struct:
        """The fields of a struct; a list of values of one kind is (kind, values)."""
        if depth > _DEPTH_MAX:
            raise _unreadable("is nested too deep")
        return dict(self._fields(depth + 1))

    def _fields(self, depth: int) -> Iterator[tuple[tuple[int, int], Any]]:
        number = 0
        while head := self._byte():
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            yield (number, kind), kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)

    def _value(self, kind: int, depth: int) -> Any:
        if kind not in self._read:
            raise _unreadable("has a field nobody knows")
        return self._read[kind](depth)

    def _list(self, depth: int) -> tuple[int, list[Any]]:
        head = self._byte()
        kind, count = head & 15, head >> 4
        count = self._varint() if count == _LONG_LIST else count
        if count > len(self.held) - self.at or depth > _DEPTH_MAX:
            raise _unreadable("has a list longer than itself")
        kind = _BYTE if kind in (_TRUE, _FALSE) else kind
        return kind, [self._value(kind, depth + 1) for _ in range(count)]

    def _byte(self) -> int:
        if self.at >= len(self.held):
            raise _unreadable("ends too soon")
        self.at += 1
        return self.held[self.at - 1]

    def _skip(self, size: int) -> memoryview:
        self.at += size
        return self.held[self.at - size : self.at]

    def _varint(self) -> int:
        found = shift = 0
        while shift < 70:
            byte = self._byte()
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7
        raise _unreadable("has a number without end")

    def _zigzag(self) -> int:
        raw = self._varint()
        return (raw >> 1) ^ -(raw & 1)


def _unreadable(why: str) -> BadInput:
    return BadInput(f"body is not readable Parquet: a header {why}")
