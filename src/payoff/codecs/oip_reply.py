"""Open Inference Protocol v2 over HTTP: columns to responses, JSON or raw bytes, those of a batch in one go."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from payoff.codecs.celltext import dump, escaped, flat, flat_ids, raw, raw_ids
from payoff.codecs.checks import refuse_unknown
from payoff.codecs.oip import Request
from payoff.codecs.tensors import DATATYPES
from payoff.records.columns import Column, Columns
from payoff.records.signature import Field, Type

_LAYOUTS_MAX = 256


class Replies(NamedTuple):
    """Bodies; and Inference-Header-Content-Length for each, if raw bytes follow their JSON."""

    bodies: list[bytes]
    heads: list[int]


def pick(request: Request, fields: Sequence[Field]) -> tuple[Field, ...]:
    """The outputs to send, in the order asked; BadInput if there is no such output. Ask before the model runs."""
    if request.outputs is None:
        return tuple(fields)
    by_name = {field.name: field for field in fields}
    for name in request.outputs:
        if name not in by_name:
            refuse_unknown("output", name, [*by_name])
    return tuple(by_name[name] for name in request.outputs)


def reply(
    request: Request,
    name: str,
    version: str,
    outputs: Columns,
    fields: Sequence[Field],
    parameters: Mapping[str, Any] | None = None,
    id: str | None = None,
) -> tuple[bytes, int | None]:
    """The response to one request, as it wants it: a body, and Inference-Header-Content-Length if raw bytes follow."""
    wanted = pick(request, fields)
    n = len(outputs[wanted[0].name]) if wanted else 0
    writer = Writer(name, version, wanted, request.binary, parameters)
    bodies, heads = writer.write(outputs, [n], [id or request.id])
    return bodies[0], heads[0] if heads else None


def encode(
    name: str,
    version: str,
    id: str | None,
    outputs: Columns,
    fields: Sequence[Field],
    parameters: Mapping[str, Any] | None = None,
) -> bytes:
    """A response in JSON. NaN and Infinity are null; dates and times are BYTES with ISO text."""
    n = len(outputs[fields[0].name]) if fields else 0
    return Writer(name, version, fields, frozenset(), parameters).write(outputs, [n], [id]).bodies[0]


class _Cut(NamedTuple):
    """An output of a batch, cut into calls: what fills the hole in each call's JSON, and the bytes that follow it."""

    holes: list[bytes] | list[int]
    raw: list[bytes] | None


class Writer:
    """Writes the responses to requests that want the same outputs in the same form, with the same `parameters`.

    An output with nulls that raw bytes cannot say (any but floats, where NaN says it) comes as JSON all the same,
    which the protocol allows for each output on its own.
    """

    def __init__(
        self, name: str, version: str, wanted: Sequence[Field], binary: frozenset[str] | Literal["all"],
        parameters: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._wanted = wanted
        self._binary = {field.name for field in wanted if binary == "all" or field.name in binary}
        self._begin = escaped(b'{"model_name":%b,"model_version":%b' % (dump(name), dump(version)))
        told = b',"parameters":%b' % escaped(dump(parameters)) if parameters else b""
        self._end = b'%b,"outputs":[%%b]}' % told.replace(b"%", b"%%")
        self._layouts: dict[Any, bytes] = {}

    def write(
        self, outputs: Mapping[str, Column | Sequence[str]], counts: Sequence[int], ids: Sequence[str | None]
    ) -> Replies:
        """One response for each call of so many rows; `outputs` has the rows of all of them, ids as a list."""
        cuts = [self._cut(field, outputs[field.name], counts) for field in self._wanted]
        names = [b"" if id is None else b',"id":%b' % dump(id) for id in ids]
        tails = [cut.raw for cut in cuts if cut.raw is not None]
        form = (*[cut.raw is not None for cut in cuts],)
        texts = self._texts(form, counts, zip(names, *[cut.holes for cut in cuts], strict=True))
        if not tails:
            return Replies(texts, [])
        bodies = [b"".join((text, *parts)) for text, parts in zip(texts, zip(*tails, strict=True), strict=True)]
        return Replies(bodies, [*map(len, texts)])

    def _texts(self, form: tuple[bool, ...], counts: Sequence[int], holes: Iterable[tuple[Any, ...]]) -> list[bytes]:
        """The JSON of each response."""
        n = counts[0]
        if counts.count(n) == len(counts):
            layout = self._layout(n, form)
            return [layout % each for each in holes]
        return [self._layout(n, form) % each for n, each in zip(counts, holes, strict=True)]

    def _cut(self, field: Field, column: Column | Sequence[str], counts: Sequence[int]) -> _Cut:
        if not isinstance(column, Column):
            if field.name not in self._binary:
                return _Cut(flat_ids(column, counts), None)
            parts = raw_ids(column, counts)
            return _Cut([*map(len, parts)], parts)
        if field.name not in self._binary or not _has_raw(field, column):
            return _Cut(flat(field, column, counts), None)
        parts = raw(Column(_raw_values(field, column)), counts)
        return _Cut([*map(len, parts)], parts)

    def _layout(self, n: int, form: tuple[bool, ...]) -> bytes:
        """A response to n rows with a hole for the id, and one for each output."""
        key = (n, form)
        found = self._layouts.get(key)
        if found is None:
            if len(self._layouts) >= _LAYOUTS_MAX:
                self._layouts.clear()
            tensors = b",".join(_tensor(field, n, is_raw) for field, is_raw in zip(self._wanted, form, strict=True))
            found = self._layouts[key] = b"%b%%b%b" % (self._begin, self._end % tensors)
        return found


def _tensor(field: Field, n: int, is_raw: bool) -> bytes:
    """One output of n rows, with a hole for its data or for how many bytes it has."""
    head = {"name": field.name, "datatype": DATATYPES[field.type], "shape": [n, *field.shape]}
    rest = b'"parameters":{"binary_data_size":%d}' if is_raw else b'"data":[%b]'
    return b"%b,%b}" % (escaped(dump(head)[:-1]), rest)


def _has_raw(field: Field, column: Column) -> bool:
    return field.type.is_float or column.valid is None or bool(column.valid.all())


def _raw_values(field: Field, column: Column) -> NDArray[Any]:
    if field.type is Type.DATE:
        return _objects([day.isoformat() for day in column.values.reshape(-1).tolist()], column)
    if field.type is Type.TIMESTAMP:
        return _objects([f"{time.isoformat()}Z" for time in column.values.reshape(-1).tolist()], column)
    if column.valid is None or column.valid.all():
        return column.values
    values = column.values.copy()
    values[~column.valid] = np.nan
    return values


def _objects(texts: list[str], column: Column) -> NDArray[Any]:
    return np.array(texts, object).reshape(column.values.shape)
