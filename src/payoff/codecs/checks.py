"""The refusals every codec shares: which column, which row, what came, what was expected."""

from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import get_close_matches
from reprlib import Repr
from typing import Any, NoReturn

import numpy as np

from payoff.errors import BadInput, TooLarge
from payoff.records.signature import Field, Type

EXPANDED_BYTES_MAX = 512 << 20  # what a body may take once it is read, however small it came
COLUMNS_MAX = 20_000

_SHOWN_MAX = 60
_NAMES_MAX = 12

# Its own depth limit keeps a hostile nesting from exhausting the stack where repr() would.
_brief = Repr()
_brief.maxstring = _brief.maxother = _brief.maxlong = 40
_brief.maxlist = _brief.maxdict = _brief.maxtuple = 3
_brief.maxlevel = 2


def shorten(value: Any) -> str:
    """A value as a message may quote it: never long, never deep."""
    text = _brief.repr(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 3]}..."


def expected(field: Field) -> str:
    """What a field takes, in words: "uint8 (a whole number from 0 to 255)"."""
    return f"{field} ({'each element ' if field.shape else ''}{_ELEMENT[field.type]})"


def _element(type: Type) -> str:
    if type.is_integer:
        span = np.iinfo(type.dtype)
        return f"a whole number from {span.min} to {span.max}"
    if type is Type.FLOAT32:
        return "a number that float32 can hold"
    return _WORDS[type]


_WORDS = {
    Type.FLOAT64: "a number",
    Type.TEXT: "a string",
    Type.BOOL: "true or false",
    Type.DATE: "a day between the years 1 and 9999, as text like '2008-05-05'",
    Type.TIMESTAMP: "a UTC time in microseconds between the years 1 and 9999, as text like '2008-05-05T10:30:00Z'",
}
_ELEMENT = {type: _element(type) for type in Type}


def refuse(field: Field, row: int, value: Any, why: str = "") -> NoReturn:
    """One value is not what its field takes."""
    shown = "null" if value is None else shorten(value)
    raise BadInput(
        f"column {field.name!r}, row {row} (the first is 0): got {shown}{f', {why}' if why else ''}; "
        f"expected {expected(field)}"
    )


def first_bad(fits: Callable[[int, int], bool], rows: int) -> int:
    """The first row that does not fit, where some row does not; `fits(start, stop)` judges a slice of the rows.

    Halving reads about twice the rows in bulk, which beats asking row by row for any column worth asking about.
    """
    low, high = 0, rows
    while high - low > 1:
        middle = (low + high) // 2
        if fits(low, middle):
            low = middle
        else:
            high = middle
    return low


def check_names(got: Collection[str], fields: Sequence[Field], extra_ok: Collection[str], where: str = "") -> None:
    """Every column has a field and every field that needs one has a column; otherwise say which, and the likely one."""
    known = {field.name for field in fields}
    unknown = [name for name in got if name not in known and name not in extra_ok]
    missing = [field for field in fields if not field.nullable and field.name not in got]
    if unknown:
        refuse_unknown("column", unknown[0], [field.name for field in fields], where)
    if missing:
        names = ", ".join(f"{field.name!r} ({field})" for field in missing[:_NAMES_MAX])
        more = f" and {len(missing) - _NAMES_MAX} more" if len(missing) > _NAMES_MAX else ""
        raise BadInput(f"{where}missing {'column' if len(missing) == 1 else 'columns'} {names}{more}")


def refuse_unknown(what: str, name: str, known: Sequence[str], where: str = "") -> NoReturn:
    """There is no such column (input, output); names the closest, or else the ones there are."""
    lower = {other.lower(): other for other in known}
    close = [lower[likely] for likely in get_close_matches(name[:100].lower(), lower, n=1)]
    if close:
        raise BadInput(f"{where}unknown {what} {shorten(name)}; did you mean {close[0]!r}?")
    names = ", ".join(known[:_NAMES_MAX]) + (", ..." if len(known) > _NAMES_MAX else "")
    raise BadInput(f"{where}unknown {what} {shorten(name)}; there are: {names or 'none'}")


def check_unique(names: Iterable[str]) -> None:
    """No column comes twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise BadInput(f"column {shorten(name)} comes twice; send it once")
        seen.add(name)


def check_count(rows: int, rows_max: int) -> None:
    """No more rows than one call may bring."""
    if rows > rows_max:
        raise TooLarge(f"{rows} rows in one call; the limit is {rows_max}: send them in parts")


def check_width(columns: int) -> None:
    """No more columns than anybody means to send."""
    if columns > COLUMNS_MAX:
        raise TooLarge(f"more than {COLUMNS_MAX:,} columns; the limit is {COLUMNS_MAX:,}: send lists for tensors")


def check_expanded(size: int) -> None:
    """No body that takes far more memory than it has bytes."""
    if size > EXPANDED_BYTES_MAX:
        raise TooLarge(
            f"the rows would take {size:,} bytes when they are read; the limit is {EXPANDED_BYTES_MAX:,}: "
            "send them in parts"
        )
