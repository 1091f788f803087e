"""A sketch, not a server: asyncio, httptools and orjson, without journal, limits, routing or errors.

It shows what one Python process can reach over HTTP. Never put it before anybody.
"""

import asyncio
import sys
from typing import ClassVar

import httptools
import models
import numpy as np
import orjson
import uvloop
from turns import Turns


def as_json(name, found):
    """A whole response."""
    body = orjson.dumps(models.write(name, found))
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def as_binary(name, found):
    """A whole response with the binary tensor extension."""
    raw = found.tobytes()
    tensor = {"name": models.OUTPUTS[name], "datatype": models.DATATYPES[name], "shape": list(found.shape),
              "parameters": {"binary_data_size": len(raw)}}  # fmt: skip
    head = orjson.dumps({"model_name": name, "model_version": "1", "outputs": [tensor]})
    start = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ninference-header-content-length: "
    return start + b"%d\r\ncontent-length: %d\r\n\r\n%b%b" % (len(head), len(head) + len(raw), head, raw)


class Connection(asyncio.Protocol):
    turns: ClassVar = {}

    def connection_made(self, transport):
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_begin(self):
        self.path, self.chunks, self.head_bytes = b"", [], 0

    def on_url(self, url):
        self.path = url

    def on_header(self, name, value):
        if len(name) == 31 and name.lower() == b"inference-header-content-length":
            self.head_bytes = int(value)

    def on_body(self, chunk):
        self.chunks.append(chunk)

    def on_message_complete(self):
        body = b"".join(self.chunks)
        if self.head_bytes:
            shape = orjson.loads(body[: self.head_bytes])["inputs"][0]["shape"]
            rows = np.frombuffer(body, np.float32, offset=self.head_bytes).reshape(shape)
        else:
            rows = models.read(orjson.loads(body))
        self.turns[self.path].ask((self.transport, as_binary if self.head_bytes else as_json), rows)


def served(name):
    """The model at its path."""

    def answer(caller, found):
        transport, render = caller
        if not transport.is_closing():
            transport.write(render(name, found))

    return f"/v2/models/{name}/infer".encode(), Turns(name, answer)


async def main(port):
    Connection.turns = dict(map(served, models.NAMES))
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", int(port))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
