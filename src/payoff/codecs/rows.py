"""JSON bodies: records, columns, or one record; and answers as JSON.

What a body may look like, with fields `age` (a number) and `job` (text):

    [{"age": 33, "job": "admin."}, ...]              records
    {"rows": [{"age": 33, "job": "admin."}, ...]}    records in an envelope
    {"age": 33, "job": "admin."}                     one record
    {"columns": {"age": [33], "job": ["admin."]}}    columns in an envelope
    {"age": [33], "job": ["admin."]}                 columns

The fields decide which one it is. An envelope is an object whose only key is `rows` or `columns`, where no field is
called so. Any other object is columns if the first field it has (in the order of the fields) holds a list that is
nested one level deeper than one value of that field is: a list for a plain field, a list of lists for a vector.
An empty list there is columns with no rows. `[]` is no rows.

A record that lacks a nullable field has a null there. NaN and Infinity are not JSON and are refused; in answers
they become null. Whole numbers keep all 64 bits.
"""

from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np

from payoff.codecs import piecemeal
from payoff.codecs.answer import Answer, Listing
from payoff.codecs.cells import NULL, TAKES, blank, column, narrow, nulls
from payoff.codecs.celltext import dump, spans, texts
from payoff.codecs.celltext import record as layout
from payoff.codecs.checks import check_count, check_names, shorten
from payoff.codecs.codec import ROWS_MAX, Codec, prepared
from payoff.codecs.jsontext import parse
from payoff.errors import BadInput, TooLarge
from payoff.records.columns import Column, concat, length
from payoff.records.signature import Field, Type

Record = dict[str, Any]


def decode(
    body: bytes, fields: Sequence[Field], *, extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
) -> dict[str, Column]:
    """Columns of a JSON body; see `payoff.codecs.codec.Decode`."""
    return prepared(Rows, tuple(fields), extra_ok, rows_max)(body)


class _Group(NamedTuple):
    """Plain fields of one type: over many rows, their values go to NumPy in one call."""

    kind: Type
    fields: tuple[Field, ...]
    pick: Callable[[Record], tuple[Any, ...]]

    def columns(self, records: Sequence[Record]) -> list[Column]:
        picked = [*map(self.pick, records)]
        if not {*map(type, chain.from_iterable(picked))} <= TAKES[self.kind]:
            return [column(field, values) for field, values in zip(self.fields, zip(*picked, strict=True), strict=True)]
        if self.kind is Type.FLOAT32 and not all(map(narrow, picked)):
            raise ValueError
        return [*map(Column, np.array(picked, self.kind.dtype, order="F").T)]


class _Row:
    """Plain fields of one row: all its values go to NumPy in one call, as one element of a structured array.

    This is what makes a single record fast. Which types came is judged once for each combination of types seen:
    True for all of a caller's rows after the first, mostly. Raises ValueError or the like when in doubt.
    """

    SEEN_MAX = 200

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = fields
        self._pick = _picker([field.name for field in fields])
        names = [f"f{place}" for place in range(len(fields))]  # NumPy has rules for names; callers have none
        self._dtype = np.dtype([(n, f.type.dtype) for n, f in zip(names, fields, strict=True)], align=True)
        self._split: Any = _picker(names)
        self._blanks = [blank(field.type) for field in fields]
        self._narrow = [place for place, field in enumerate(fields) if field.type is Type.FLOAT32]
        self._seen: dict[tuple[type, ...], tuple[int, ...]] = {}

    def columns(self, record: Record) -> list[Column]:
        values = self._pick(record)
        types = (*map(type, values),)
        missing = self._seen.get(types)
        if missing is None:
            missing = self._judge(types)
        if missing:
            values = tuple([b if v is None else v for v, b in zip(values, self._blanks, strict=True)])
        if self._narrow and not narrow([v for place in self._narrow if (v := values[place]) == v]):
            raise ValueError
        columns = [*map(Column, self._split(np.array([values], self._dtype)))]
        for place in missing:
            columns[place] = Column(columns[place].values, np.zeros(1, bool))
        return columns

    def _judge(self, types: tuple[type, ...]) -> tuple[int, ...]:
        """The places of the nulls, if every type is one its field takes."""
        for kind, field in zip(types, self._fields, strict=True):
            if kind not in TAKES[field.type] and not (field.nullable and kind is NULL):
                raise TypeError
        missing = tuple(place for place, kind in enumerate(types) if kind is NULL)
        if len(self._seen) < self.SEEN_MAX:
            self._seen[types] = missing
        return missing


