"""Callers of every protocol whose rows nobody else has, so that an answer which is another's, or is lost, shows.

The model (`wire.echo`) gives back what it is asked, and says which version it is; a row whose number ends in 9999 makes
it fail. So each answer says whose it is: it is checked against its own request, and its ids against the journal.
"""

import csv
import io
import json
import math
import random
import threading
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from tests.walks.wire import FRAIL, Line, Said, row

SPAN = 10**12  # numbers of one caller
Answers = list[dict[str, Any]]  # one per row: prediction_id, the outputs, arm, version, why


@dataclass(frozen=True, slots=True)
class Way:
    """How rows go over HTTP and come back."""

    path: str
    content_type: str
    write: Callable[[Sequence[dict[str, Any]]], tuple[bytes, list[str]]]  # a body, and more header lines
    read: Callable[[Said], Answers]
    pieces: bool = False  # the body is sent in chunks

    def sent(self, host: str, numbers: Sequence[int]) -> bytes:
        """The request, whole."""
        body, more = self.write([row(number) for number in numbers])
        lines = [f"POST {self.path} HTTP/1.1", f"Host: {host}", f"Content-Type: {self.content_type}", *more]
        if not self.pieces:
            return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body
        head = "\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode()
        cut = len(body) // 3 + 1
        chunks = [body[place : place + cut] for place in range(0, len(body), cut)]
        return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _lines(columns: dict[str, list[Any]]) -> Answers:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _csv(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    text = "".join(f"{one['id']},{one['x']!r},{one['word']}\n" for one in rows)
    return b"id,x,word\n" + text.encode(), []


def _read_csv(said: Said) -> Answers:
    read = list(csv.DictReader(io.StringIO(said.body.decode())))
    whole, number = ("same_id", "by", "version"), ("same_x",)
    kinds: dict[str, Callable[[str], Any]] = dict.fromkeys(whole, int) | dict.fromkeys(number, float)
    return [{name: kinds.get(name, str)(text) if text else None for name, text in one.items()} for one in read]


def _arrow(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    sink = io.BytesIO()
    table = pa.table(_columns(rows))
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue(), []


def _parquet(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    sink = io.BytesIO()
    pq.write_table(pa.table(_columns(rows)), sink)
    return sink.getvalue(), []


def _inputs(rows: Sequence[dict[str, Any]], of: Any) -> list[Any]:
    kinds = {"id": ("INT64", np.int64), "x": ("FP64", np.float64), "word": ("BYTES", np.object_)}
    found = []
    for name, (kind, dtype) in kinds.items():
        found.append(of(name, [len(rows), 1], kind))
        values = [one[name].encode() if kind == "BYTES" else one[name] for one in rows]
        found[-1].set_data_from_numpy(np.array(values, dtype).reshape(-1, 1))
    return found


def _binary(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    wanted = ("prediction_id", "same_id", "by", "same_x", "same_word", "arm", "version", "why")
    outputs = [triton_http.InferRequestedOutput(name) for name in wanted]
    body, size = triton_http.InferenceServerClient.generate_request_body(
        _inputs(rows, triton_http.InferInput), outputs=outputs
    )
    return bytes(body), [f"Inference-Header-Content-Length: {size}"]


def _tensors(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    kinds = {"id": "INT64", "x": "FP64", "word": "BYTES"}
    columns = _columns(rows)
    inputs = [{"name": n, "datatype": k, "shape": [len(rows), 1], "data": columns[n]} for n, k in kinds.items()]
    return json.dumps({"inputs": inputs}).encode(), []


def _read_tensors(said: Said) -> Answers:
    found = {one["name"]: _by_row(one["data"], one["shape"]) for one in said.json["outputs"]}
    same = {name: value for name, value in said.json["parameters"].items() if name in ("arm", "version", "why")}
    count = len(found["prediction_id"])
    return _lines(found | {name: [value] * count for name, value in same.items()})


def _by_row(values: list[Any], shape: list[int]) -> list[Any]:
    """A flat list as one value or one list for each row."""
    width = shape[1] if len(shape) > 1 else 1
    return [values[place : place + width] for place in range(0, len(values), width)] if width > 1 else values


def _read_binary(said: Said) -> Answers:
    size = int(said.headers["inference-header-content-length"])
    return _of_triton(triton_http.InferResult.from_response_body(said.body, header_length=size))


def _of_triton(result: Any) -> Answers:
    """Columns of either Triton client; what a parameter says for all rows is said for each."""
    said = result.get_response()
    if isinstance(said, dict):  # what is null, where the fallback answered, the client itself cannot read
        found = {
            one["name"]: _by_row(one["data"], one["shape"]) if "data" in one else result.as_numpy(one["name"]).tolist()
            for one in said["outputs"]
        }
    else:
        found = {one.name: result.as_numpy(one.name).reshape(-1).tolist() for one in said.outputs}
    columns = {name: [v.decode() if isinstance(v, bytes) else v for v in values] for name, values in found.items()}
    same = said.get("parameters", {}) if isinstance(said, dict) else _parameters(said.parameters)
    count = len(columns["prediction_id"])
    return _lines(columns | {name: [same[name]] * count for name in ("arm", "version", "why") if name in same})


def _parameters(said: Any) -> dict[str, Any]:
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in said.items()}


def _vectors(rows: Sequence[dict[str, Any]]) -> list[list[float]]:
    """The rows for the model that takes three numbers: no text, and still nobody else's."""
    return [[float(one["id"]), one["x"], -float(one["word"][1:])] for one in rows]


def _plain(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    data = [number for vector in _vectors(rows) for number in vector]
    tensor = {"name": "v", "datatype": "FP64", "shape": [len(rows), 3], "data": data}
    return json.dumps({"inputs": [tensor]}).encode(), []


def _plain_binary(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    asked = triton_http.InferInput("v", [len(rows), 3], "FP64")
    asked.set_data_from_numpy(np.array(_vectors(rows)))
    outputs = [triton_http.InferRequestedOutput(name) for name in ("prediction_id", "by", "same_v")]
    outputs += [triton_http.InferRequestedOutput(name) for name in ("arm", "version", "why")]
    body, size = triton_http.InferenceServerClient.generate_request_body([asked], outputs=outputs)
    return bytes(body), [f"Inference-Header-Content-Length: {size}"]


def _plain_rows(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    return json.dumps([{"v": vector} for vector in _vectors(rows)]).encode(), []


def _unvectored(read: Callable[[Said], Answers]) -> Callable[[Said], Answers]:
    """The same answers, with the three numbers told as the others tell them."""
    return lambda said: [one | _spelt(one.pop("same_v")) for one in read(said)]


def _spelt(vector: list[float] | None) -> dict[str, Any]:
    if vector is None or vector[0] is None or math.isnan(vector[0]):
        return {}
    return {"same_id": int(vector[0]), "same_x": vector[1], "same_word": f"w{-vector[2]:.0f}"}


def _json(shape: Callable[[Sequence[dict[str, Any]]], Any]) -> Callable[..., tuple[bytes, list[str]]]:
    return lambda rows: (json.dumps(shape(rows)).encode(), [])


def _ndjson(rows: Sequence[dict[str, Any]]) -> tuple[bytes, list[str]]:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows), []


def _table(table: pa.Table) -> Answers:
    return list(table.to_pylist())


PLAIN = "/v2/models/plain/infer"
ROWS, INFER, JSON = "/predict/echo", "/v2/models/echo/infer", "application/json"
STREAM, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
WAYS = {
    "records": Way(ROWS, JSON, _json(list), lambda said: list(said.json["predictions"])),
    "columns": Way(ROWS, JSON, _json(lambda rows: {"columns": _columns(rows)}), lambda s: _lines(s.json["columns"])),
    "chunked": Way(ROWS, JSON, _json(list), lambda said: list(said.json["predictions"]), pieces=True),
    "tensors": Way(INFER, JSON, _tensors, _read_tensors),
    "binary": Way(INFER, "application/octet-stream", _binary, _read_binary),
    "lines": Way(ROWS, "application/x-ndjson", _ndjson, lambda s: [json.loads(one) for one in s.body.splitlines()]),
    "lines in pieces": Way(
        ROWS, "application/x-ndjson", _ndjson, lambda s: [json.loads(one) for one in s.body.splitlines()], pieces=True
    ),
    "csv": Way(ROWS, "text/csv", _csv, _read_csv),
    "arrow": Way(ROWS, STREAM, _arrow, lambda said: _table(pa.ipc.open_stream(said.body).read_all())),
    "plain tensors": Way(PLAIN, JSON, _plain, _unvectored(_read_tensors)),
    "plain binary": Way(PLAIN, "application/octet-stream", _plain_binary, _unvectored(_read_binary)),
    "plain records": Way("/predict/plain", JSON, _plain_rows, _unvectored(lambda s: list(s.json["predictions"]))),
    "parquet": Way(ROWS, PARQUET, _parquet, lambda said: _table(pq.read_table(io.BytesIO(said.body)))),
}


@dataclass(slots=True)
class Stage:
    """Where the callers are, and what they may meet."""

    http: str  # HOST:PORT
    grpc: str = ""
    deaths: int = 0  # how many workers were killed; each may cost a caller one connection
    killed: bool = False  # whether the model may be, so that the fallback answers
    over: threading.Event = field(default_factory=threading.Event)


class Caller(threading.Thread):
    """Asks without pause, in one way, on one connection; several calls at a time, of one row or of several."""

    def __init__(self, index: int, stage: Stage, way: str) -> None:
        super().__init__(name=f"{way} {index}")
        self.stage, self.way = stage, way
        self.chance = random.Random(index)
        self.next = (index + 1) * SPAN
        self.ids: list[str] = []
        self.numbers = array("q")
        self.lost: set[int] = set()  # asked, and never heard of: the connection broke
        self.wrong: list[str] = []
        self.calls = self.breaks = 0
        self.arms: Counter[str] = Counter()

    def run(self) -> None:
        while not self.stage.over.is_set() and len(self.wrong) < 10:
            try:
                self.converse()
            except (OSError, triton_grpc.InferenceServerException) as error:
                self.note_break(error)

    def converse(self) -> None:
        """On one connection until it breaks."""
        way, port = WAYS[self.way], int(self.stage.http.rpartition(":")[2])
        with Line(port, patience_s=120) as line:
            while not self.stage.over.is_set():
                asked = [self.draw() for _ in range(self.chance.choice((1, 1, 2, 8, 20)))]
                self.lost.update(number for numbers in asked for number in numbers)
                line.send(b"".join(way.sent(self.stage.http, numbers) for numbers in asked))
                for numbers in asked:
                    (said,) = line.hear()
                    self.hear(numbers, way.read(said) if said.status == 200 else said)

    def draw(self) -> list[int]:
        """The rows of the next call."""
        count = self.chance.choice((1, 1, 1, 2, 3, 17, 250))
        numbers = list(range(self.next, self.next + count))
        self.next += count
        return numbers

    def hear(self, numbers: list[int], said: Answers | Said) -> None:
        """One call's answer: every row its own."""
        self.lost.difference_update(numbers)
        self.calls += 1
        if isinstance(said, Said) or len(said) != len(numbers):
            self.wrong.append(f"{self.name}: {len(numbers)} rows were answered with {str(said)[:400]}")
            return
        frail = any(number % FRAIL == FRAIL - 1 for number in numbers)
        for number, one in zip(numbers, said, strict=True):
            self.ids.append(one["prediction_id"])
            self.numbers.append(number)
            self.arms[str(one["arm"])] += 1
            if not self.fits(number, one, frail):
                self.wrong.append(f"{self.name}: row {number} was answered with {one}")

    def fits(self, number: int, one: dict[str, Any], frail: bool) -> bool:
        """Whether this is the answer to that row."""
        if one["arm"] == "fallback":
            return frail if "failed" in one["why"] else self.stage.killed and "killed" in one["why"]
        own = row(number)
        said = {"id": one["same_id"], "x": one["same_x"], "word": one["same_word"]}
        return said == own and one["by"] == one["version"] and number % FRAIL != FRAIL - 1

    def note_break(self, error: Exception) -> None:
        """A connection may break once for each worker that was killed, and its calls are asked no more."""
        self.breaks += 1
        if self.breaks > self.stage.deaths:
            self.wrong.append(f"{self.name}: {type(error).__name__}: {error}")
        time.sleep(0.02)


class GrpcCaller(Caller):
    """The same over gRPC, one call at a time, with NVIDIA's client."""

    def converse(self) -> None:
        with triton_grpc.InferenceServerClient(self.stage.grpc) as client:
            while not self.stage.over.is_set():
                numbers = self.draw()
                self.lost.update(numbers)
                rows = [row(number) for number in numbers]
                result = client.infer("echo", _inputs(rows, triton_grpc.InferInput), client_timeout=120)
                self.hear(numbers, _of_triton(result))


def crowd(stage: Stage, each: int = 1) -> Iterator[Caller]:
    """So many callers of every way there is."""
    ways = [*WAYS, "records", "tensors", "binary", "plain tensors", "plain binary"] * each
    yield from (Caller(index, stage, way) for index, way in enumerate(ways))
    if stage.grpc:
        yield from (GrpcCaller(len(ways) + index, stage, "grpc") for index in range(2 * each))
