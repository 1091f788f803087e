"""A gRPC door on a thread of its own, which knows no inference, and a client that says what it likes."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import hpack
import hyperframe.frame as frames

from payoff.gateway.grpc_status import Code as Status
from payoff.gateway.h2 import Door
from payoff.gateway.h2_call import Call, Method
from payoff.gateway.h2_frames import PREFACE, Code
from payoff.gateway.h2_limits import Limits
from tests.gateway.clocked import Clocked
from tests.shared import PATIENCE_S

LIMITS = Limits(
    body_bytes_max=100_000, bodies_bytes_max=150_000, owed_bytes_max=300_000, head_bytes_max=4_000, calls_max=40,
    noise_max=200, resets_max=60, connections_max=30,
)  # fmt: skip
LOOK_S = 0.05  # whether something that is not said has come true
HEADERS = {
    ":method": "POST", ":scheme": "http", ":path": "/t/Echo", ":authority": "x", "te": "trailers",
    "content-type": "application/grpc",
}  # fmt: skip


class Server:
    """Its methods: Echo, Late (an echo that waits for `release`), Never, Broken, Large, and Stream.

    Time passes for its connections when somebody says so, and only then.
    """

    def __init__(self) -> None:
        self.loop = Clocked()
        self.seen: list[Call] = []
        self.late: list[tuple[Call, bytes]] = []
        methods = [
            Method("t/Echo", self._echo),
            Method("t/Late", lambda call, message: self.late.append((call, message))),
            Method("t/Never", lambda call, message: self.seen.append(call)),
            Method("t/Broken", self._break),
            Method("t/Large", lambda call, message: call.hear(b"x" * int(message))),
            Method("t/Stream", self._stream, streams=True),
        ]
        self.door = Door({f"/{method.name}".encode(): method for method in methods}, limits=LIMITS)
        self.ready = threading.Event()
        self.thread = self.loop.start(self._serve())
        self.ready.wait()

    def _echo(self, call: Any, message: bytes) -> None:
        self.seen.append(call)
        call.hear(message)

    def _break(self, call: Any, message: bytes) -> None:
        raise ZeroDivisionError

    def _stream(self, call: Any, message: bytes) -> None:
        """Every other answer is late, so that their order is not the one in which they are ready."""
        if message.endswith(b"!"):
            call.hear(ValueError("no"))
        elif len(message) % 2:
            self.loop.call_later(0.01, call.hear, message)
        else:
            call.hear(message)

    async def _serve(self) -> None:
        server = await self.loop.create_server(self.door.connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self.leave = asyncio.Event()
        self.ready.set()
        await self.leave.wait()
        for connection in list(self.door.open):
            connection.transport.abort()
        server.close()
        await asyncio.sleep(0)

    def release(self) -> None:
        """The late calls are answered."""
        self.loop.do(self._release)

    def later(self, seconds: float) -> None:
        """So much time passes for every connection."""
        self.loop.later(seconds, self.door.open)

    def drain(self) -> None:
        """As a worker does that leaves."""
        self.loop.do(self._drain)

    def _release(self) -> None:
        while self.late:
            call, message = self.late.pop(0)
            call.hear(message)

    def _drain(self) -> None:
        for connection in list(self.door.open):
            connection.drain()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.leave.set)
        self.thread.join()


@dataclass
class Answer:
    """What came on one stream."""

    headers: dict[str, str] = field(default_factory=dict)
    data: bytes = b""
    ended: bool = False
    reset: Code | None = None

    @property
    def messages(self) -> list[bytes]:
        found, at = [], 0
        while at < len(self.data):
            size = int.from_bytes(self.data[at + 1 : at + 5], "big")
            found.append(self.data[at + 5 : at + 5 + size])
            at += 5 + size
        return found

    @property
    def status(self) -> Status | None:
        return Status(int(self.headers["grpc-status"])) if "grpc-status" in self.headers else None


class Client:
    """Sends frames, and keeps what comes."""

    def __init__(self, port: int, settings: dict[int, int] | None = None, hello: bool = True) -> None:
        self.line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.answers: dict[int, Answer] = {}
        self.others: list[Any] = []
        self.gone: frames.GoAwayFrame | None = None
        self.closed = False
        self.held = b""
        self.next = 1
        if hello:
            self.send(PREFACE, frames.SettingsFrame(0, settings=settings or {}))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    def send(self, *pieces: Any) -> None:
        said = b"".join(piece if isinstance(piece, bytes) else piece.serialize() for piece in pieces)
        with suppress(OSError):  # the other end has closed: what it said before can be read still
            self.line.sendall(said)

    def request(self, message: bytes | None = b"", **headers: str) -> list[Any]:
        """The frames of a call on the next stream; the keywords are headers, path and authority with a colon."""
        names = {name: f":{name}" if f":{name}" in HEADERS else name.replace("_", "-") for name in headers}
        said = HEADERS | {names[name]: value for name, value in headers.items()}
        stream, self.next = self.next, self.next + 2
        found: list[Any] = [frames.HeadersFrame(stream, self.encoder.encode(list(said.items())), flags=["END_HEADERS"])]
        if message is not None:
            found.append(frames.DataFrame(stream, prefixed(message), flags=["END_STREAM"]))
        return found

    def call(self, message: bytes = b"", **headers: str) -> Answer:
        """A call and its answer."""
        stream = self.next
        self.send(*self.request(message, **headers))
        return self.answer(stream)

    def answer(self, stream: int) -> Answer:
        self.until(lambda: self.of(stream).ended or self.of(stream).reset is not None)
        return self.of(stream)

    def heard(self) -> "Client":
        """Whatever was sent has been read at the other end."""
        before = len(self.others)
        self.send(frames.PingFrame(0, opaque_data=b"heard?  "))
        assert self.until(lambda: any("ACK" in frame.flags for frame in self.others[before:] if is_ping(frame)))
        return self

    def of(self, stream: int) -> Answer:
        return self.answers.setdefault(stream, Answer())

    def until(
        self, true: Callable[[], object], patience_s: float = PATIENCE_S, meanwhile: Callable[[], object] = lambda: None
    ) -> bool:
        """Read until something is true, or the connection ends; whether it is true."""
        until = time.monotonic() + patience_s
        while not true() and not self.closed and time.monotonic() < until:
            meanwhile()
            self.read(min(LOOK_S, until - time.monotonic()))
        return bool(true())

    def end(self, meanwhile: Callable[[], object] = lambda: None) -> Code | None:
        """Why the connection was ended, once it is."""
        self.until(lambda: False, meanwhile=meanwhile)
        assert self.closed
        return None if self.gone is None else Code(self.gone.error_code)

    def read(self, patience_s: float) -> None:
        self.line.settimeout(max(0.001, patience_s))
        try:
            data = self.line.recv(1 << 16)
        except TimeoutError:
            return
        except OSError:
            data = b""
        self.closed = not data
        self.held += data
        for frame in self.frames():
            self.take(frame)

    def frames(self) -> Iterator[Any]:
        while len(self.held) >= 9:
            frame, size = frames.Frame.parse_frame_header(memoryview(self.held[:9]))
            if len(self.held) < 9 + size:
                return
            frame.parse_body(memoryview(self.held[9 : 9 + size]))
            self.held = self.held[9 + size :]
            yield frame

    def take(self, frame: Any) -> None:
        if isinstance(frame, frames.HeadersFrame):
            self.of(frame.stream_id).headers |= {
                str(name): str(value) for name, value in self.decoder.decode(frame.data)
            }
        elif isinstance(frame, frames.DataFrame):
            self.of(frame.stream_id).data += frame.data
        elif isinstance(frame, frames.RstStreamFrame):
            self.of(frame.stream_id).reset = Code(frame.error_code)
        elif isinstance(frame, frames.GoAwayFrame):
            self.gone = frame
        else:
            self.others.append(frame)
        if "END_STREAM" in frame.flags:
            self.of(frame.stream_id).ended = True


def is_ping(frame: Any) -> bool:
    return isinstance(frame, frames.PingFrame)


def prefixed(message: bytes, packed: int = 0) -> bytes:
    """A message as gRPC sends it."""
    return bytes([packed]) + len(message).to_bytes(4, "big") + message
