"""A small server that speaks the Open Inference Protocol, written after its text alone and with none of payoff's code.

It sums numbers, tells a text's length, and can be told to misbehave.
"""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.status_codes import HTTP_200_OK

FORMATS = {"FP64": "d", "FP32": "f", "INT64": "q", "INT32": "i", "BOOL": "?"}


@dataclass
class Peer:
    """What the server does, and what it was asked."""

    binary: bool = True
    metadata: bool = True
    token: str | None = None
    holds: bool = False  # answers nobody for as long as this is so
    answer: dict[str, Any] | bytes | None = None  # instead of the sums
    status: int = 200
    shape: tuple[int, ...] = (-1,)  # of each input
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)  # each request as it came, and whether it was binary
    connections: set[Any] = field(default_factory=set)


def texts(raw: bytes) -> list[str]:
    found, at = [], 0
    while at < len(raw):
        (size,) = struct.unpack_from("<I", raw, at)
        found.append(raw[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


def read(body: bytes, head: str | None) -> dict[str, Any]:
    """The request, every tensor with its data as a flat list."""
    asked: dict[str, Any] = json.loads(body[: int(head)] if head else body)
    at = int(head) if head else 0
    for tensor in asked["inputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is not None:
            raw = body[at : at + size]
            at += size
            code = FORMATS.get(tensor["datatype"])
            tensor["data"] = texts(raw) if code is None else [one for (one,) in struct.iter_unpack(f"<{code}", raw)]
    asked["binary"] = head is not None
    return asked


def sums(asked: dict[str, Any]) -> dict[str, list[Any]]:
    rows = asked["inputs"][0]["shape"][0]
    total, words = [0.0] * rows, [""] * rows
    for tensor in asked["inputs"]:
        wide = len(tensor["data"]) // rows if rows else 0
        for row in range(rows):
            for one in tensor["data"][row * wide : (row + 1) * wide]:
                if isinstance(one, str):
                    words[row] += one
                else:
                    total[row] += float("nan") if one is None else one
    return {"total": total, "words": words}


def written(peer: Peer, asked: dict[str, Any]) -> Response[bytes]:
    found = sums(asked)
    wanted = [one["name"] for one in asked.get("outputs") or []] or list(found)
    raw = asked["binary"] and peer.binary
    outputs: list[dict[str, Any]] = []
    tail = b""
    for name in wanted:
        values = found[name]
        kind = "BYTES" if name == "words" else "FP64"
        tensor: dict[str, Any] = {"name": name, "datatype": kind, "shape": [len(values), 1]}
        if raw:
            packed = (
                b"".join(struct.pack("<I", len(one.encode())) + one.encode() for one in values)
                if kind == "BYTES"
                else struct.pack(f"<{len(values)}d", *values)
            )
            tensor["parameters"] = {"binary_data_size": len(packed)}
            tail += packed
        else:
            tensor["data"] = values
        outputs.append(tensor)
    text = json.dumps({"model_name": "sums", "outputs": outputs}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))} if raw else {}
    return Response(text + tail, headers=headers, media_type="application/octet-stream" if raw else "application/json")


def app(peer: Peer) -> Litestar:
    def refused(request: Request[Any, Any, Any]) -> Response[Any] | None:
        peer.connections.add(request.client.port if request.client else None)
        if peer.token is not None and request.headers.get("authorization") != f"Bearer {peer.token}":
            return Response({"error": "who are you"}, status_code=401)
        return None

    @get("/v2")
    async def server(request: Request[Any, Any, Any]) -> Response[Any]:
        extensions = ["binary_tensor_data"] if peer.binary else []
        return refused(request) or Response({"name": "peer", "version": "7", "extensions": extensions})

    @get(["/v2/models/sums", "/v2/models/sums/versions/1"])
    async def model(request: Request[Any, Any, Any]) -> Response[Any]:
        if not peer.metadata:
            return Response({"error": "no metadata here"}, status_code=404)
        inputs = [
            {"name": n, "datatype": k, "shape": peer.shape} for n, k in (("a", "FP64"), ("b", "INT64"), ("c", "BYTES"))
        ]
        outputs = [{"name": n, "datatype": k, "shape": [-1, 1]} for n, k in (("total", "FP64"), ("words", "BYTES"))]
        return refused(request) or Response({"name": "sums", "versions": ["1"], "inputs": inputs, "outputs": outputs})

    @post(["/v2/models/sums/infer", "/v2/models/sums/versions/1/infer"], status_code=HTTP_200_OK)
    async def infer(request: Request[Any, Any, Any]) -> Response[Any]:
        refusal = refused(request)
        if refusal is not None:
            return refusal
        asked = read(await request.body(), request.headers.get("inference-header-content-length"))
        peer.asked.append(asked)
        while peer.holds:
            await asyncio.sleep(0.01)
        if peer.status != 200:
            return Response({"error": "not today"}, status_code=peer.status)
        if peer.answer is not None:
            body = peer.answer if isinstance(peer.answer, bytes) else json.dumps(peer.answer).encode()
            return Response(body, media_type="application/json")
        return written(peer, asked)

    return Litestar([server, model, infer])


@contextmanager
def serving(peer: Peer) -> Iterator[Peer]:
    """The server on a free loopback port, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    peer.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(app(peer), log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        peer.holds = False
        server.should_exit = True
        thread.join(60)
        listener.close()
