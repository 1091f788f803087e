"""Asking a remote model: columns over HTTP as tensors and back, within limits, and not while its server is failing."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from payoff.codecs import oip_ask
from payoff.errors import BadInput, ModelFailed
from payoff.flavors.breaker import Breaker
from payoff.flavors.feeds import Feeder, feeder
from payoff.flavors.http import Broken, Client, Limits, Reply, address
from payoff.flavors.port import Port
from payoff.flavors.rowfile import Rows
from payoff.records.columns import Column, Columns, concat, length, take
from payoff.records.signature import Field, Signature, Type

HEADERS = '{Authorization: "env:NAME"}'
SECRET_AT = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)$")
_CALLS_MAX = 8
_DOWN = {429, 502, 503, 504}  # what a server says of itself; a 500 is about these rows
_WORDS_MAX = 300
_TIMES = (Type.DATE, Type.TIMESTAMP)


@dataclass(frozen=True, slots=True)
class Told:
    """What the file says, and whether the server takes raw bytes."""

    url: str
    model: str
    version: str | None = None
    headers: tuple[tuple[str, str], ...] = ()  # values may end in env:NAME
    timeout_s: float = 2.0
    rows_max: int = 1_000_000
    outputs: tuple[tuple[str, str], ...] = ()  # our name, theirs; none: all, as they call them
    binary: bool = False

    @property
    def path(self) -> str:
        """The model's place on the server."""
        version = "" if self.version is None else f"/versions/{quote(self.version, safe='')}"
        return f"/v2/models/{quote(self.model, safe='')}{version}"

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.model} at {self.url}"


@dataclass(frozen=True, slots=True)
class Agreed:
    """A remote model as workers load it: how it is asked, and the tensors that its inputs become."""

    told: Told
    datatypes: tuple[str, ...]
    dims: tuple[tuple[int | None, ...], ...]
    tensors: tuple[str, ...]
    signature: Signature

    def ports(self) -> list[Port]:
        """The tensors, in order."""
        described = zip(self.tensors, self.datatypes, self.dims, strict=True)
        return [Port(name, oip_ask.TYPES[kind], _dtype(kind), dims) for name, kind, dims in described]


def connect(told: Told) -> Client:
    """A client for the server; ModelFailed if a variable with a secret is not there."""
    limits = Limits(call_s_max=told.timeout_s, connections_max=_CALLS_MAX)
    return Client(address(told.url), {name: _opened(value) for name, value in told.headers}, limits)


