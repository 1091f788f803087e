"""Models that are written and not trained: a rule, a remote, a chain. YAML files, told apart by their keys."""

from __future__ import annotations

import re
from pathlib import Path

from payoff.codecs.document import Place, load
from payoff.errors import BadInput

_KEY = re.compile(r"^(\w+)[ \t]*:(?=[ \t\r\n]|$)", re.MULTILINE)
_FIRST = re.compile(r"(?:\s*(?:#[^\n]*|---[ \t]*)(?:\n|$))*\s*(\S[^\n]*)")


def text_of(head: bytes) -> str | None:
    """The beginning of a file as text; None where it is none. The head may end in the middle of a letter."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.end < len(head) - 3 or error.reason != "unexpected end of data":
            return None
        text = head[: error.start].decode("utf-8-sig")
    return None if any(mark < " " and mark not in "\t\r\n\f" for mark in text) else text


def keys(head: bytes) -> frozenset[str]:
    """The keys at the margin of what reads like a YAML mapping, if it begins with one; else none."""
    text = text_of(head)
    first = _FIRST.match(text) if text else None
    if text is None or first is None or not _KEY.match(first[1]):
        return frozenset()
    return frozenset(_KEY.findall(text))


def sheet(path: Path, known: tuple[str, ...], begins: str) -> dict[str, Place]:
    """The file's mapping, each value with its line; BadInput names the file, the line and what was expected."""
    try:
        return load(path.read_bytes(), begins).mapping(known)
    except BadInput as error:
        raise BadInput(f"{path.name}, {error}") from error
