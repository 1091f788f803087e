"""Protobuf's wire format, as far as it is quicker by hand: what a message is made of, and pieces of one.

https://protobuf.dev/programming-guides/encoding
"""

from payoff.errors import BadInput

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED64: 8, FIXED32: 4}


def fields(message: bytes) -> list[tuple[int, int, int, int]]:
    """The top-level fields in their order: number, kind, and where the value lies; BadInput if it is no message."""
    found = []
    at, end = 0, len(message)
    try:
        while at < end:
            tag, at = number(message, at)
            kind = tag & 7
            start = at
            if kind == BYTES:
                size, start = number(message, at)
                at = start + size
            elif kind == VARINT:
                _, at = number(message, at)
            else:
                at += _SIZES[kind]
            found.append((tag >> 3, kind, start, at))
    except (IndexError, KeyError) as error:
        raise BadInput(f"the message is no protobuf: it is amiss at byte {at:,} of {end:,}") from error
    if at > end:
        raise BadInput(f"the message is no protobuf: it ends inside a field, after {end:,} bytes")
    return found


def number(data: bytes, at: int) -> tuple[int, int]:
    """The number that stands at a place, and where it ends; IndexError if it does not end."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError


def varint(value: int) -> bytes:
    """A number from 0 on."""
    if value < 0x80:
        return bytes((value,))
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def head(number: int, size: int) -> bytes:
    """What stands before `size` bytes of text, raw bytes, or a message."""
    return varint(number << 3 | BYTES) + varint(size)


def piece(number: int, value: bytes) -> bytes:
    """Text, raw bytes, or a message, as a field."""
    return head(number, len(value)) + value
