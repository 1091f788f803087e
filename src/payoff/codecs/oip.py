"""Open Inference Protocol v2 over HTTP: an inference request to columns, with or without binary tensor data.

One input per field. A plain field takes the shape [n] or [n, 1], a tensor field [n, *shape]; n is the same in every
input. Data is flat or nested. Every number datatype may go to every number field whose values it fits; dates and
times are BYTES with ISO text. A nullable input may be missing; null in JSON data is a null, and so is NaN in raw
bytes. A door that has shared memory fetches the bytes of the tensors that lie there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from payoff.codecs.cells import nulls
from payoff.codecs.checks import check_count, expected, refuse_unknown, shorten
from payoff.codecs.codec import ROWS_MAX, prepared
from payoff.codecs.jsontext import parse
from payoff.codecs.oip_input import Input, Said
from payoff.codecs.oip_output import ALL_AS_JSON, Wish, wanted
from payoff.codecs.places import Fetch, no_memory, place
from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.signature import Field


@dataclass(slots=True)
class Request:
    """What a caller asks: `outputs` None means all of them; `binary` are the outputs wanted as raw bytes.

    `said` has, for each input that came, its tensor as it came; `columns` is empty until somebody reads them. `wishes`
    are for outputs as classes or in shared memory.
    """

    id: str | None
    columns: dict[str, Column]
    outputs: tuple[str, ...] | None
    parameters: dict[str, Any]
    binary: frozenset[str] | Literal["all"]
    rows: int = 0
    said: dict[str, Said] = field(default_factory=dict)
    wishes: Mapping[str, Wish] | None = None


def decode(
    body: bytes, fields: Sequence[Field], header_length: int | None = None, *, rows_max: int = ROWS_MAX
) -> Request:
    """A request; `header_length` is the header Inference-Header-Content-Length, if it came. Raises as Decode."""
    reader = prepared(Oip, tuple(fields), rows_max)
    request = reader.ask(body, header_length)
    request.columns = reader.columns([request])
    return request


class Oip:
    """A decoder for one list of fields: what can be worked out from the fields alone is worked out here, once.

    It works in two steps, for the sake of batches: `ask` says what a request is about, `columns` reads many at once.
    """

    def __init__(self, fields: tuple[Field, ...], rows_max: int = ROWS_MAX) -> None:
        self._inputs = {field.name: Input(field) for field in fields}
        self._rows_max = rows_max

    def ask(self, body: bytes, header_length: int | None = None, fetch: Fetch = no_memory) -> Request:
        """The request, its tensors still as they came; BadInput if it is none. `fetch` reads shared memory."""
        told, raw = split(body, header_length)
        inputs = told.get("inputs")
        if type(inputs) is not list:
            raise BadInput(f"inputs is {shorten(inputs)}; expected a list of tensors: name, shape, datatype, data")
        found, rows = self._tensors(inputs, raw, raw is None and only_numbers(body), fetch)
        parameters = _parameters(told) if "parameters" in told else {}
        outputs = wanted(told.get("outputs"), parameters) if parameters or "outputs" in told else ALL_AS_JSON
        return Request(_id(told), {}, outputs.names, parameters, outputs.binary, rows, found, outputs.wishes)

    def _tensors(
        self, tensors: list[Any], raw: memoryview | None, numbers: bool, fetch: Fetch
    ) -> tuple[dict[str, Said], int]:
        """Each input by its name, where all have as many rows; and how many that is."""
        found: dict[str, Said] = {}
        rest = None if raw is None else _Raw(raw)
        rows, first = -1, ""
        for tensor in tensors:
            held, name = self._input(tensor)
            n = held.rows(tensor.get("shape"))
            if rows < 0:
                check_count(n, self._rows_max)
                rows, first = n, name
            if n != rows:
                raise BadInput(f"input {first!r} has {rows} rows and input {name!r} has {n}; expected as many in each")
            if name in found:
                raise BadInput(f"input {name!r} comes twice; send it once")
            found[name] = Said(tensor, n, _raw_of(tensor, rest, name, fetch), numbers)
        if rest is not None:
            rest.check_empty()
        return found, max(rows, 0)

    def columns(self, requests: Sequence[Request]) -> dict[str, Column]:
        """The rows of all these requests, one after the other; BadInput if any of them is amiss."""
        return {
            name: held.columns([request.said.get(name) or self._missing(name, request.rows) for request in requests])
            for name, held in self._inputs.items()
        }

    def _input(self, tensor: Any) -> tuple[Input, str]:
        name = tensor.get("name") if type(tensor) is dict else None
        if type(name) is not str:
            raise BadInput(f"an input is {shorten(tensor)}; expected an object with name, shape, datatype and data")
        held = self._inputs.get(name)
        if held is None:
            refuse_unknown("input", name, [*self._inputs])
        return held, name

    def _missing(self, name: str, rows: int) -> Column:
        field = self._inputs[name].field
        if not field.nullable:
            raise BadInput(f"missing input {name!r}; expected {expected(field)}")
        return nulls(field, rows)


def only_numbers(body: bytes) -> bool:
    """Whether no boolean can stand in any "data" of this JSON, told by its bytes in a fraction of the time that looking
    at every element takes. False where that cannot be told so easily."""
    at = body.find(b'"data"')
    return at >= 0 and body.find(b"t", at + 6) < 0 and body.find(b"f", at + 6) < 0 and b"\\" not in body


def _raw_of(tensor: dict[str, Any], rest: "_Raw | None", name: str, fetch: Fetch) -> memoryview | None:
    """The tensor's part of the bytes behind the JSON, or its bytes in shared memory; None if it is in the JSON."""
    parameters = tensor.get("parameters")
    if not parameters:
        return None
    where = f"input {name!r}"
    if type(parameters) is not dict:
        raise BadInput(f"{where} has the parameters {shorten(parameters)}; expected an object")
    if "binary_data_size" not in parameters:
        there = place(parameters, where)
        return None if there is None else memoryview(fetch(there))
    if rest is None and parameters["binary_data_size"] == 0:
        return memoryview(b"")  # some clients send no header where there is nothing to follow
    if rest is None:
        raise BadInput(f"{where} has binary_data_size but the header Inference-Header-Content-Length is missing")
    return rest.take(parameters["binary_data_size"], where)