class Asker:
    """One remote model, asked from one worker's event loop, or from a thread of its own."""

    batches_max = _CALLS_MAX

    def __init__(self, agreed: Agreed) -> None:
        self._told = agreed.told
        self._fields = agreed.signature.outputs
        self._datatypes = dict(zip(agreed.tensors, agreed.datatypes, strict=True))
        self._texts = tuple(field for field in agreed.signature.inputs if field.type in _TIMES)
        self._feed: Feeder = feeder(agreed.ports(), agreed.signature.inputs)
        self._breaker = Breaker()
        self._client: Client | None = None
        connect(agreed.told).close()  # a missing secret is told now

    async def ask(self, columns: Columns) -> dict[str, Column]:
        """The model's answers; ModelFailed in words if there are none."""
        if self._client is None:
            self._client = connect(self._told)
        return await self._ask(self._client, columns)

    def run(self, columns: Columns) -> dict[str, Column]:
        """The same, waiting. Not for a thread in which an event loop runs."""
        return asyncio.run(self._alone(columns))

    def close(self) -> None:
        """End the connections."""
        if self._client is not None:
            self._client.close()

    async def answers(self, client: Client, rows: Rows) -> Rows:
        """Answers and what they are, asked before anything is agreed on."""
        found = await self._pieces(client, rows.columns)
        names = self._told.outputs or tuple((name, name) for name in found[0])
        fields, columns = [], {}
        for ours, theirs in names:
            parts = [self._output(piece, theirs) for piece in found]
            nullable = any(field.nullable for field, _ in parts)
            fields.append(Field(ours, parts[0][0].type, parts[0][0].shape, nullable))
            columns[ours] = concat([{"": oip_ask.settle(fields[-1], *part)} for part in parts])[""]
        return Rows(tuple(fields), columns)

    async def _alone(self, columns: Columns) -> dict[str, Column]:
        client = connect(self._told)
        try:
            return await self._ask(client, columns)
        finally:
            client.close()

    async def _ask(self, client: Client, columns: Columns) -> dict[str, Column]:
        if length(columns) == 0:
            return {f.name: Column(np.empty((0, *f.shape), f.type.dtype)) for f in self._fields}
        theirs = dict(self._told.outputs)
        pieces = await self._pieces(client, columns)
        try:
            answers = [
                {f.name: oip_ask.settle(f, *self._output(piece, theirs.get(f.name, f.name))) for f in self._fields}
                for piece in pieces
            ]
        except BadInput as error:
            raise ModelFailed(f"{self._told.where} answered otherwise than agreed: {error}") from error
        return concat(answers)

    async def _pieces(self, client: Client, columns: Columns) -> list[dict[str, tuple[Field, Column]]]:
        """The rows in as many calls as the server wants, at the same time."""
        size, rows = self._told.rows_max, length(columns)
        if rows <= size:
            return [await self._call(client, columns)]
        parts = [take(columns, slice(start, start + size)) for start in range(0, rows, size)]
        return await asyncio.gather(*(self._call(client, part) for part in parts))

    async def _call(self, client: Client, columns: Columns) -> dict[str, tuple[Field, Column]]:
        rest_s = self._breaker.rests_s()
        if rest_s:
            raise ModelFailed(f"{self._told.where} failed several times; it is asked again in {rest_s:.1f} s")
        body, head = self._encoded(columns)
        try:
            reply = await client.ask("POST", f"{self._told.path}/infer", body, head)
        except Broken as error:
            self._breaker.failed()
            raise ModelFailed(f"{self._told.where} cannot be asked: {error}") from error
        if reply.status in _DOWN:
            self._breaker.failed()
        else:
            self._breaker.answered()
        if reply.status != 200:
            raise ModelFailed(f"{self._told.where} refused ({reply.status}): {words(reply.body)}")
        return self._decoded(reply, length(columns))

    def _encoded(self, columns: Columns) -> tuple[bytes, bytes]:
        if self._texts:
            texts = {f.name: _texts(columns[f.name], f.type) for f in self._texts}
            columns = {**columns, **texts}
        outputs = [theirs for _, theirs in self._told.outputs] or None
        body, head = oip_ask.encode(self._feed(columns), self._datatypes, outputs, self._told.binary)
        if head is None:
            return body, b"content-type: application/json\r\n"
        return body, b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n" % head

    def _decoded(self, reply: Reply, rows: int) -> dict[str, tuple[Field, Column]]:
        head = reply.headers.get(b"inference-header-content-length")
        try:
            return oip_ask.decode(reply.body, int(head) if head and head.isdigit() else None, rows)
        except BadInput as error:
            raise ModelFailed(f"{self._told.where} answered something that cannot be read: {error}") from error

    def _output(self, piece: Mapping[str, tuple[Field, Column]], name: str) -> tuple[Field, Column]:
        if name not in piece:
            raise ModelFailed(
                f"{self._told.where} did not answer {name!r}; it answered {', '.join(piece) or 'nothing'}"
            )
        return piece[name]


def words(body: bytes) -> str:
    """What a server said when it refused: the protocol's `error`, or the beginning of whatever it is."""
    try:
        said: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        said = None
    text = said.get("error") or said.get("detail") if isinstance(said, dict) else None
    plain = text if isinstance(text, str) else body[: 4 * _WORDS_MAX].decode("utf-8", "replace")
    return " ".join(plain.split())[:_WORDS_MAX] or "it gave no reason"


def _opened(value: str) -> str:
    """A header's value, with the variable that it names in its place."""
    found = SECRET_AT.search(value)
    if found is None:
        return value
    name = found[1]
    if name.upper().startswith("PAYOFF_"):
        raise ModelFailed(f"the variable {name} is payoff's own and is sent to nobody; put the secret into another one")
    secret = os.environ.get(name, "")
    if not secret or not secret.isprintable() or not secret.isascii():
        what = "holds what no header can carry" if secret else "is not in the environment of `payoff up`"
        raise ModelFailed(f"the variable {name} {what}; start it with {name}=... and try again")
    return value[: found.start()] + secret


def _texts(column: Column, kind: Type) -> Column:
    values = column.values if column.valid is None else np.where(column.valid, column.values, np.zeros((), kind.dtype))
    return Column(oip_ask.as_text(values, kind), column.valid)


def _dtype(datatype: str) -> np.dtype[Any]:
    return np.dtype(np.float16) if datatype == "FP16" else oip_ask.TYPES[datatype].dtype
