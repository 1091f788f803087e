"""One gRPC connection of the load: a unary call at a time, over HTTP/2 frames.

Only as much of HTTP/2 as a caller of `ModelInfer` needs; every answer's header blocks are decoded, for what a block
means depends on those before it.
"""

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

from payoff.gateway import h2_frames as h2
from payoff.gateway.h2_heads import Table

if TYPE_CHECKING:
    from payoff.bench.load import Load

PATH = "/inference.GRPCInferenceService/ModelInfer"
GRANT_BYTES = 1 << 22  # answers taken before we say so
STREAM_MAX = (1 << 31) - 1


class RpcCaller(asyncio.Protocol):
    """Asks, and hears the status of what was asked."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._headers = _headers(load.job)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._decoder.header_table = self._table = Table()
        self._known: dict[bytes, dict[str, str]] = {}  # blocks that mean the same until the table changes
        self._blocks: list[bytes] = []
        self._rest = self._owed = b""
        self._stream = -1
        self._window, self._first_window = h2.WINDOW_START, h2.WINDOW_START  # of the connection, of a stream at first
        self._stream_window = self._taken = 0
        self._said: dict[str, str] = {}
        self._block = b""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._greet()

    def _greet(self) -> None:
        """Answers may be as large as they like."""
        wide = h2.settings({h2.ENABLE_PUSH: 0, h2.FIRST_WINDOW: h2.WINDOW_END})
        self._transport.write(h2.PREFACE + wide + h2.grant(0, h2.WINDOW_END - h2.WINDOW_START))

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.drop(self)
        if not self.lost.done():
            self.lost.set_result(None)

    def ask(self, request: bytes) -> None:
        """Send one message, length first; the last must have been answered."""
        if len(self._blocks) < 2:  # the first fills the table, the second says the same by its places
            self._blocks.append(self._encoder.encode(self._headers))
        block = self._blocks.pop(0) if self._stream < 0 else self._blocks[-1]
        self._stream += 2
        self._said, self._owed, self._stream_window = {}, request, self._first_window
        self._transport.write(h2.frame(h2.HEADERS, h2.END_HEADERS, self._stream, block) + self._sendable())

    def data_received(self, data: bytes) -> None:
        data, at = self._rest + data if self._rest else data, 0
        while len(data) - at >= h2.HEAD_BYTES:
            size_and_kind, flags, stream = h2.unpack_head(data, at)
            end = at + h2.HEAD_BYTES + (size_and_kind >> 8)
            if end > len(data):
                break
            self._take(size_and_kind & 0xFF, flags, stream, data[at + h2.HEAD_BYTES : end])
            at = end
        self._rest = data[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == h2.HEADERS or kind == h2.CONTINUATION:
            self._head(h2.unpad(payload, flags) if kind == h2.HEADERS else payload, flags)
        elif kind == h2.DATA:
            self._credit(len(payload))
        elif kind == h2.SETTINGS and not flags & h2.ACK:
            self._transport.write(self._set(payload) + self._sendable())
        elif kind == h2.WINDOW_UPDATE:
            self._widen(stream, h2.unpack_word(payload)[0])
        elif kind == h2.PING and not flags & h2.ACK:
            self._transport.write(h2.frame(h2.PING, h2.ACK, 0, payload))
        elif kind == h2.GOAWAY:
            self._transport.close()
        elif kind == h2.RST_STREAM and stream == self._stream:
            self._finish({"grpc-status": "reset", "grpc-message": f"reset with code {h2.unpack_word(payload)[0]}"})
        if kind in (h2.HEADERS, h2.DATA, h2.CONTINUATION) and flags & h2.END_STREAM and stream == self._stream:
            self._finish(self._said)

    def _head(self, block: bytes, flags: int) -> None:
        self._block += block
        if not flags & h2.END_HEADERS:
            return
        block, self._block = self._block, b""
        found = self._known.get(block)
        if found is None:
            before = self._table.changes
            found = {str(name): str(value) for name, value in self._decoder.decode(block)}
            if self._table.changes == before:
                self._known[block] = found
            else:
                self._known.clear()
        self._said = {**self._said, **found}

    def _finish(self, said: dict[str, str]) -> None:
        if not self._load.waits(self):
            return
        good = said.get("grpc-status") == "0"
        words = unquote(said.get("grpc-message") or f"status {said.get('grpc-status') or said.get(':status')}")
        self._load.answered(self, b"200" if good else b"", words.encode())
        if self._stream >= STREAM_MAX - 2:
            self._transport.close()
        elif not self._transport.is_closing():
            self._load.free(self)

    def _set(self, payload: bytes) -> bytes:
        for name, value in h2.read_settings(payload):
            if name == h2.FIRST_WINDOW:
                self._stream_window += value - self._first_window
                self._first_window = value
        return h2.frame(h2.SETTINGS, h2.ACK, 0, b"")

    def _widen(self, stream: int, count: int) -> None:
        if stream == 0:
            self._window += count
        elif stream == self._stream:
            self._stream_window += count
        if self._owed:
            self._transport.write(self._sendable())

    def _sendable(self) -> bytes:
        """As much of the message as the windows allow, as frames."""
        frames = []
        while self._owed and (size := min(len(self._owed), h2.FRAME_START, self._window, self._stream_window)) > 0:
            part, self._owed = self._owed[:size], self._owed[size:]
            self._window -= size
            self._stream_window -= size
            frames.append(h2.frame(h2.DATA, 0 if self._owed else h2.END_STREAM, self._stream, part))
        return b"".join(frames)

    def _credit(self, size: int) -> None:
        self._taken += size
        if self._taken >= GRANT_BYTES:
            self._transport.write(h2.grant(0, self._taken))
            self._taken = 0


def _headers(job: dict[str, Any]) -> list[Any]:
    named = {":method": "POST", ":scheme": "https" if job.get("tls") else "http", ":path": PATH,
             ":authority": f"{job['host']}:{job['port']}", "content-type": "application/grpc",
             "te": "trailers"}  # fmt: skip
    key = [NeverIndexedHeaderTuple("authorization", f"Bearer {job['key']}")] if job.get("key") else []
    return [*named.items(), *key]
