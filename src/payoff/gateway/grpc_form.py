"""ModelInfer for one live revision: requests to columns and answers to responses, those of a batch in one go."""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from payoff.codecs import oip, proto_infer, proto_known
from payoff.codecs.cells import settle
from payoff.codecs.celltext import raw, raw_ids
from payoff.codecs.proto_infer import Responses
from payoff.codecs.proto_known import Loose, Shape
from payoff.errors import BadInput
from payoff.gateway import table, tensors
from payoff.gateway.reply import Reply
from payoff.gateway.tensors import Tensors
from payoff.gateway.wished import Wished
from payoff.records import Column, Field, Type
from payoff.serving import Answered, Live
from payoff.serving.form import parted
from payoff.serving.part import Rows

_SHAPES_MAX = 64  # of one size
_SIZES_MAX = 1_024
_MIDDLES_MAX = 32
_KEPT_BYTES_MAX = 1 << 20  # a larger request is parsed each time: keeping its shape would keep much of it
_WRITERS_MAX = 64
_ASKS_FOR_LAST, _LAST = "triton_enable_empty_final_response", "triton_final_response"  # every answer is the last here


Asked = tuple[Shape | Loose, tuple[bytes, ...]]  # a request of a known shape, and its parts


class Told:
    """Requests in the words of the HTTP door, which can say everything."""

    name = "grpc"

    def __init__(self, form: Tensors | Wished) -> None:
        self._form = form

    def read(self, asked: Sequence[oip.Request]) -> Rows:
        """The rows of all these requests."""
        return self._form.read(asked)

    def write(self, answered: Answered, asked: Sequence[oip.Request], counts: Sequence[int]) -> list[Any]:
        """A ModelInferResponse for each of them."""
        replies = self._form.write(answered, asked, counts)
        return [_translated(reply, one) for reply, one in zip(replies, asked, strict=True)]


class Seen:
    """Requests like those before them: all inputs as raw bytes of their own datatype, and nothing unusual."""

    name = "grpc"

    def __init__(self, live: Live) -> None:
        self._live = live
        self._told = told(live, Tensors.of(live))
        self._inputs = [(field, field.type.dtype) for field in live.inputs]
        self._outputs = tensors.outputs(live)
        self._writers: dict[Any, _Writer] = {}

    def read(self, asked: Sequence[Asked]) -> Rows:
        """The rows of all these requests: their bytes are the columns' bytes."""
        found: Rows = {}
        rows, raws_of_each = _raws(asked)
        for (field, dtype), raws in zip(self._inputs, raws_of_each, strict=True):
            if field.type is Type.TEXT:
                values = self._texts(field, raws, asked)
            else:
                values = np.frombuffer(b"".join(raws), dtype)
            found[field.name] = settle(field, Column(values.reshape(rows, *field.shape)))
        return found

    def _texts(self, field: Field, raws: list[bytes], asked: Sequence[Asked]) -> NDArray[Any]:
        size, where = prod(field.shape), f"input {field.name!r}"
        found: list[str] = []
        for raw_, (shape, _) in zip(raws, asked, strict=True):
            found += proto_known.texts(raw_, shape.rows * size, where)
        return np.array(found, object)

    def write(self, answered: Answered, asked: Sequence[Asked], counts: Sequence[int]) -> list[Any]:
        """A ModelInferResponse for each of them."""
        outputs = asked[0][0].outputs
        if _alike(asked) or all(shape.outputs == outputs for shape, _ in asked):
            return self._written(answered, asked, counts)
        return [
            self._written(part, [one], [count])[0]
            for one, count, part in zip(asked, counts, parted(answered, counts), strict=True)
        ]

    def _written(self, answered: Answered, asked: Sequence[Asked], counts: Sequence[int]) -> list[Any]:
        same = answered.same
        writer = self._writer(asked[0][0].outputs, same is not None)
        columns = table.columns(answered) if writer.why else table.brief(answered)
        if not writer.plain or any(_has_nulls(columns[field.name]) for field in writer.wanted):
            return self._told.write(answered, [_plainly(one) for one in asked], counts)
        said: dict[str, Any] = {"revision": self._live.revision.number}
        if same is not None and writer.brief:
            said |= same._asdict()
        raws: list[tuple[int, list[bytes]]] = []
        for field, width in zip(writer.wanted, writer.widths, strict=True):
            column = columns[field.name]
            raws.append((width, raw(column, counts)) if isinstance(column, Column) else _ids(column, counts))
        return writer.responses.write(raws, counts, _ids_of(asked), (*said.items(),))

    def _writer(self, names: tuple[str, ...] | None, same: bool) -> "_Writer":
        found = self._writers.get((names, same))
        if found is None:
            if len(self._writers) >= _WRITERS_MAX:
                self._writers.clear()
            found = self._writers[names, same] = self._new_writer(names, brief=same and names is None)
        return found

    def _new_writer(self, names: tuple[str, ...] | None, brief: bool) -> "_Writer":
        by_name = {field.name: field for field in self._outputs}
        wanted = [by_name[name] for name in names or by_name if not brief or name not in tensors.WHY]
        responses = Responses(self._live.name, str(self._live.revision.number), wanted)
        widths = [*map(proto_infer.width, wanted)]
        why = any(field.name in tensors.WHY for field in wanted)
        return _Writer(wanted, widths, brief, why, all(map(proto_infer.plain, wanted)), responses)


