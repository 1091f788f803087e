"""What is done to single texts, exactly as DuckDB does it: letters' case, `like`, texts that spell a number."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

DECIMAL = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
INTEGER = "[+-]?[0-9]+"
BOOLEAN = "[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]"
_IS_DECIMAL, _IS_INTEGER, _IS_BOOLEAN = map(re.compile, (DECIMAL, INTEGER, BOOLEAN))
_INT64_DIGITS = 19


def lower(text: str) -> str:
    """Letter by letter (Unicode's simple mapping), so no letter becomes two: Python's own would lengthen some."""
    return text.lower() if text.isascii() else "".join(map(_lower_letter, text))


def upper(text: str) -> str:
    """Letter by letter, as `lower`; the upper case of ß is ẞ."""
    return text.upper() if text.isascii() else "".join(map(_upper_letter, text))


@lru_cache(4096)
def _lower_letter(letter: str) -> str:
    return letter.lower()[0]


@lru_cache(4096)
def _upper_letter(letter: str) -> str:
    for mapped in (letter.upper(), letter.title()):
        if len(mapped) == 1:
            return mapped
    return "ẞ" if letter == "ß" else letter


def like(pattern: str) -> Callable[[str], bool]:
    """The test for a LIKE pattern: % is any text, _ any one character, and there is no escape.

    Each piece between two % is looked for from the left, once: linear in the text, whatever the pattern.
    """
    first, *rest = pattern.split("%")
    if not rest:
        return _matcher(first).fullmatch_all
    middle, last = [_matcher(piece) for piece in rest[:-1] if piece], _matcher(rest[-1])
    head = _matcher(first)

    def matches(text: str) -> bool:
        return head.starts(text) and last.ends(text, _after(middle, text, head.size))

    return matches


class _matcher:  # noqa: N801
    """One piece of a pattern without %: as many characters as it is long."""

    def __init__(self, piece: str) -> None:
        self.size = len(piece)
        self._regex = re.compile("".join("." if c == "_" else re.escape(c) for c in piece), re.DOTALL)

    def fullmatch_all(self, text: str) -> bool:
        return self._regex.fullmatch(text) is not None

    def starts(self, text: str) -> bool:
        return self._regex.match(text) is not None

    def after(self, text: str, start: int) -> int:
        found = self._regex.search(text, start)
        return -1 if found is None else found.end()

    def ends(self, text: str, start: int) -> bool:
        return 0 <= start <= len(text) - self.size and self._regex.match(text, len(text) - self.size) is not None


def _after(pieces: Sequence[_matcher], text: str, start: int) -> int:
    """Where the pieces, one after the other, end in the text; -1 if they are not there."""
    for piece in pieces:
        start = piece.after(text, start)
        if start < 0:
            return -1
    return start


def to_double(text: str) -> float:
    """The number a text spells in ASCII decimal notation, NaN if it spells none."""
    return float(text) if _IS_DECIMAL.fullmatch(text) else float("nan")


def to_bigint(text: str) -> int | None:
    """The whole number a text spells, None if it spells none that fits 64 bits."""
    if not _IS_INTEGER.fullmatch(text) or len(text.lstrip("+-0")) > _INT64_DIGITS:
        return None
    number = int(text[: text[0] in "+-"] + (text.lstrip("+-0") or "0"))
    return number if -(2**63) <= number < 2**63 else None


def to_boolean(text: str) -> bool | None:
    """true or false in any case, else None."""
    return text.lower() == "true" if _IS_BOOLEAN.fullmatch(text) else None
