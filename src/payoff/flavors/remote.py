"""A model that stays where it is: a server that speaks the Open Inference Protocol answers, payoff routes and records.

What is stored is an address and what was agreed on, never a secret: headers name a variable of the environment that
`payoff up` was started in. See `remote_ask` for how it is asked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import orjson

from payoff.codecs import oip_ask, units
from payoff.codecs.document import Place
from payoff.codecs.tensors import DATATYPES
from payoff.errors import BadInput, ModelFailed
from payoff.flavors import golden
from payoff.flavors.fit import conform, fit, made_up
from payoff.flavors.flavor import Arrival, Loaded, Prepared, Surroundings
from payoff.flavors.http import Broken, Client, address
from payoff.flavors.port import Port
from payoff.flavors.remote_ask import HEADERS, SECRET_AT, Agreed, Asker, Told, connect, words
from payoff.flavors.rowfile import Rows
from payoff.flavors.written import keys, sheet
from payoff.records.model import Served
from payoff.records.signature import Field, Signature, Type

SERVED, GOLDEN = "remote.json", "golden.npz"
_KEYS = ("remote", "model", "version", "headers", "timeout", "rows_max", "inputs", "outputs")
_BEGINS = "remote: http://HOST:PORT"
_TIMEOUT_S, _TIMEOUT_S_MAX, _ROWS_MAX = 2.0, 300.0, 1_000_000
_OURS = {"prediction_id", "arm", "version", "why", "violations"}  # of another payoff: not what a model says

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}")
_KEPT = {"host", "content-length", "content-type", "transfer-encoding", "connection", "inference-header-content-length"}
_PRIVATE = re.compile(r"auth|cookie|token|secret|password|key", re.IGNORECASE)


class Remote:
    """Recognised by the key `remote`; asked by the worker, without waiting for it."""

    name = "remote"
    moves = True  # the server may take and give something else tomorrow, under the same address
    takes = "a model on another server (YAML with 'remote: http://HOST:PORT' and 'model: NAME')"

    def recognises(self, path: Path, head: bytes) -> bool:
        return "remote" in keys(head)

    def prepare(self, arrival: Arrival) -> Prepared:
        """Ask the server what the model takes and gives, and the sample's rows."""
        arrival.into.mkdir(parents=True, exist_ok=True)
        told, inputs = read(arrival.path)
        sample = _sample(arrival)
        try:
            agreed, rows, answers, facts = asyncio.run(_agree(arrival, told, inputs, sample))
        except Broken as error:
            raise BadInput(f"{told.where} cannot be asked: {error}; start it, or correct the address") from error
        path = arrival.into / SERVED
        path.write_bytes(msgspec.json.encode(agreed))
        if sample is not None and rows is not None and answers is not None:
            golden.write(arrival.into / GOLDEN, rows, answers)
        return Prepared(
            served_path=path,
            served_flavor="remote",
            signature=agreed.signature,
            golden_path=None if sample is None else arrival.into / GOLDEN,
            provenance=facts,
        )

    def load(self, served: Served, around: Surroundings) -> Loaded:
        """The server, ready to be asked."""
        try:
            agreed = msgspec.json.decode(around.artefact(served).read_bytes(), type=Agreed)
        except msgspec.MsgspecError as error:
            raise ModelFailed(f"this remote model cannot be read ({error}); deploy it again") from error
        if agreed.signature != served.signature:
            raise ModelFailed("the remote model is of another signature than the version; deploy it again")
        asker = Asker(agreed)
        return Loaded(asker.run, asker.ask, asker.close, batches_max=asker.batches_max)


