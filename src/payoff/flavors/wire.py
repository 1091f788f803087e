"""A look at an ONNX file without running it: is it one, is it whole, which other files does it point at?

ONNX is a protobuf message; this reads only tags and lengths. Field numbers are those of `onnx.proto3`.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from payoff.errors import BadInput

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_FIELDS = {1: _VARINT, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _VARINT, 6: _BYTES, 7: _BYTES, 8: _BYTES}
_MODEL_FIELDS |= {14: _BYTES, 20: _BYTES, 25: _BYTES, 26: _BYTES}
_GRAPH = 7

# Where a message holds messages that may hold tensors: kind -> field -> kind.
_NESTED: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_KEY, _VALUE = 1, 2


class Cut(Exception):
    """The message ends before it should."""


def begins_like_onnx(head: bytes) -> bool:
    """The first fields are those of a ModelProto: `ir_version` 3 or later, then another field of a model."""
    if len(head) < 4 or head[0] != 0x08 or not 3 <= head[1] <= 64:
        return False
    return _MODEL_FIELDS.get(head[2] >> 3 if head[2] < 0x80 else (head[2] & 0x7F | head[3] << 7) >> 3) == head[2] & 7


def check(path: Path) -> None:
    """BadInput unless the file is one whole ONNX model that carries all its weights itself."""
    elsewhere = locations(path)
    if elsewhere:
        raise BadInput(
            f"{path.name} keeps weights in other files (external data: {', '.join(sorted(elsewhere)[:3])}); deploy the "
            "folder that holds the model and these files and no other model, or save it as one file: "
            "onnx.save(onnx.load(PATH), NEW_PATH, save_as_external_data=False)"
        )


def check_folder(path: Path, folder: Path) -> None:
    """BadInput unless the file is one whole ONNX model whose other files all lie in the folder."""
    for location in sorted(locations(path)):
        beside = PurePosixPath(location)
        if not location or beside.is_absolute() or ".." in beside.parts or "\\" in location or "\0" in location:
            raise BadInput(
                f"{path.name} keeps weights in {location[:80]!r}, which is not inside the folder; save it again with "
                "onnx.save(..., save_as_external_data=True, location='weights.bin')"
            )
        found = path.parent / beside
        if not found.is_file():
            raise BadInput(f"{path.name} keeps weights in {location[:80]}, which is not in the folder; put it there")
        if not found.resolve().is_relative_to(folder.resolve()):
            raise BadInput(f"{location[:80]} is a link that leads out of the folder; copy the file in")


def locations(path: Path) -> set[str]:
    """The files, besides itself, in which a model keeps weights; BadInput if it is not one whole ONNX model."""
    data = path.read_bytes()
    try:
        fields = {number for number, _, _ in _fields(data, 0, len(data))}
    except Cut as cut:
        raise BadInput(
            f"{path.name} begins like an ONNX model but is cut short: {cut}; export or copy it again"
        ) from cut
    if _GRAPH not in fields or not fields <= _MODEL_FIELDS.keys():
        raise BadInput(f"{path.name} begins like an ONNX model but holds no graph; export or copy it again")
    # The walk through every node is slow in Python; a tensor kept elsewhere always has the key "location".
    if b"location" not in data:
        return set()
    try:
        return set(_elsewhere(data, 0, len(data), "model"))
    except Cut as cut:
        raise BadInput(f"{path.name} is damaged: {cut}; export or copy it again") from cut


def _elsewhere(data: bytes, start: int, end: int, kind: str) -> Iterator[str]:
    """Where the tensors of a message are that it does not hold itself; an empty text where one does not say it."""
    inside = _NESTED[kind]
    if kind == "tensor":
        fields = list(_fields(data, start, end))
        if any(number == _EXTERNAL_DATA or (number == _DATA_LOCATION and data[at] == 1) for number, at, _ in fields):
            pairs = dict(_pair(data, at, stop) for number, at, stop in fields if number == _EXTERNAL_DATA)
            yield pairs.get("location", "")
        return
    for number, at, stop in _fields(data, start, end):
        if number in inside:
            yield from _elsewhere(data, at, stop, inside[number])


def _pair(data: bytes, start: int, end: int) -> tuple[str, str]:
    found = {number: data[at:stop].decode("utf-8", "replace") for number, at, stop in _fields(data, start, end)}
    return found.get(_KEY, ""), found.get(_VALUE, "")


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Every field of one message: its number, and where its value begins and ends."""
    while at < end:
        tag, at = _varint(data, at, end)
        kind = tag & 7
        if kind == _VARINT:
            _, stop = _varint(data, at, end)
        elif kind == _BYTES:
            size, at = _varint(data, at, end)
            stop = at + size
        elif kind in (_FIXED64, _FIXED32):
            stop = at + (8 if kind == _FIXED64 else 4)
        else:
            raise Cut(f"what stands at byte {at} is no field")
        if stop > end:
            raise Cut(f"a part needs {stop - at:,} bytes at byte {at:,}, and {end - at:,} are left")
        yield tag >> 3, at, stop
        at = stop


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise Cut(f"it ends at byte {at:,} in the middle of a number")
