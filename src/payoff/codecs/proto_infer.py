"""ModelInfer's messages: requests to what the HTTP door's codec reads, and columns to responses.

Any request can be told in the words of the binary tensor extension, and is: one codec judges what comes through any
door. Requests that look like one before them go another way, see `proto_known`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from math import prod
from typing import Any

import numpy as np
import orjson

from payoff.codecs import wire
from payoff.codecs.checks import shorten
from payoff.codecs.proto import message, parsed
from payoff.codecs.tensors import BYTES, DATATYPES, DTYPES, pack
from payoff.errors import BadInput
from payoff.records.signature import Field, Type

REQUEST, RESPONSE = "inference.ModelInferRequest", "inference.ModelInferResponse"
NULLS = "nulls"  # parameter of an output: the places of the elements that are null, as a JSON list
_ID, _RAW_OUT = 3, 6
_LAYOUTS_MAX = 256
# Where typed contents of each datatype lie; FP16 has none.
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


# -- any request


def told(request: Any) -> tuple[bytes, int]:
    """A ModelInferRequest as a request with binary tensors: its body, and the length of its JSON."""
    raws = iter(request.raw_input_contents) if request.raw_input_contents else None
    inputs = [_input(tensor, raws) for tensor in request.inputs]
    if raws is not None and next(raws, None) is not None:
        raise BadInput("there are more raw_input_contents than inputs; expected one for each that has its data there")
    outputs = [_output(output) for output in request.outputs]
    said: dict[str, Any] = {"inputs": [tensor for tensor, _ in inputs], "outputs": outputs}
    said["parameters"] = parameters(request.parameters) | {"binary_data_output": True}
    if request.id:
        said["id"] = request.id
    text = orjson.dumps(said)
    return b"".join((text, *(data for _, data in inputs if data is not None))), len(text)


def parameters(said: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a request, an input or an output, as plain values."""
    return {
        name: getattr(value, choice)
        for name, value in said.items()
        if (choice := value.WhichOneof("parameter_choice")) is not None
    }


def _input(tensor: Any, raws: Iterator[bytes] | None) -> tuple[dict[str, Any], bytes | None]:
    """An input, and its bytes unless they lie in shared memory."""
    about = parameters(tensor.parameters)
    said = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "parameters": about}
    about.pop("binary_data_size", None)
    if "shared_memory_region" in about:
        return said, None
    data = _contents(tensor) if raws is None else next(raws, None)
    if data is None or (raws is not None and tensor.HasField("contents")):
        raise BadInput(
            f"input {shorten(tensor.name)}: where there are raw_input_contents, expected one for each input, in their "
            "order, and no contents"
        )
    about["binary_data_size"] = len(data)
    return said, data


def _contents(tensor: Any) -> bytes:
    """Typed contents as raw bytes; numbers that the datatype cannot hold are refused."""
    name = _CONTENTS.get(tensor.datatype)
    where = f"input {shorten(tensor.name)}"
    if name is None:
        raise BadInput(f"{where} has the datatype {shorten(tensor.datatype)}; expected one of {', '.join(_CONTENTS)}")
    values = getattr(tensor.contents, name)
    others = [field.name for field, _ in tensor.contents.ListFields() if field.name != name]
    if others:
        raise BadInput(f"{where} is {tensor.datatype} and has {others[0]}; expected {name}")
    if tensor.datatype == BYTES:
        return b"".join(part for value in values for part in (len(value).to_bytes(4, "little"), value))
    try:
        return np.array(values, DTYPES[tensor.datatype]).tobytes()
    except OverflowError as error:
        raise BadInput(f"{where}: a number is too large, or too small, for {tensor.datatype}") from error


def _output(output: Any) -> dict[str, Any]:
    return {"name": output.name, "parameters": parameters(output.parameters) | {"binary_data": True}}


def request(data: bytes) -> Any:
    """The message of some bytes; BadInput if they are none."""
    return parsed(REQUEST, data)


# -- responses