async def _agree(
    arrival: Arrival, told: Told, inputs: tuple[Field, ...] | None, sample: Rows | None
) -> tuple[Agreed, Rows | None, Rows | None, dict[str, Any]]:
    """What the server and the sample together say that the model takes and gives."""
    client = connect(told)
    try:
        with arrival.step("ask what it takes"):
            server, model, why = await _about(client, told)
        ports = _ports(told, model, why, inputs, sample)
        fields = _fields(ports, sample)
        told = replace(
            told,
            binary="binary_tensor_data" in _list(server.get("extensions")),
            outputs=told.outputs or _outputs(model),
        )
        datatypes = {said.name: said.datatype for said in oip_ask.described(model.get("inputs"), "inputs")}
        draft = Agreed(
            told,
            tuple(_datatype(port, datatypes) for port in ports),
            tuple(port.dims for port in ports),
            tuple(port.name for port in ports),
            Signature(fields, ()),
        )
        rows = made_up(fields) if sample is None else conform(sample, fields)
        given = None if sample is not None else _described(model, told)
        answers = None
        if given is None:
            with arrival.step("ask the sample rows" if sample is not None else "ask two rows of zeros"):
                answers = await Asker(draft).answers(client, rows)
            given = answers.fields
        facts = {
            "remote": told.url,
            "model": told.model,
            "model version": told.version or ", ".join(map(str, _list(model.get("versions")))),
            "server": " ".join(str(server[key]) for key in ("name", "version") if key in server)[:200],
            "tensors": "binary" if told.binary else "JSON",
            "sample rows": 0 if sample is None else len(rows),
            "note": "answers of a remote model may change without a new version here",
        }
        agreed = replace(draft, signature=Signature(fields, given))
        return agreed, rows, answers, {name: value for name, value in facts.items() if value}
    finally:
        client.close()


async def _about(client: Client, told: Told) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What the server says of itself and of the model, as far as it does, and in words why not."""
    server, _ = await _object(client, "/v2")
    model, why = await _object(client, told.path)
    return server, model, why


async def _object(client: Client, path: str) -> tuple[dict[str, Any], str]:
    reply = await client.ask("GET", path)
    if reply.status in (401, 403):
        raise BadInput(f"the server refuses ({reply.status}): {words(reply.body)}; it wants headers: {HEADERS}")
    if reply.status != 200:
        return {}, f"{reply.status}: {words(reply.body)}"
    try:
        found = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        return {}, "what it says is no JSON"
    return (found, "") if isinstance(found, dict) else ({}, "what it says is no JSON object")


def _ports(
    told: Told, model: Mapping[str, Any], why: str, inputs: tuple[Field, ...] | None, sample: Rows | None
) -> tuple[Port, ...]:
    """The tensors that the server takes: as the file says, else as the server says, else one for each sample column."""
    if inputs is not None:
        return tuple(Port(field.name, field.type, field.type.dtype, field.shape) for field in inputs)
    try:
        said = oip_ask.described(model.get("inputs"), "inputs")
    except BadInput as error:
        raise BadInput(f"{told.where}: {error}; say inputs: {{name: type}} in the file") from error
    if said:
        return tuple(_port(told, one) for one in said)
    if sample is None:
        raise BadInput(
            f"{told.where} does not say what {told.model} takes ({why or 'its metadata has no inputs'}); is the model "
            "there? If so, say it in the file, as in 'inputs: {age: int64}', or give rows: --sample FILE"
        )
    return tuple(
        Port(field.name, _travels(field.type), _travels(field.type).dtype, field.shape) for field in sample.fields
    )


def _port(told: Told, said: oip_ask.Said) -> Port:
    kind = oip_ask.TYPES[said.datatype]
    if not said.shape or said.shape[0] != -1:
        raise BadInput(
            f"{told.where}: input {said.name!r} has the shape {list(said.shape)}, without room for rows; payoff asks "
            "any number of them at once: let the server take a free first dimension (-1), "
            "or say inputs: {name: type} in the file if it does"
        )
    return Port(said.name, kind, kind.dtype, tuple(None if n < 0 else n for n in said.shape[1:]))


def _fields(ports: tuple[Port, ...], sample: Rows | None) -> tuple[Field, ...]:
    """Callers send dates as dates, though to the server they are text."""
    fields = fit(ports, sample).fields
    if sample is None:
        return fields
    kinds = {field.name: field.type for field in sample.fields}
    return tuple(
        replace(field, type=kinds[field.name])
        if field.type is Type.TEXT and kinds[field.name] in (Type.DATE, Type.TIMESTAMP)
        else field
        for field in fields
    )


def _travels(kind: Type) -> Type:
    return Type.TEXT if kind in (Type.DATE, Type.TIMESTAMP) else kind


def _datatype(port: Port, said: Mapping[str, str]) -> str:
    return said.get(port.name) or DATATYPES[port.type]


def _outputs(model: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Of another payoff: what its model answers, without what it says about the answer. Of others: everything."""
    if model.get("platform") != "payoff":
        return ()
    names = [said.name for said in oip_ask.described(model.get("outputs"), "outputs")]
    return tuple((name, name) for name in names if name not in _OURS)