class _Writer(NamedTuple):
    """What is written where the same outputs are wanted; `brief` says once who answered and why, `why` by row."""

    wanted: list[Field]
    widths: list[int]
    brief: bool
    why: bool
    plain: bool
    responses: Responses


class Shapes:
    """The shapes of requests that came: by their size, or by how they begin."""

    def __init__(self) -> None:
        self._by_size: dict[int, list[tuple[Live, Seen, Shape]]] = {}
        self._loose: dict[tuple[bytes, bytes], tuple[Live, Seen, Loose]] = {}
        self._middles: set[int] = set()  # how long what comes between id and contents is, in some of those

    def find(self, data: bytes) -> "tuple[Live, Seen, Asked] | None":
        """The request, if one like it came before."""
        for live, form, shape in self._by_size.get(len(data), ()):
            parts = shape.parts(data)
            if parts is not None:
                return live, form, (shape, parts)
        return self._find_loose(data) if self._loose else None

    def _find_loose(self, data: bytes) -> "tuple[Live, Seen, Asked] | None":
        for key, id, at in proto_known.cut(data, self._middles):
            if (known := self._loose.get(key)) is not None:
                live, form, shape = known
                parts = shape.parts(data, id, at)
                return None if parts is None else (live, form, (shape, parts))
        return None

    def keep(self, data: bytes, request: Any, live: Live, rows: int) -> None:
        """Remember what this request, which was found right, looks like, if it is one of those that can be."""
        if len(data) > _KEPT_BYTES_MAX:
            return
        shape = Shape.of(data, request, live.inputs, rows)
        if shape is None:
            self._keep_loose(Loose.of(data, request, live.inputs, rows), live)
            return
        if len(self._by_size) >= _SIZES_MAX:
            self._by_size.clear()
        held = self._by_size.setdefault(len(data), [])
        if len(held) >= _SHAPES_MAX:
            held.clear()
        held.append((live, seen(live), shape))

    def _keep_loose(self, shape: Loose | None, live: Live) -> None:
        if shape is None:
            return
        if len(self._loose) >= _SIZES_MAX or len(self._middles) >= _MIDDLES_MAX:
            self._loose.clear()
            self._middles.clear()
        self._loose[shape.key] = live, seen(live), shape
        self._middles.add(len(shape.key[1]))

    def forget(self, live: Live) -> None:
        """A revision that was replaced."""
        for size, held in list(self._by_size.items()):
            left = self._by_size[size] = [one for one in held if one[0] is not live]
            if not left:
                del self._by_size[size]
        self._loose = {key: known for key, known in self._loose.items() if known[0] is not live}


def seen(live: Live) -> Seen:
    """The form of this revision's usual requests."""
    found: Seen | None = live.forms.get(Seen)
    if found is None:
        found = live.forms[Seen] = Seen(live)
    return found


def told(live: Live, form: Tensors | Wished) -> Told:
    """The form of this revision's other requests, by the form that they have at the HTTP door."""
    found: Told | None = live.forms.get(form)
    if found is None:
        found = live.forms[form] = Told(form)
    return found


def _alike(asked: Sequence[Asked]) -> bool:
    """Whether all of these requests are of one shape."""
    first = asked[0][0]
    return [shape for shape, _ in asked].count(first) == len(asked)


def _raws(asked: Sequence[Asked]) -> tuple[int, list[list[bytes]]]:
    """How many rows there are; and for each input the bytes that each request brings."""
    first = asked[0][0]
    if _alike(asked):
        return first.rows * len(asked), [[parts[at] for _, parts in asked] for at in first.at]
    places = range(len(first.at))
    return sum(shape.rows for shape, _ in asked), [[parts[shape.at[i]] for shape, parts in asked] for i in places]


def _ids_of(asked: Sequence[Asked]) -> list[bytes]:
    """The ids that these requests have, or an empty list if they have none."""
    if asked[0][0].id_at is None and _alike(asked):
        return []
    return [id_of(one) for one in asked]


def id_of(asked: Asked) -> bytes:
    """The id of a request, empty if it has none."""
    shape, parts = asked
    return b"" if shape.id_at is None else parts[shape.id_at]


def _ids(ids: Sequence[str], counts: Sequence[int]) -> tuple[int, list[bytes]]:
    """How many bytes each of these ids takes, for all are as long; and the ids for each call."""
    if not ids:
        return 0, [b""] * len(counts)
    raws = raw_ids(ids, counts)
    return next(len(each) // count for each, count in zip(raws, counts, strict=True) if count), raws


def _has_nulls(column: Column | Sequence[str]) -> bool:
    return isinstance(column, Column) and column.valid is not None


def _plainly(asked: Asked) -> oip.Request:
    shape = asked[0]
    return oip.Request(id_of(asked).decode() or None, {}, shape.outputs, {}, "all", shape.rows)


def _translated(reply: Any, asked: oip.Request) -> Any:
    """What the HTTP door would say, as a ModelInferResponse."""
    if not isinstance(reply, Reply):
        return reply
    _, _, length = reply.headers.partition(b"inference-header-content-length: ")
    last = {_LAST: True} if asked.parameters.get(_ASKS_FOR_LAST) is True else {}
    return proto_infer.response(reply.body, int(length) if length else None, last)


def check_id(asked: Asked) -> None:
    """BadInput if the id is no text."""
    try:
        id_of(asked).decode()
    except UnicodeDecodeError as error:
        raise BadInput("the id is not UTF-8 text") from error
