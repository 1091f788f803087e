"""A large JSON text in pieces, so that what it takes as Python values is that of one piece.

Python values take more than their text: 32 bytes for `0.5`, 64 for `{}`. So the text is cut behind what looks like the
end of a record, or of a column, and each piece is parsed as a text of its own. Where a cut fell inside a text, or
deeper down, the piece is not JSON, and a longer one is tried. A piece that is JSON was cut right: it began between two
values, and has an end for all that began in it.
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson

PIECE_BYTES = 256 << 10  # some milliseconds of parsing; other threads have their turn in between
_SPACE = rb"[ \t\r\n]*"
_BLANK = b" \t\r\n"
_LIST = re.compile(_SPACE + rb'(?:(\{)%b"rows"%b:%b)?\[' % (_SPACE, _SPACE, _SPACE))
_OBJECT = re.compile(_SPACE + rb'(?:(\{)%b"columns"%b:%b)?\{' % (_SPACE, _SPACE, _SPACE))
_RECORD_ENDS = re.compile(rb"\}%b,(?=%b\{)" % (_SPACE, _SPACE))
_COLUMN_ENDS = re.compile(rb'\]%b,(?=%b")' % (_SPACE, _SPACE))


class NotInPieces(Exception):
    """The text is not what it looked like; whoever reads it as a whole finds out what it is."""


def records(body: bytes, piece_bytes: int = PIECE_BYTES) -> Iterator[list[Any]] | None:
    """The elements of a list, also of one in the envelope `{"rows": ...}`, some at a time; None for another text.

    Raises NotInPieces where the text goes on as no list of records does.
    """
    inside = _inside(body, _LIST, b"]")
    return None if inside is None else _pieces(body, *inside, _RECORD_ENDS, b"[%b]", piece_bytes)


def columns(body: bytes, piece_bytes: int = PIECE_BYTES) -> tuple[bool, Iterator[dict[str, Any]]] | None:
    """The members of an object, some at a time, and whether it has an envelope `{"columns": ...}`; else as `records`.

    A name that comes twice comes out twice.
    """
    inside = _inside(body, _OBJECT, b"}")
    if inside is None:
        return None
    enveloped = bool(_OBJECT.match(body)[1])  # type: ignore[index]
    return enveloped, _pieces(body, *inside, _COLUMN_ENDS, b"{%b}", piece_bytes)


def _inside(body: bytes, begins: re.Pattern[bytes], closing: bytes) -> tuple[int, int] | None:
    """Where the elements begin and end."""
    begun = begins.match(body)
    if begun is None:
        return None
    whole = len(body.rstrip(_BLANK)) if body[-1:] in _BLANK else len(body)
    if begun[1]:
        if not body.endswith(b"}", 0, whole):
            return None
        whole = len(body[: whole - 1].rstrip(_BLANK))
    return (begun.end(), whole - 1) if whole > begun.end() and body.endswith(closing, 0, whole) else None


def _pieces(
    body: bytes, start: int, end: int, ends: re.Pattern[bytes], layout: bytes, piece_bytes: int
) -> Iterator[Any]:
    while True:
        length = piece_bytes
        while (piece := _parsed(body, start, found := ends.search(body, start + length, end), end, layout)) is None:
            if found is None:
                raise NotInPieces
            length *= 2
        yield piece
        if found is None:
            return
        start = found.end()


def _parsed(body: bytes, start: int, found: re.Match[bytes] | None, end: int, layout: bytes) -> Any:
    try:
        return orjson.loads(layout % body[start : end if found is None else found.start() + 1])
    except orjson.JSONDecodeError:
        return None
