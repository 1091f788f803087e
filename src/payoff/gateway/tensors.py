"""Answers and endpoints as the Open Inference Protocol speaks of them."""

from collections.abc import Collection, Sequence
from typing import Any

import orjson

from payoff.codecs import oip, oip_reply, schema
from payoff.codecs.codec import prepared
from payoff.codecs.oip_known import Known, Shapes
from payoff.codecs.places import Fetch, no_memory
from payoff.gateway import table
from payoff.gateway.reply import Reply
from payoff.records import Column, Field, Signature
from payoff.serving import Answered, Live
from payoff.serving.form import parted
from payoff.serving.part import Rows
from payoff.serving.reply import Same

ROWS_MAX = 100_000  # of one call: more would keep the other callers of the worker waiting
WHY = frozenset(field.name for field in table.WHY)
_WRITERS_MAX = 64


def outputs(live: Live) -> tuple[Field, ...]:
    """The tensors an endpoint answers with: ids, outputs, decision, and for each row why."""
    return table.fields(live.outputs, live.decision_type)


class Tensors:
    """Calls of the Open Inference Protocol over HTTP, for one live revision."""

    name = "oip"

    def __init__(self, live: Live) -> None:
        self._live = live
        self._reader = prepared(oip.Oip, live.inputs, ROWS_MAX)
        self._outputs = outputs(live)
        self._brief = tuple(field for field in self._outputs if field.name not in WHY)
        self.shapes = Shapes(self._reader, live.inputs)
        self.seen = Seen(self)
        self._writers: dict[Any, oip_reply.Writer] = {}

    @staticmethod
    def of(live: Live) -> "Tensors":
        """The one of this revision."""
        found: Tensors | None = live.forms.get("oip")
        if found is None:
            found = live.forms["oip"] = Tensors(live)
        return found

    def ask(self, body: bytes, header_length: int | None, fetch: Fetch = no_memory) -> oip.Request:
        """A request, as far as it is looked at before its turn: that the outputs it wants exist, and how many rows."""
        asked = self._reader.ask(body, header_length, fetch)
        if asked.outputs is not None:
            oip_reply.pick(asked, self._outputs)
        return asked

    def read(self, asked: Sequence[oip.Request]) -> Rows:
        """The rows of all these requests."""
        return self._reader.columns(asked)

    def write(self, answered: Answered, asked: Sequence[oip.Request], counts: Sequence[int]) -> list[Reply]:
        """Outputs, decision and ids as tensors; where all rows have the same why, it comes once, as parameters."""
        first = asked[0]
        for one in asked:
            if one is not first and (one.outputs != first.outputs or one.binary != first.binary):
                own = zip(asked, counts, parted(answered, counts), strict=True)
                return [self._written(part, [each], [count])[0] for each, count, part in own]
        return self._written(answered, asked, counts)

    def _written(self, answered: Answered, asked: Sequence[oip.Request], counts: Sequence[int]) -> list[Reply]:
        same = answered.same if asked[0].outputs is None else None
        columns = all_columns(answered, asked[0].binary) if same is None else table.brief(answered)
        writer = self._writer(asked[0], same)
        bodies, heads = writer.write(columns, counts, [one.id for one in asked])
        return [*map(reply, bodies, heads)] if heads else [*map(Reply, bodies)]

    def _writer(self, request: oip.Request, same: Same | None) -> oip_reply.Writer:
        """For requests that want the same, answered by the same for the same reason."""
        key = (request.outputs, request.binary, same)
        found = self._writers.get(key)
        if found is None:
            if len(self._writers) >= _WRITERS_MAX:
                self._writers.clear()
            found = self._writers[key] = self._new_writer(request, same)
        return found

    def _new_writer(self, request: oip.Request, same: Same | None) -> oip_reply.Writer:
        wanted = oip_reply.pick(request, self._outputs) if same is None else self._brief
        said: dict[str, Any] = {"revision": self._live.revision.number}
        if same is not None:
            said |= {name: value for name, value in same._asdict().items() if value is not None}
        name, version = self._live.name, str(self._live.revision.number)
        return oip_reply.Writer(name, version, wanted, request.binary, said)


class Seen:
    """Calls like those before them: only their numbers are new."""

    name = "oip"

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self.read = tensors.shapes.columns

    def write(self, answered: Answered, asked: Sequence[Known], counts: Sequence[int]) -> list[Reply]:
        """As to all others."""
        return self._tensors.write(answered, [one.shape.request for one in asked], counts)


def all_columns(answered: Answered, binary: Collection[str]) -> dict[str, Column]:
    """All that an answer has. `binary` are the outputs wanted as raw bytes, which cannot say null: there the version of
    a row that no version answered is 0. Versions count from 1."""
    columns = table.columns(answered)
    version = columns["version"]
    if version.valid is not None and (binary == "all" or "version" in binary):
        columns["version"] = Column(version.values)
    return columns


def metadata(live: Live) -> Reply:
    """What the endpoint takes and gives. The version of an endpoint is its revision."""
    signature = Signature(live.inputs, outputs(live))
    return Reply(orjson.dumps(schema.metadata(live.name, [str(live.revision.number)], signature)))


def reply(body: bytes, head: int | None) -> Reply:
    """A response; `head` is the length of its JSON if raw bytes follow."""
    if head is None:
        return Reply(body)
    return Reply(body, b"application/octet-stream", headers=b"inference-header-content-length: %d\r\n" % head)
