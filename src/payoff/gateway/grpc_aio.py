"""The same methods behind grpcio's own server, for whom ours will not do: `payoff up --grpc-server grpcio`.

It needs `pip install 'payoff[grpc]'`, takes many times the processor time of a call, and binds the port itself: with
SO_REUSEPORT, so that the kernel spreads connections over the workers.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc
from grpc import aio

from payoff.doors.tls import Pair
from payoff.errors import BadInput, PayoffError
from payoff.gateway.grpc_status import explain
from payoff.gateway.h2 import Door
from payoff.gateway.h2_call import TURNS_MAX, Method
from payoff.gateway.h2_heads import Head

AGAIN_S = 1.0
DRAIN_S = 8.0


class Asker:
    """A call as its method sees it: `hear` for one answer, `wire.send` for more."""

    def __init__(self, context: Any) -> None:
        left_s = context.time_remaining()
        timeout_us = None if left_s is None else max(1, int(left_s * 1e6))
        self.head = Head(_headers(context), timeout_us=timeout_us)
        self.address = str(context.peer()).partition(":")[2]
        self.wire = self
        self.told: Any = None
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.gone = False

    def check_time(self, now_s: float) -> None:
        """grpcio ends what takes too long."""

    def drain(self) -> None:
        """It is answered still."""

    def take(self, method: Method, message: bytes) -> None:
        """Let the method have a message."""
        try:
            method.take(self, message)
        except Exception as error:
            self.hear(error)

    def hear(self, said: Any) -> None:
        """The answer, or what went wrong."""
        self.said.put_nowait(said)

    def send(self, call: "Asker", message: bytes) -> None:
        """One of many answers."""
        self.said.put_nowait(message)


def _headers(context: Any) -> dict[bytes, bytes]:
    """What the client sent beside the message."""
    pairs = context.invocation_metadata() or ()
    return {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in pairs}


class Hall:
    """grpcio's view of a door, and the worker's view of grpcio's server: calls in place of connections."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._stopping: asyncio.Task[None] | None = None
        self.refused = 0
        self.server: Any = None
        self.open: set[Any] = set()

    @property
    def closing(self) -> bool:
        return self._door.closing

    @closing.setter
    def closing(self, closing: bool) -> None:
        """Take nothing new, and answer what has come."""
        self._door.closing = closing
        self._stopping = asyncio.get_running_loop().create_task(self.server.stop(DRAIN_S))

    async def serve(self, place: str, pair: Pair | None) -> None:
        """Take calls at HOST:PORT; BadInput if that cannot be."""
        limit = self._door.limits.body_bytes_max
        options = [("grpc.max_receive_message_length", limit), ("grpc.max_send_message_length", -1)]
        self.server = aio.server(options=[*options, ("grpc.so_reuseport", 1)])
        self.server.add_generic_rpc_handlers((self,))
        try:
            if pair is None:
                self.server.add_insecure_port(place)
            else:
                self.server.add_secure_port(place, _credentials(pair))
        except (RuntimeError, OSError) as error:
            raise BadInput(f"grpcio cannot listen at {place}: {error}") from error
        await self.server.start()

    def service(self, details: Any) -> Any:
        """Who handles a call; None if nobody does."""
        method = self._door.methods.get(details.method.encode())
        if method is None:
            return None
        if method.streams:
            return grpc.stream_stream_rpc_method_handler(self._stream(method))
        if method.again is not None:
            return grpc.unary_stream_rpc_method_handler(self._watch(method))
        return grpc.unary_unary_rpc_method_handler(self._unary(method))

    def _begin(self, context: Any) -> Asker:
        asker = Asker(context)
        self._door.admit(asker.head.headers)
        self.open.add(asker)
        return asker

    def _end(self, asker: Asker) -> None:
        asker.gone = True
        self.open.discard(asker)

    def _unary(self, method: Method) -> Any:
        async def call(message: bytes, context: Any) -> Any:
            try:
                asker = self._begin(context)
            except PayoffError as error:
                return await _fail(context, error, method)
            try:
                asker.take(method, message)
                said = await asker.said.get()
                return await _fail(context, said, method) if isinstance(said, Exception) else said
            finally:
                self._end(asker)

        return call

    def _stream(self, method: Method) -> Any:
        async def call(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            turns: asyncio.Queue[Asker | None] = asyncio.Queue(TURNS_MAX)
            reading = asyncio.create_task(self._read(method, messages, context, turns))
            try:
                while (turn := await turns.get()) is not None:
                    heard = await turn.said.get()
                    self._end(turn)
                    yield method.write(heard)
            except PayoffError as error:
                await _fail(context, error, method)
            finally:
                reading.cancel()

        return call

    async def _read(self, method: Method, messages: Any, context: Any, turns: "asyncio.Queue[Asker | None]") -> None:
        try:
            async for message in messages:
                turn = self._begin(context)
                await turns.put(turn)
                turn.take(method, message)
            await turns.put(None)
        except PayoffError as error:
            await _fail(context, error, method)

    def _watch(self, method: Method) -> Any:
        async def call(message: bytes, context: Any) -> AsyncIterator[bytes]:
            asker = self._begin(context)
            asker.take(method, message)
            try:
                while not self.closing:
                    with suppress(TimeoutError):
                        yield await asyncio.wait_for(asker.said.get(), AGAIN_S)
                    if method.again is not None:
                        method.again(asker)
            finally:
                self._end(asker)

        return call


def _credentials(pair: Pair) -> Any:
    ca = None if pair.client_ca is None else pair.client_ca.read_bytes()
    shown = [(pair.key.read_bytes(), pair.cert.read_bytes())]
    return grpc.ssl_server_credentials(shown, root_certificates=ca, require_client_auth=ca is not None)


async def _fail(context: Any, error: Exception, method: Method) -> None:
    status = explain(error, method.name)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    await context.abort(code, status.words, status.hints)
