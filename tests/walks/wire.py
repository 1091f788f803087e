"""The inference door as a stranger on the network meets it: raw bytes in, answers out with every byte accounted for."""

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import HealthCheck, settings
from onnx import TensorProto, helper, numpy_helper

from payoff.records import Arm, Field, Policy, Revision, Role, Served, Signature, Type
from payoff.store import live
from payoff.store.blobs import Blobs
from tests.gateway.test_worker import worker
from tests.shared import until

ECHO = Signature(
    (Field("id", Type.INT64), Field("x", Type.FLOAT64), Field("word", Type.TEXT)),
    (
        Field("same_id", Type.INT64),
        Field("by", Type.INT64),
        Field("same_x", Type.FLOAT64),
        Field("same_word", Type.TEXT),
    ),
)

LIVE = b'{"live":true}'
SAME = settings(  # the same cases every time, on a machine of any speed
    derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


FRAIL = 10_000


def echo(version: int) -> bytes:
    """An ONNX model that gives back its row, and in `by` its version; it fails if an id is one below a FRAIL-th."""
    kinds = {"id": TensorProto.INT64, "x": TensorProto.DOUBLE, "word": TensorProto.STRING}
    given = [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in kinds.items()]
    back = [helper.make_tensor_value_info(f"same_{name}", kind, [None, 1]) for name, kind in kinds.items()]
    back.insert(1, helper.make_tensor_value_info("by", TensorProto.INT64, [None, 1]))
    constants = {"span": FRAIL, "last": FRAIL - 1, "versions": version}
    nodes = [helper.make_node("Identity", [name], [f"same_{name}"]) for name in kinds]
    nodes += [
        helper.make_node("Mod", ["id", "span"], ["rest"]),
        helper.make_node("Equal", ["rest", "last"], ["frail"]),
        helper.make_node("Cast", ["frail"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["versions", "place"], ["by"]),  # there is one version: no place 1
    ]
    graph = helper.make_graph(
        nodes, "echo", given, back, [numpy_helper.from_array(_whole(value), name) for name, value in constants.items()]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def plain(version: int) -> bytes:
    """The same with one input only, three numbers `v` of which the first is the id."""
    given = [helper.make_tensor_value_info("v", TensorProto.DOUBLE, [None, 3])]
    back = [
        helper.make_tensor_value_info("by", TensorProto.INT64, [None, 1]),
        helper.make_tensor_value_info("same_v", TensorProto.DOUBLE, [None, 3]),
    ]
    constants = {"span": FRAIL, "last": FRAIL - 1, "versions": version, "first": 0}
    nodes = [
        helper.make_node("Identity", ["v"], ["same_v"]),
        helper.make_node("Gather", ["v", "first"], ["number"], axis=1),
        helper.make_node("Cast", ["number"], ["id"], to=TensorProto.INT64),
        helper.make_node("Mod", ["id", "span"], ["rest"]),
        helper.make_node("Equal", ["rest", "last"], ["frail"]),
        helper.make_node("Cast", ["frail"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["versions", "place"], ["by"]),
    ]
    graph = helper.make_graph(
        nodes, "plain", given, back, [numpy_helper.from_array(_whole(value), name) for name, value in constants.items()]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def _whole(value: int) -> Any:
    return np.array([value], np.int64)


def publish(home: Path, name: str, number: int, version: int) -> None:
    """Revision `number` of an endpoint called so, answered by the echo model of that version."""
    served = Served("onnx", Blobs(home / "artifacts").put(echo(version)), ECHO)
    arm = Arm(f"echo-{version}", Role.CHAMPION, "echo", version, served, 0, Role.CHAMPION)
    live.publish(home, Revision(name, number, 0, "me", "", (arm,), Policy()))


def row(number: int) -> dict[str, Any]:
    """A row that no other number has."""
    return {"id": number, "x": number + 0.25, "word": f"w{number}"}


@dataclass(frozen=True, slots=True)
class Said:
    """One answer of the door."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ends(self) -> bool:
        """Whether the door said that it ends the connection."""
        return self.headers.get("connection") == "close"


@dataclass(frozen=True, slots=True)
class Door:
    """One worker's door."""

    home: Path
    port: int
    lines: tuple[str, ...] = ()  # that let a caller in

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        (status,) = live.statuses(self.home)
        return status.pid

    @property
    def memory_mb(self) -> float:
        """What the worker holds in memory of its own."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no process has no memory")

    @property
    def cpu_s(self) -> float:
        """How long the worker has computed."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def line(self, **how: Any) -> "Line":
        return Line(self.port, **how)

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """The head of a request, with the right Host."""
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {self.host}", *lines, "", ""]).encode("latin-1")

    def call(self, body: bytes, *lines: str, path: str = "/predict/echo") -> bytes:
        """A whole POST."""
        return self.head("POST", path, f"Content-Length: {len(body)}", *lines) + body

    def say(self, *pieces: bytes, pause_s: float = 0.0, methods: Sequence[str] = ()) -> list[Said]:
        """Send these bytes on a connection of their own, with a last request that ends it; all answers but the last's.

        There is one fewer where the door ended the connection before.
        """
        with self.line() as line:
            for piece in pieces:
                line.send(piece)
                time.sleep(pause_s)
            line.send(self.head("GET", "/v2/health/live", "Connection: close", *self.lines))
            said = parse(line.rest(), methods)
        return said[:-1] if said and said[-1].body == LIVE else said

    def still_answers(self) -> None:
        """The next caller is answered, and right."""
        with self.line() as line:
            (said,) = line.ask(self.call(json.dumps(row(7)).encode(), *self.lines))
        assert said.status == 200, said
        assert said.json["predictions"][0]["same_word"] == "w7"


class Line:
    """A client's connection."""

    def __init__(self, port: int, patience_s: float = 120.0, receive_bytes: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(patience_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(("127.0.0.1", port))
        self.heard = b""

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, sent: bytes) -> None:
        """All of it, or as much as the door takes before it ends the connection."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(sent)

    def no_more(self) -> None:
        """Nothing more will be sent; what is asked for may still be answered."""
        with suppress(OSError):  # the door has gone already
            self.socket.shutdown(socket.SHUT_WR)

    def rest(self) -> bytes:
        """Everything until the door ends the connection."""
        with suppress(ConnectionResetError):
            while part := self.socket.recv(1 << 20):
                self.heard += part
        heard, self.heard = self.heard, b""
        return heard

    def ask(self, sent: bytes, answers: int = 1, methods: Sequence[str] = ()) -> list[Said]:
        """Send, and read as many answers."""
        self.send(sent)
        return self.hear(answers, methods)

    def hear(self, answers: int = 1, methods: Sequence[str] = ()) -> list[Said]:
        found: list[Said] = []
        while len(found) < answers:
            method = methods[len(found)] if len(found) < len(methods) else "POST"
            whole = _take(self.heard, method)
            if whole is not None:
                said, self.heard = whole
                found.append(said)
                continue
            part = self.socket.recv(1 << 20)
            if not part:
                raise ConnectionError(f"the door ended the connection after {len(found)} answers of {answers}")
            self.heard += part
        return found

    def reset(self) -> None:
        """Go away rudely: the door hears a reset, not an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


def parse(heard: bytes, methods: Sequence[str] = ()) -> list[Said]:
    """All answers in these bytes; nothing may be left over."""
    found: list[Said] = []
    while heard:
        whole = _take(heard, methods[len(found)] if len(found) < len(methods) else "POST")
        assert whole is not None, f"half an answer: {heard[:300]!r}"
        said, heard = whole
        found.append(said)
    return found


def _take(heard: bytes, method: str) -> tuple[Said, bytes] | None:
    """The first answer in these bytes and what follows it, or None if it is not whole yet."""
    head, end, rest = heard.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        assert name.lower() not in headers, f"{name} came twice"
        headers[name.lower()] = value
    if status == "100":
        assert not headers
        return Said(100, headers, b""), rest
    if "transfer-encoding" in headers:
        return _chunks(Said(int(status), headers, b""), rest)
    size = 0 if method == "HEAD" else int(headers["content-length"])
    if len(rest) < size:
        return None
    return Said(int(status), headers, rest[:size]), rest[size:]


def _chunks(said: Said, heard: bytes) -> tuple[Said, bytes] | None:
    """The answer with its chunked body, and what follows it."""
    assert said.headers["transfer-encoding"] == "chunked"
    body = bytearray()
    while True:
        line, end, rest = heard.partition(b"\r\n")
        if not end or len(rest) < (size := int(line, 16)) + 2:
            return None
        assert rest[size : size + 2] == b"\r\n"
        body += rest[:size]
        heard = rest[size + 2 :]
        if not size:
            return Said(said.status, said.headers, bytes(body)), heard


def refused(said: Said, *statuses: int) -> None:
    """A clear refusal: one of these statuses, and one sentence that shows nothing of the inside."""
    assert said.status in statuses, said
    sentence = said.json["error"]
    assert isinstance(sentence, str)
    assert 10 < len(sentence) < 500
    for inside in ("Traceback", "payoff failed", "Error:", "b'", "0x"):
        assert inside not in sentence, sentence


@contextmanager
def door(home: Path, key: str | None = None, *flags: str) -> Iterator[Door]:
    """A worker that serves the endpoints `echo` (version 1) and `other` (version 2)."""
    publish(home, "echo", 1, 1)
    publish(home, "other", 1, 2)
    with worker(home, key, *flags) as url:
        found = Door(home, int(url.rpartition(":")[2]), (f"Authorization: Bearer {key}",) if key else ())
        until(
            lambda: any(set(status.serving) == {"echo", "other"} for status in live.statuses(home)),
            "the worker serves",
        )
        before = found.pid
        yield found
        assert found.pid == before, "the worker died"
        os.kill(before, 0)
