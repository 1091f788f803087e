"""The Open Inference Protocol's tensors: its datatypes, and their raw bytes.

Raw bytes are little-endian and row-major; BYTES elements each come after their length in four bytes. They are what
the binary data extension appends to a JSON body, and what gRPC sends as raw contents.
https://github.com/kserve/open-inference-protocol and Triton's extension_binary_data.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.records.signature import Type

BYTES = "BYTES"

# Text, dates and times all travel as BYTES; a date is ISO text.
DATATYPES: dict[Type, str] = {
    Type.BOOL: "BOOL",
    **{kind: kind.value.upper().replace("FLOAT", "FP") for kind in Type if kind.is_number},
    **dict.fromkeys((Type.TEXT, Type.DATE, Type.TIMESTAMP), BYTES),
}
# How raw bytes lie. NumPy has no bfloat16; its bits are the high half of a float32's.
DTYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(kind.value).newbyteorder("<") for kind, name in DATATYPES.items() if name != BYTES
} | {"FP16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


def unpack(raw: memoryview, datatype: str, count: int, where: str) -> NDArray[Any]:
    """Exactly `count` elements from raw bytes, flat; BYTES become an object array of str. `where` names the tensor."""
    if datatype == BYTES:
        return _texts(raw, count, where)
    dtype = DTYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        raise BadInput(f"{where} has {len(raw)} bytes; its shape and {datatype} need {count * dtype.itemsize}")
    values = np.frombuffer(raw, dtype)
    if datatype == "BF16":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(dtype.newbyteorder("="), copy=False)


def _texts(raw: memoryview, count: int, where: str) -> NDArray[Any]:
    texts: list[str] = []
    at = 0
    while at < len(raw):
        end = at + 4 + int.from_bytes(raw[at : at + 4], "little")
        if end > len(raw) or at + 4 > len(raw):
            raise BadInput(f"{where} ends inside element {len(texts)}, after {len(raw)} bytes")
        try:
            texts.append(str(raw[at + 4 : end], "utf-8"))
        except UnicodeDecodeError as error:
            raise BadInput(f"{where}, element {len(texts)}: the bytes are not UTF-8 text ({error.reason})") from error
        at = end
    if len(texts) != count:
        raise BadInput(f"{where} has {len(texts)} elements; its shape needs {count}")
    return np.array(texts, object)


def bfloat16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The bits of each number as a bfloat16: to the nearest, of two as near to the even one."""
    bits = np.ascontiguousarray(values).view(np.uint32)
    nearest = bits + ((bits >> 16) & 1) + 0x7FFF
    return (np.where(np.isnan(values), bits | 0x400000, nearest) >> 16).astype(np.uint16)


def pack(values: NDArray[Any]) -> bytes:
    """Raw bytes of an array of numbers, bools or str."""
    if values.dtype != object:
        return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    encoded = [text.encode() for text in values.reshape(-1)]
    return b"".join(part for text in encoded for part in (len(text).to_bytes(4, "little"), text))