def _described(model: Mapping[str, Any], told: Told) -> tuple[Field, ...] | None:
    """The outputs as the metadata has them, if that says all of it: without a sample nothing needs to be asked then."""
    said = {one.name: one for one in oip_ask.described(model.get("outputs"), "outputs")}
    wanted = told.outputs or tuple((name, name) for name in said)
    if not wanted or any(theirs not in said or -1 in said[theirs].shape[1:] for _, theirs in wanted):
        return None
    shapes = {ours: said[theirs].shape[1:] for ours, theirs in wanted}
    kinds = {ours: oip_ask.TYPES[said[theirs].datatype] for ours, theirs in wanted}
    return tuple(Field(name, kinds[name], () if shapes[name] == (1,) else shapes[name]) for name in kinds)


def read(path: Path) -> tuple[Told, tuple[Field, ...] | None]:
    """The file: where the model is, how it is asked, and the inputs if it says them."""
    at = sheet(path, _KEYS, _BEGINS)
    try:
        for needed in ("remote", "model"):
            if needed not in at:
                raise BadInput(f"it has no {needed!r}; it needs 'remote: http://HOST:PORT' and 'model: NAME'")
        inputs = tuple(units.field(*one) for one in at["inputs"].mapping().items()) if "inputs" in at else None
        return _told(at), inputs
    except BadInput as error:
        raise BadInput(f"{path.name}, {error}") from error


def _told(at: Mapping[str, Place]) -> Told:
    try:
        address(at["remote"].text())
    except BadInput as error:
        raise at["remote"].wrong(str(error)) from error
    return Told(
        url=at["remote"].text(),
        model=at["model"].text(),
        version=str(at["version"].value) if "version" in at else None,
        headers=_headers(at["headers"]) if "headers" in at else (),
        timeout_s=_timeout_s(at["timeout"]) if "timeout" in at else _TIMEOUT_S,
        rows_max=_count(at["rows_max"]) if "rows_max" in at else _ROWS_MAX,
        outputs=_named(at["outputs"]) if "outputs" in at else (),
    )


def _headers(place: Place) -> tuple[tuple[str, str], ...]:
    found = []
    for name, under in place.mapping(what="Authorization").items():
        text = under.text()
        if not _HEADER.fullmatch(name) or name.lower() in _KEPT or not (text.isascii() and text.isprintable()):
            raise under.wrong(
                "this header cannot be sent; it may be any but those that HTTP itself needs, in plain ASCII"
            )
        if _PRIVATE.search(name) and not SECRET_AT.search(text):
            raise under.wrong(
                f'a secret does not belong into a file; write {name}: "env:NAME" and start `payoff up` with the '
                "variable NAME in its environment"
            )
        found.append((name, text))
    return tuple(found)


def _timeout_s(place: Place) -> float:
    long = units.seconds(place)
    if long > _TIMEOUT_S_MAX:
        raise place.wrong(f"{place.said()} is too long for callers to wait; say at most {_TIMEOUT_S_MAX:g}s")
    return long


def _count(place: Place) -> int:
    if not isinstance(place.value, int) or isinstance(place.value, bool) or not 1 <= place.value <= _ROWS_MAX:
        raise place.wrong(f"expected how many rows one call may have, from 1 to {_ROWS_MAX:,}, got {place.said()}")
    return place.value


def _named(place: Place) -> tuple[tuple[str, str], ...]:
    """`[probability]`, or `{probability: output__0}`: our name, theirs."""
    if isinstance(place.value, list):
        return tuple((item.text(), item.text()) for item in place.items())
    return tuple((name, under.text()) for name, under in place.mapping(what="probability").items())


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _sample(arrival: Arrival) -> Rows | None:
    if arrival.sample is None:
        return None
    from payoff.flavors.sample import rows_of  # Arrow is there if a table is

    return rows_of(arrival.sample)


FLAVOR = Remote()