class Asked(NamedTuple):
    """A body as far as it is looked at at first: how many rows it has, and how its caller lists them.

    Records are read later, those of many bodies in one go; columns have been read.
    """

    rows: int
    listing: Listing
    records: list[Any]
    columns: dict[str, Column] | None = None


class Rows:
    """A decoder for one list of fields: what can be worked out from the fields alone is worked out here, once."""

    def __init__(
        self, fields: tuple[Field, ...], extra_ok: frozenset[str] = frozenset(), rows_max: int = ROWS_MAX
    ) -> None:
        self._fields, self._extra_ok, self._rows_max = fields, extra_ok, rows_max
        self._by_name = {field.name: field for field in fields}
        self._absent: Record = dict.fromkeys(field.name for field in fields if field.nullable)
        plain = [field for field in fields if _plain(field)]
        self._plain_names = [field.name for field in plain]
        self._row = _Row(plain) if plain else None
        self._groups = _groups(plain)
        self._single = [field for field in fields if not _plain(field)]

    def __call__(self, body: bytes) -> dict[str, Column]:
        return self.read([self.ask(body) if len(body) <= piecemeal.PIECE_BYTES else self.whole(body)])

    def ask(self, body: bytes) -> Asked:
        """What a body is; BadInput if it is neither records nor columns."""
        said = parse(body)
        if type(said) is dict:
            return self._object(said)
        if type(said) is list:
            return self._records(said)
        raise BadInput(f"body is {shorten(said)}; expected a JSON list of records, or an object of columns")

    def read(self, asked: Sequence[Asked]) -> dict[str, Column]:
        """The rows of all these bodies, one after the other; BadInput if any of them is amiss."""
        if all(one.columns is None for one in asked):
            return self.of_records([record for one in asked for record in one.records])
        return concat([self.of_records(one.records) if one.columns is None else one.columns for one in asked])

    def whole(self, body: bytes, piece_bytes: int = piecemeal.PIECE_BYTES) -> Asked:
        """A body with all its columns, read in pieces: as Python values it takes several times as much."""
        try:
            asked = self._of_rows(body, piece_bytes) or self._of_columns(body, piece_bytes)
        except (piecemeal.NotInPieces, BadInput):
            asked = None  # read as a whole, it is told what is wrong, and in which row
        if asked is not None:
            return asked
        asked = self.ask(body)
        return asked if asked.columns is not None else asked._replace(records=[], columns=self.read([asked]))

    def _of_rows(self, body: bytes, piece_bytes: int) -> Asked | None:
        pieces = None if "rows" in self._by_name else piecemeal.records(body, piece_bytes)
        if pieces is None:
            return None
        rows, parts, amiss = 0, [], None
        for records in pieces:
            rows += len(records)
            if rows > self._rows_max:  # which goes before all else that may be wrong
                most = self._rows_max
                raise TooLarge(f"{rows} rows or more in one call; the limit is {most}: send them in parts")
            try:
                parts += [] if amiss else [self.of_records(records)]
            except BadInput as error:
                amiss = error
        if amiss is not None:
            raise amiss
        return Asked(rows, "records", [], concat(parts))

    def _of_columns(self, body: bytes, piece_bytes: int) -> Asked | None:
        """None where it is not clear at once that all of it is columns."""
        found = None if "columns" in self._by_name else piecemeal.columns(body, piece_bytes)
        if found is None:
            return None
        enveloped, pieces = found
        columns: dict[str, Column] = {}
        for said in pieces:
            if not all(name in self._by_name and self._is_column(name, values) for name, values in said.items()):
                return None
            columns |= {name: column(self._by_name[name], values) for name, values in said.items()}
        check_names(columns, self._fields, self._extra_ok)
        rows = check_lengths({name: len(found.values) for name, found in columns.items()})
        check_count(rows, self._rows_max)
        all_columns = {name: columns[name] if name in columns else nulls(f, rows) for name, f in self._by_name.items()}
        return Asked(rows, "columns" if enveloped or rows != 1 else "records", [], all_columns)

    def _is_column(self, name: str, values: Any) -> bool:
        return type(values) is list and _depth(values, len(self._by_name[name].shape) + 1)

    def _object(self, said: Record) -> Asked:
        if len(said) == 1:
            (key, inner), *_ = said.items()
            if key not in self._by_name and key == "rows" and type(inner) is list:
                return self._records(inner)
            if key not in self._by_name and key == "columns" and type(inner) is dict:
                columns = self._columns(inner)
                return Asked(length(columns), "columns", [], columns)
        if not self._is_columns(said):
            return self._records([said])
        columns = self._columns(said)
        return Asked(length(columns), "records" if length(columns) == 1 else "columns", [], columns)

    def _records(self, records: list[Any]) -> Asked:
        check_count(len(records), self._rows_max)
        return Asked(len(records), "records", records)

    def _is_columns(self, said: Record) -> bool:
        for field in self._fields:
            if field.name in said:
                value = said[field.name]
                return _depth(value, len(field.shape) + 1) or (value == [] and 0 not in field.shape)
        return False

    def of_records(self, records: list[Any]) -> dict[str, Column]:
        """Columns of records that are parsed already."""
        check_count(len(records), self._rows_max)
        width = len(self._fields)
        try:
            full = records
            if self._absent and {*map(len, records)} != {width}:
                full = [self._absent | record for record in records]
            if records and {*map(len, full)} == {width}:
                return self._fast(full)
        except (KeyError, TypeError, ValueError, OverflowError):
            pass  # something is amiss somewhere: the careful way below finds out what, or copes with it
        return self._careful(records)

    def _fast(self, records: list[Record]) -> dict[str, Column]:
        if len(records) == 1 and self._row is not None:
            found = dict(zip(self._plain_names, self._row.columns(records[0]), strict=True))
            if not self._single:
                return found
        else:
            found = {}
            for group in self._groups:
                found.update(zip((field.name for field in group.fields), group.columns(records), strict=True))
        for field in self._single:
            found[field.name] = column(field, [record[field.name] for record in records])
        return {name: found[name] for name in self._by_name}

    def _careful(self, records: list[Any]) -> dict[str, Column]:
        for row, record in enumerate(records):
            where = f"row {row} (the first is 0): "
            if type(record) is not dict:
                raise BadInput(f"{where}got {shorten(record)}; expected an object with a value for each column")
            check_names(record, self._fields, self._extra_ok, where)
        return {field.name: column(field, [record.get(field.name) for record in records]) for field in self._fields}

    def _columns(self, said: Record) -> dict[str, Column]:
        check_names(said, self._fields, self._extra_ok)
        lengths = {}
        for name in filter(said.__contains__, self._by_name):
            if type(said[name]) is not list:
                raise BadInput(f"column {name!r} is {shorten(said[name])}; expected a list with one value per row")
            lengths[name] = len(said[name])
        rows = check_lengths(lengths)
        check_count(rows, self._rows_max)
        return {
            field.name: column(field, said[field.name]) if field.name in said else nulls(field, rows)
            for field in self._fields
        }