class _Raw:
    """The bytes behind the JSON, handed out in the order of the inputs."""

    def __init__(self, raw: memoryview) -> None:
        self._raw, self._at = raw, 0

    def take(self, size: Any, where: str) -> memoryview:
        if type(size) is not int or size < 0:
            raise BadInput(f"{where}: binary_data_size is {shorten(size)}; expected a number of bytes")
        if self._at + size > len(self._raw):
            raise BadInput(f"{where} ends after byte {self._at + size} of the binary data; it has {len(self._raw)}")
        self._at += size
        return self._raw[self._at - size : self._at]

    def check_empty(self) -> None:
        if self._at != len(self._raw):
            raise BadInput(f"the inputs use {self._at} bytes of binary data; the body has {len(self._raw)}")


def split(body: bytes, header_length: int | None) -> tuple[dict[str, Any], memoryview | None]:
    """The JSON object, and the bytes behind it if a header length says where they begin."""
    raw = None
    text: bytes | memoryview = body
    if header_length is not None:
        if not 0 <= header_length <= len(body):
            raise BadInput(f"Inference-Header-Content-Length is {header_length}; the body has {len(body)} bytes")
        text, raw = memoryview(body)[:header_length], memoryview(body)[header_length:]
    said = parse(text)
    if type(said) is not dict:
        raise BadInput(f"body is {shorten(said)}; expected an object with inputs")
    return said, raw


def _id(said: dict[str, Any]) -> str | None:
    given = said.get("id")
    if given is not None and type(given) is not str:
        raise BadInput(f"id is {shorten(given)}; expected text")
    return given


def _parameters(said: dict[str, Any]) -> dict[str, Any]:
    given = said.get("parameters")
    if given is None:
        return {}
    if type(given) is not dict:
        raise BadInput(f"parameters is {shorten(given)}; expected an object")
    return given
