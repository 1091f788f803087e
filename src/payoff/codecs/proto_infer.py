"""ModelInfer's messages: requests to what the HTTP door's codec reads, and columns to responses.

There are two ways in. Any request can be told in the words of the binary tensor extension, and is: one codec judges
what comes through any door. And a request that looks like one before it, but for the bytes of its tensors and its id,
is not parsed again: `Shape` knows where these lie.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import repeat
from math import prod
from typing import Any

import numpy as np
import orjson

from payoff.codecs import wire
from payoff.codecs.checks import shorten
from payoff.codecs.proto import message, parsed
from payoff.codecs.tensors import BYTES, DATATYPES, DTYPES, pack, unpack
from payoff.errors import BadInput
from payoff.records.signature import Field, Type

REQUEST, RESPONSE = "inference.ModelInferRequest", "inference.ModelInferResponse"
NULLS = "nulls"  # parameter of an output: the places of the elements that are null, as a JSON list
_ID, _INPUTS, _OUTPUTS, _RAW_IN, _RAW_OUT = 3, 5, 6, 7, 6
_NAME_TAG, _VERSION_TAG, _ID_TAG, _RAW_TAG = (number << 3 | wire.BYTES for number in (1, 2, _ID, _RAW_IN))
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


# -- a request like one before it


class Shape:
    """What requests have in common that differ only in their id and the bytes of their tensors.

    All fields of an endpoint are there as raw bytes of their own datatype, and `at` says where. `rows` and the names of
    the `outputs` are as the request said.
    """

    def __init__(self, first: bytes, holes: list[tuple[int, int]]) -> None:
        ends = [0, *(stop for _, stop in holes)]
        fixed = [(end, start) for end, (start, _) in zip(ends, holes, strict=False)] + [(ends[-1], len(first))]
        sizes = [size for (a, b), (c, d) in zip(fixed, [*holes, (0, 0)], strict=True) for size in (b - a, d - c)]
        self._unpack = struct.Struct("".join(f"{size}s" for size in sizes)).unpack
        self._fixed = tuple(first[start:stop] for start, stop in fixed)
        self.size = len(first)
        self.rows = 0
        self.id_at: int | None = None
        self.at: list[int] = []  # for each field, the place of its bytes in the parts
        self.outputs: tuple[str, ...] | None = None

    def parts(self, data: bytes) -> tuple[bytes, ...] | None:
        """The bytes of a message of this size, cut; None if it is not one of this shape."""
        found = self._unpack(data)
        return found if found[::2] == self._fixed else None

    @staticmethod
    def of(data: bytes, request: Any, inputs: Sequence[Field], rows: int) -> "Shape | None":
        """The shape of a request of so many rows that was judged and found right; None if it is not so simple."""
        names = _usual(request, inputs, _is_plain)
        if names is None:
            return None
        found = [one for one in wire.fields(data) if one[0] in (_ID, _RAW_IN) and one[1] == wire.BYTES]
        holes = [(start, stop) for _, _, start, stop in found]
        numbers = [number for number, *_ in found]
        if numbers.count(_ID) > 1:
            return None
        shape = Shape(data, holes)
        raws = [2 * place + 1 for place, number in enumerate(numbers) if number == _RAW_IN]
        shape.at = [raws[names[field.name]] for field in inputs]
        shape.id_at = 2 * numbers.index(_ID) + 1 if _ID in numbers else None
        shape.rows = rows
        shape.outputs = tuple(output.name for output in request.outputs) or None
        return shape


class Loose:
    """The same for requests with texts, which differ in their length too: what comes before the id, what comes between
    it and the raw contents, and these, are found one after the other."""

    def __init__(self, begin: bytes, middle: bytes, sizes: list[int | None]) -> None:
        self.key = begin, middle
        self._sizes = sizes  # of the raw contents, in their order; None where it differs
        self.rows = 0
        self.id_at: int | None = len(sizes)
        self.at: list[int] = []
        self.outputs: tuple[str, ...] | None = None

    def parts(self, data: bytes, id: bytes, at: int) -> tuple[bytes, ...] | None:
        """The raw contents, which begin `at`, and the id; None if they are not what this shape has."""
        found = []
        try:
            for size in self._sizes:
                if data[at] != _RAW_TAG:
                    return None
                length, start = wire.number(data, at + 1)
                at = start + length
                if size is not None and size != length:
                    return None
                found.append(data[start:at])
        except IndexError:
            return None
        return (*found, id) if at == len(data) else None

    @staticmethod
    def of(data: bytes, request: Any, inputs: Sequence[Field], rows: int) -> "Loose | None":
        """As `Shape.of`; here a field may be text."""
        names = _usual(request, inputs, _is_plain_or_text)
        found = _begin(data) if names is not None else None
        if names is None or found is None:
            return None
        begin, id, at = found
        every = wire.fields(data)
        ids = [data[start:stop] for number, _, start, stop in every if number == _ID]
        if len(ids) > 1 or any(one != id for one in ids):
            return None
        raws = [one for one in every if one[0] == _RAW_IN]
        end = raws[0][2] - len(wire.head(_RAW_IN, raws[0][3] - raws[0][2])) if raws else len(data)
        order = sorted(inputs, key=lambda field: names[field.name])
        sizes = [None if field.type is Type.TEXT else rows * width(field) for field in order]
        shape = Loose(begin, data[at:end], sizes)
        shape.at = [names[field.name] for field in inputs]
        shape.rows, shape.outputs = rows, tuple(output.name for output in request.outputs) or None
        return shape if shape.parts(data, b"", end) is not None else None


def cut(data: bytes, lengths: Iterable[int]) -> Iterator[tuple[tuple[bytes, bytes], bytes, int]]:
    """What a request would be known by (`Loose.key`) if its middle had one of these lengths; its id, and where that
    middle ends."""
    found = _begin(data)
    if found is not None:
        begin, id, at = found
        for length in lengths:
            yield (begin, data[at : at + length]), id, at + length


def _begin(data: bytes) -> tuple[bytes, bytes, int] | None:
    """What comes before the id, the id, and where it ends; None if they are not the first there is, and short."""
    try:
        at = 0
        for tag in (_NAME_TAG, _VERSION_TAG):
            if data[at] == tag and data[at + 1] < 0x80:
                at += 2 + data[at + 1]
        start = at
        if data[at] == _ID_TAG and data[at + 1] < 0x80:
            at += 2 + data[at + 1]
        return data[:start], data[start + 2 : at], at
    except IndexError:
        return None


def _usual(request: Any, inputs: Sequence[Field], fits: Callable[[Field, Any], bool]) -> dict[str, int] | None:
    """The places of the inputs by their names, if there are just those of the fields, raw, and nothing special."""
    if request.parameters or any(output.parameters for output in request.outputs):
        return None
    names = {tensor.name: place for place, tensor in enumerate(request.inputs)}
    if names.keys() != {field.name for field in inputs} or len(request.raw_input_contents) != len(request.inputs):
        return None
    if len(names) != len(request.inputs) or not all(fits(field, request.inputs[names[field.name]]) for field in inputs):
        return None
    return names


def _is_plain(field: Field, tensor: Any) -> bool:
    """Whether the tensor's bytes are the column's."""
    number = field.type.is_number or field.type is Type.BOOL
    return number and tensor.datatype == DATATYPES[field.type] and not tensor.parameters


def _is_plain_or_text(field: Field, tensor: Any) -> bool:
    text = field.type is Type.TEXT and tensor.datatype == BYTES and not tensor.parameters
    return text or _is_plain(field, tensor)


def texts(raw: bytes, count: int, where: str) -> list[str]:
    """So many texts of raw bytes; BadInput if they are none. `where` names the tensor."""
    if count == 1 and int.from_bytes(raw[:4], "little") == len(raw) - 4:
        with suppress(UnicodeDecodeError):
            return [str(raw[4:], "utf-8")]
    found: list[str] = unpack(memoryview(raw), BYTES, count, where).tolist()
    return found


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