class Responses:
    """Writes the responses to requests for the same outputs of one revision."""

    def __init__(self, name: str, version: str, wanted: Sequence[Field]) -> None:
        self._wanted = wanted
        self._name, self._version = name, version
        self._layouts: dict[Any, list[bytes]] = {}

    def write(
        self, outputs: Sequence[tuple[int, Sequence[bytes]]], counts: Sequence[int], ids: Sequence[bytes],
        said: tuple[tuple[str, Any], ...],
    ) -> list[bytes]:  # fmt: skip
        """One response for each call of so many rows. `outputs` has for each wanted field how many bytes one row of it
        takes, 0 if that differs, and the raw bytes for each call; `ids` is empty if no call has one; `said` are the
        response's parameters."""
        widths = (*[width for width, _ in outputs],)
        columns = [parts if width else [wire.piece(_RAW_OUT, part) for part in parts] for width, parts in outputs]
        columns.insert(0, [wire.piece(_ID, id) if id else b"" for id in ids] or [b""] * len(counts))
        n = counts[0]
        if counts.count(n) == len(counts):
            layout: Iterable[Iterable[bytes]] = map(repeat, self._layout(n, widths, said), repeat(len(counts)))
        else:
            layout = zip(*[self._layout(n, widths, said) for n in counts], strict=True)
        pieces = [each for both in zip(layout, columns, strict=True) for each in both]
        return [*map(b"".join, zip(*pieces, strict=True))]

    def _layout(self, n: int, widths: tuple[int, ...], said: tuple[tuple[str, Any], ...]) -> list[bytes]:
        """A response to n rows, in pieces: what stands before the id, and before the bytes of each output."""
        key = (n, widths, said)
        found = self._layouts.get(key)
        if found is None:
            if len(self._layouts) >= _LAYOUTS_MAX:
                self._layouts.clear()
            response = message(RESPONSE)
            first = response(model_name=self._name, model_version=self._version).SerializeToString()
            rest: Any = response()
            put(rest.parameters, dict(said))
            for field in self._wanted:
                shape = [n, *field.shape]
                rest.outputs.add(name=field.name, datatype=DATATYPES[field.type], shape=shape)
            heads = [wire.head(_RAW_OUT, n * width) if width else b"" for width in widths]
            found = self._layouts[key] = [first, rest.SerializeToString() + heads[0], *heads[1:]]
        return found


def plain(field: Field) -> bool:
    """Whether the raw bytes of a column without nulls are its bytes, or its texts."""
    return field.type not in (Type.DATE, Type.TIMESTAMP)


def width(field: Field) -> int:
    """How many raw bytes one row takes; 0 if that differs."""
    return 0 if field.type is Type.TEXT else field.type.dtype.itemsize * prod(field.shape)


def put(target: Any, said: Mapping[str, Any]) -> None:
    """Plain values as parameters."""
    for name, value in said.items():
        if isinstance(value, bool):
            target[name].bool_param = value
        elif isinstance(value, int):
            target[name].int64_param = value
        elif isinstance(value, float):
            target[name].double_param = value
        elif value is not None:
            target[name].string_param = str(value)


def response(body: bytes, header_length: int | None, more: Mapping[str, Any]) -> bytes:
    """A response of the HTTP door, in JSON with binary tensors, as a ModelInferResponse; `more` are parameters of it.

    An output that came as JSON all the same has nulls that raw bytes cannot say: what stands there is 0, false or "",
    and the output's parameter `nulls` has their places.
    """
    said = orjson.loads(body if header_length is None else memoryview(body)[:header_length])
    made: Any = message(RESPONSE)(model_name=said["model_name"], model_version=said["model_version"])
    made.id = said.get("id", "")
    put(made.parameters, {**said.get("parameters", {}), **more})
    at = len(body) if header_length is None else header_length
    for output in said["outputs"]:
        about = dict(output.get("parameters", {}))
        tensor = made.outputs.add(name=output["name"], datatype=output["datatype"], shape=output["shape"])
        size = about.pop("binary_data_size", None)
        if size is not None:
            made.raw_output_contents.append(body[at : at + size])
            at += size
        elif "data" in output:
            data, nulls = _listed(output["data"], output["datatype"])
            made.raw_output_contents.append(data)
            if nulls:
                about[NULLS] = orjson.dumps(nulls).decode()
        else:
            made.raw_output_contents.append(b"")  # it lies in shared memory, and clients count on one for each output
        put(tensor.parameters, about)
    return bytes(made.SerializeToString())


def _listed(data: list[Any], datatype: str) -> tuple[bytes, list[int]]:
    """Values of JSON as raw bytes, and the places of the nulls."""
    blank = "" if datatype == BYTES else 0
    nulls = [place for place, value in enumerate(data) if value is None]
    whole = [blank if value is None else value for value in data]
    if datatype == BYTES:
        return pack(np.array(whole, object)), nulls
    return pack(np.array(whole, DTYPES[datatype])), nulls