def check_lengths(lengths: dict[str, int]) -> int:
    """How many rows there are, where every column has the same number."""
    if not lengths:
        return 0
    first, rows = next(iter(lengths.items()))
    for name, other in lengths.items():
        if other != rows:
            raise BadInput(
                f"column {first!r} has {rows} rows and column {name!r} has {other}; expected as many in each"
            )
    return rows


def encode(answer: Answer) -> bytes:
    """JSON of an answer: a list of records under "predictions", or one list per column under "columns"."""
    return written(answer, [len(next(iter(answer.columns.values()), ()))], [answer.listing])[0]


def written(answer: Answer, counts: Sequence[int], listings: Sequence[Listing]) -> list[bytes]:
    """The answers of a batch of calls, of so many rows each; `answer` has the rows of all of them."""
    cells = [texts(field, answer.columns[field.name]) for field in answer.fields]
    about = b'{"endpoint":%b,"revision":%d,' % (dump(answer.endpoint), answer.revision)
    whole = layout(answer.names)
    records = [whole % row for row in zip(*cells, strict=True)] if "records" in listings else []
    return [
        b'%b"predictions":[%b]}' % (about, b",".join(records[span]))
        if listing == "records"
        else b'%b"columns":%b}' % (about, whole % tuple(b"[%b]" % b",".join(column[span]) for column in cells))
        for span, listing in zip(spans(counts), listings, strict=True)
    ]


def _plain(field: Field) -> bool:
    return not field.shape and field.type not in (Type.DATE, Type.TIMESTAMP)


def _groups(fields: Sequence[Field]) -> list[_Group]:
    """Nullable fields stand apart, so that a null slows down only its own kind."""
    members: dict[tuple[Type, bool], list[Field]] = {}
    for field in fields:
        members.setdefault((field.type, field.nullable), []).append(field)
    return [_Group(kind, tuple(group), _picker([f.name for f in group])) for (kind, _), group in members.items()]


def _picker(names: list[str]) -> Callable[[Record], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)
    (only,) = names
    return lambda record: (record[only],)


def _depth(value: Any, levels: int) -> bool:
    """Whether lists are nested at least so deep, along the first elements."""
    for _ in range(levels):
        if type(value) is not list:
            return False
        value = value[0] if value else None
    return True


CODEC = Codec("json", "application/json", decode, encode, Rows)
