"""Rows as whole requests, head and all, the way a client of each protocol sends them.

`json` and `binary` are the Open Inference Protocol over HTTP, `grpc` the same over gRPC, `arrow` and `rows` are what
/predict takes. Each gets as many different requests as there are rows to fill them, up to DIFFERENT_MAX.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote

from payoff.codecs import proto
from payoff.errors import BadInput

DIFFERENT_MAX = 64
DATATYPES = {"bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "uint8": "UINT8",
             "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "float32": "FP32",
             "float64": "FP64"}  # fmt: skip
JSON_TYPE, BINARY_TYPE, ARROW_TYPE = (
    "application/json", "application/octet-stream", "application/vnd.apache.arrow.stream",
)  # fmt: skip
Record = Mapping[str, Any]
Fields = Sequence[Mapping[str, Any]]  # the inputs of a signature as the API tells them: name, type, shape, nullable


def requests(
    protocol: str, endpoint: str, fields: Fields, records: Sequence[Record], rows: int, host: str, key: str | None
) -> list[bytes]:
    """Different requests of `rows` rows each, taken in turn from the records. BadInput if a row does not fit."""
    make, name = HTTP[protocol], quote(endpoint, safe="")
    return [_whole(*make(name, fields, piece), host, key) for piece in _pieces(records, rows)]


def messages(endpoint: str, fields: Fields, records: Sequence[Record], rows: int) -> list[bytes]:
    """The same for gRPC: messages with their length first."""
    made = []
    for piece in _pieces(records, rows):
        said = {"model_name": endpoint, "inputs": [_head(field, rows) for field in fields],
                "raw_input_contents": [raw(field, piece) for field in fields]}  # fmt: skip
        message = proto.fill(proto.message("inference.ModelInferRequest")(), said).SerializeToString()
        made.append(b"\0" + len(message).to_bytes(4, "big") + message)
    return made


def _pieces(records: Sequence[Record], rows: int) -> list[list[Record]]:
    """Rows for each of the different requests."""
    said = [_plain(record) for record in records]
    count = min(DIFFERENT_MAX, max(1, len(said)))
    return [[said[(start * rows + row) % len(said)] for row in range(rows)] for start in range(count)]


def _plain(record: Record) -> Record:
    """Dates and moments, as files have them, as text."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in record.items()}


def check(protocol: str) -> None:
    """BadInput if nothing speaks this protocol."""
    if protocol not in PROTOCOLS:
        raise BadInput(f"{protocol[:40]!r} is no protocol to load with; there are: {', '.join(PROTOCOLS)}")


def _json(name: str, fields: Fields, piece: Sequence[Record]) -> tuple[str, dict[str, str], bytes]:
    inputs = [{**_head(field, len(piece)), "data": _flat(field, piece)} for field in fields]
    return f"/v2/models/{name}/infer", {"content-type": JSON_TYPE}, json.dumps({"inputs": inputs}).encode()


def _binary(name: str, fields: Fields, piece: Sequence[Record]) -> tuple[str, dict[str, str], bytes]:
    raws = [raw(field, piece) for field in fields]
    inputs = [{**_head(field, len(piece)), "parameters": {"binary_data_size": len(one)}}
              for field, one in zip(fields, raws, strict=True)]  # fmt: skip
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    sizes = {"content-type": BINARY_TYPE, "inference-header-content-length": str(len(head))}
    return f"/v2/models/{name}/infer", sizes, head + b"".join(raws)


def _rows(name: str, fields: Fields, piece: Sequence[Record]) -> tuple[str, dict[str, str], bytes]:
    return f"/predict/{name}", {"content-type": JSON_TYPE}, json.dumps(list(piece)).encode()


def _arrow(name: str, fields: Fields, piece: Sequence[Record]) -> tuple[str, dict[str, str], bytes]:
    import pyarrow as pa

    from payoff.client import frames

    table = pa.Table.from_pylist([dict(record) for record in piece])
    return f"/predict/{name}", {"content-type": ARROW_TYPE, "accept": ARROW_TYPE}, frames.stream(table)


HTTP: dict[str, Callable[[str, Fields, Sequence[Record]], tuple[str, dict[str, str], bytes]]] = {
    "json": _json, "binary": _binary, "arrow": _arrow, "rows": _rows,
}  # fmt: skip
GRPC = "grpc"
PROTOCOLS = (*HTTP, GRPC)


def _whole(path: str, headers: Mapping[str, str], body: bytes, host: str, key: str | None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"authorization: Bearer {key}"] if key else []
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def _head(field: Mapping[str, Any], rows: int) -> dict[str, Any]:
    datatype = DATATYPES.get(field["type"], "BYTES")
    return {"name": field["name"], "shape": [rows, *field["shape"]], "datatype": datatype}


def _flat(field: Mapping[str, Any], piece: Sequence[Record]) -> list[Any]:
    """The values of one column, row after row."""
    values: list[Any] = [_value(field, record) for record in piece]
    for _ in field["shape"]:
        values = [one for value in values for one in value]
    return values


def _value(field: Mapping[str, Any], record: Record) -> Any:
    value = record.get(field["name"])
    if value is None and field["shape"]:
        raise BadInput(f"a row has no {field['name']!r}; give rows with --file, or load with --protocol rows")
    return value


def raw(field: Mapping[str, Any], piece: Sequence[Record]) -> bytes:
    """One column as the binary tensor extension has it: numbers as they lie in memory, texts with their lengths."""
    import numpy as np

    values = _flat(field, piece)
    if any(value is None for value in values):
        raise BadInput(f"{field['name']!r} is null in a row, and binary data has no nulls; use --protocol json or rows")
    if field["type"] in DATATYPES:
        return np.asarray(values, field["type"]).tobytes()
    texts = [str(value).encode() for value in values]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
