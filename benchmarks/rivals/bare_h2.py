"""A sketch, not a server: unary gRPC over HTTP/2 by hand on asyncio, with hpack for the headers.

No flow control towards the client, no CONTINUATION, no errors, no journal. It shows what one Python process can reach.
A header block that changed nothing in the decoder's table is remembered, and not decoded again until the table changes.
"""

import asyncio
import struct
import sys
from typing import ClassVar

import hpack
import models
import numpy as np
import uvloop
from tritonclient.grpc import service_pb2
from turns import Turns

PREFACE_BYTES = 24
DATA, HEADERS, RESET, SETTINGS, PING, WINDOW = 0, 1, 3, 4, 6, 8
END_STREAM, PRIORITY = 1, 0x20
WINDOW_MAX = (1 << 31) - 1
GRANT_BYTES = 1 << 24


def frame(kind, flags, stream, content):
    return struct.pack(">IBI", len(content) << 8 | kind, flags, stream) + content


def plain(name, value):
    """A header field that enters no table."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


OK = b"\x88" + plain(b"content-type", b"application/grpc")
END = plain(b"grpc-status", b"0")
HELLO = frame(SETTINGS, 0, 0, struct.pack(">HIHI", 4, WINDOW_MAX, 3, 1_000))
HELLO += frame(WINDOW, 0, 0, struct.pack(">I", WINDOW_MAX - 65_535))


def served(name):
    """The model by its name."""

    def answer(caller, found):
        transport, stream = caller
        reply = service_pb2.ModelInferResponse(model_name=name, model_version="1")
        output = reply.outputs.add(name=models.OUTPUTS[name], datatype=models.DATATYPES[name])
        output.shape.extend(found.shape)
        reply.raw_output_contents.append(found.tobytes())
        message = reply.SerializeToString()
        data = frame(DATA, 0, stream, struct.pack(">BI", 0, len(message)) + message)
        if not transport.is_closing():
            transport.write(frame(HEADERS, 4, stream, OK) + data + frame(HEADERS, 5, stream, END))

    return name, Turns(name, answer)


class Connection(asyncio.Protocol):
    turns: ClassVar = {}

    def connection_made(self, transport):
        self.transport, self.rest, self.decoder = transport, b"", hpack.Decoder()
        self.known, self.bodies, self.taken, self.greeted = set(), {}, 0, False
        transport.write(HELLO)

    def data_received(self, data):
        data, at = self.rest + data, 0
        if not self.greeted:
            if len(data) < PREFACE_BYTES:
                self.rest = data
                return
            at, self.greeted = PREFACE_BYTES, True
        while len(data) - at >= 9:
            end = at + 9 + int.from_bytes(data[at : at + 3], "big")
            if end > len(data):
                break
            stream = int.from_bytes(data[at + 5 : at + 9], "big")
            self.take(data[at + 3], data[at + 4], stream, data[at + 9 : end])
            at = end
        self.rest = data[at:]

    def take(self, kind, flags, stream, content):
        if kind == DATA:
            self.body(flags, stream, content)
        elif kind == HEADERS:
            self.head(content[5:] if flags & PRIORITY else content)
            self.bodies[stream] = b""
        elif kind in (SETTINGS, PING) and not flags & 1:
            self.transport.write(frame(kind, 1, 0, content if kind == PING else b""))
        elif kind == RESET:
            self.bodies.pop(stream, None)

    def body(self, flags, stream, content):
        self.taken += len(content)
        if self.taken > GRANT_BYTES:
            self.transport.write(frame(WINDOW, 0, 0, struct.pack(">I", self.taken)))
            self.taken = 0
        self.bodies[stream] += content
        if flags & END_STREAM:
            asked = service_pb2.ModelInferRequest.FromString(self.bodies.pop(stream)[5:])
            rows = np.frombuffer(asked.raw_input_contents[0], np.float32).reshape(tuple(asked.inputs[0].shape))
            self.turns[asked.model_name].ask((self.transport, stream), rows)

    def head(self, block):
        if block in self.known:
            return
        before = self.table()
        self.decoder.decode(block)
        if self.table() == before:
            self.known.add(block)
        else:
            self.known.clear()

    def table(self):
        entries = self.decoder.header_table.dynamic_entries
        return len(entries), entries[0] if entries else None


async def main(port):
    Connection.turns = dict(map(served, models.NAMES))
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", int(port))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
