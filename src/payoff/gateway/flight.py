"""The Arrow Flight door, for scoring in bulk: record batches in, answers out, without a copy that need not be.

Descriptors name endpoints. `DoExchange` answers each batch that is sent, while more are sent; flow control is gRPC's.
Requests run on threads of Arrow's own server, which read and write Arrow there; only the asking itself is brought to
the worker's event loop. That server takes no listening socket and lets nobody share its port: it listens at a socket of
the file system, and connections come to it through a relay from the door that all workers share.
https://arrow.apache.org/docs/format/Flight.html
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
import pyarrow as pa
import pyarrow.flight as flight

from payoff.codecs import arrow, tables
from payoff.codecs.checks import check_count, check_expanded
from payoff.codecs.pieces import ROWS_MAX
from payoff.doors import admit, kind
from payoff.errors import Abandoned, BadInput, Busy, Conflict, PayoffError, Unauthorized, Unavailable
from payoff.gateway import table
from payoff.gateway.relay import LEAVE_S, Relay
from payoff.records import length, take
from payoff.serving import Answered, Desk, Live
from payoff.serving.form import IN_HAND
from payoff.serving.part import Rows

EXCHANGES_MAX = 16  # at a time: each has a thread, and a batch in memory
PIECE_ROWS = 16_384
LOOK_S = 0.5  # how often a waiting thread looks whether its client is still there
AGAIN_S = 0.05  # after the desk was full
WORDS_MAX = 800  # of an error: they travel twice, in headers
log = logging.getLogger("payoff.gateway")
Found = TypeVar("Found")

# What a client catches, by our error; all others are a FlightServerError. Arrow's own would bring a trace along.
ERRORS: dict[type[PayoffError], type[flight.FlightError]] = {
    Busy: flight.FlightUnavailableError,
    Unavailable: flight.FlightUnavailableError,
    Unauthorized: flight.FlightUnauthenticatedError,
}


class _Admission(flight.ServerMiddlewareFactory):
    """Asks every call for the key."""

    def __init__(self, key: str | None) -> None:
        super().__init__()
        self._key = key

    def start_call(self, info: Any, headers: Mapping[str, list[Any]]) -> None:
        """Nothing, if the call may come in."""
        sent = {name.lower().encode(): str(values[0]).encode() for name, values in headers.items() if values}
        try:
            admit({name: value for name, value in sent.items() if name == b"authorization"}, self._key, None)
        except PayoffError as error:
            raise told(error) from error


class Waiting:
    """A call of a thread, at the desk."""

    def __init__(self) -> None:
        self.gone = False
        self._said: Any = None
        self._is_said = threading.Event()

    def hear(self, said: Any) -> None:
        """In the event loop."""
        self._said = said
        self._is_said.set()

    def wait(self, left: Callable[[], bool]) -> Any:
        """In the thread: what was said, raised if it is an error."""
        while not self._is_said.wait(LOOK_S):
            if left():
                self.gone = True
                raise Abandoned("the client has left")
        if isinstance(self._said, Exception):
            raise self._said
        return self._said


class Flights(flight.FlightServerBase):
    """The server of one worker, at a socket of the file system; it serves as soon as it is made, until `leave`."""

    def __init__(self, desk: Desk, path: str, key: str | None) -> None:
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._room = threading.BoundedSemaphore(EXCHANGES_MAX)
        self._until_s = float("inf")
        super().__init__(f"grpc+unix://{path}", middleware={"key": _Admission(key)})

    def leave(self) -> None:
        """Take no new calls, and finish those that there are; what takes too long is told that it ends."""
        self._until_s = time.monotonic() + LEAVE_S
        threading.Thread(target=self.shutdown, daemon=True).start()

    # -- what there is

    def list_flights(self, context: Any, criteria: Any) -> Iterator[Any]:
        """Every endpoint."""
        for name in self._in_loop(self._desk.names):
            yield self.get_flight_info(context, flight.FlightDescriptor.for_path(name))

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """The schema of the answers; that of the rows is in `app_metadata`, as an Arrow schema message."""
        with words():
            live = self._in_loop(lambda: self._desk.find(name_of(descriptor)))
            rows = tables.schema(live.inputs).serialize()
            return flight.FlightInfo(
                answers(live), flight.FlightDescriptor.for_path(live.name), [], -1, -1, app_metadata=rows.to_pybytes()
            )

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        """The schema of the answers."""
        return flight.SchemaResult(self.get_flight_info(context, descriptor).schema)

    # -- asking

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Answers to the batches of a stream, each as one batch or more, in order."""
        with words():
            if not self._room.acquire(blocking=False):
                raise Busy(f"{EXCHANGES_MAX} exchanges are open in this worker, which is the limit; try again")
            try:
                self._exchange(context, name_of(descriptor), reader, writer)
            finally:
                self._room.release()

    def _exchange(self, context: Any, name: str, reader: Any, writer: Any) -> None:
        schema = answers(self._in_loop(lambda: self._desk.find(name)))
        writer.begin(schema)
        for chunk in reader:
            if chunk.data is None:
                continue
            for answered in self._answers(context, name, chunk.data):
                made = arrow.answer_table(table.flat(answered)).replace_schema_metadata(None)
                if not made.schema.equals(schema):
                    raise Conflict("another revision with other columns went live meanwhile; send the rest again")
                writer.write_table(made)

    def _answers(self, context: Any, name: str, batch: pa.RecordBatch) -> Iterator[Answered]:
        try:
            live, rows = self._read(name, batch)
        except Exception as error:
            self._loop.call_soon_threadsafe(self._desk.turned_away, name, "flight", error)
            raise
        for start in range(0, length(rows), PIECE_ROWS):
            yield self._ask(context, live, take(rows, slice(start, start + PIECE_ROWS)))

    def _read(self, name: str, batch: pa.RecordBatch) -> tuple[Live, Rows]:
        check_count(batch.num_rows, ROWS_MAX)
        check_expanded(batch.nbytes)
        live = self._in_loop(lambda: self._desk.find(name))
        with arrow.arrow_errors("Arrow data"):
            batch.validate(full=True)
        return live, tables.from_arrow(pa.Table.from_batches([batch]), live.inputs)

    def _ask(self, context: Any, live: Live, rows: Rows) -> Answered:
        """Waits where the desk is full: the client waits then, too."""
        while True:
            if time.monotonic() > self._until_s:
                raise Unavailable("this worker is leaving; send the rows again that have no answer")
            waiting = Waiting()
            self._loop.call_soon_threadsafe(self._submit, live, rows, waiting)
            try:
                return cast(Answered, waiting.wait(context.is_cancelled))
            except Busy:
                time.sleep(AGAIN_S)
            if context.is_cancelled():
                raise Abandoned("the client has left")

    def _submit(self, live: Live, rows: Rows, waiting: Waiting) -> None:
        try:
            self._desk.take(live, IN_HAND, rows, length(rows), waiting)
        except Exception as error:
            waiting.hear(error)

    def _in_loop(self, make: Callable[[], Found]) -> Found:
        """What something of the event loop's gives there."""
        waiting = Waiting()

        def run() -> None:
            try:
                waiting.hear(make())
            except Exception as error:
                waiting.hear(error)

        self._loop.call_soon_threadsafe(run)
        return cast(Found, waiting.wait(lambda: False))


def door(desk: Desk, home: Path, key: str | None) -> Relay:
    """The door of one worker, in front of a server of its own.

    On Linux the server's socket loses its name at once: nobody comes in there but the relay, and nothing stays behind.
    Its path is by an open folder, for a socket's may have no more than a hundred bytes or so.
    """
    name = f"flight-{os.getpid()}"
    if not Path("/proc/self/fd").exists():
        path = str(home / "run" / name)
        return Relay(path, Flights(desk, path, key).leave)
    path = f"/proc/self/fd/{os.open(home / 'run', os.O_RDONLY | os.O_DIRECTORY)}/{name}"
    flights = Flights(desk, path, key)
    held = os.open(path, os.O_PATH)
    Path(path).unlink()
    return Relay(f"/proc/self/fd/{held}", flights.leave)


def answers(live: Live) -> pa.Schema:
    """The columns of an endpoint's answers."""
    return tables.schema(table.fields(live.outputs, live.decision_type))


def name_of(descriptor: Any) -> str:
    """The endpoint that a descriptor names, by its path or its command."""
    parts = descriptor.path or [descriptor.command or b""]
    return b"/".join(parts).decode(errors="replace")


def told(error: Exception) -> flight.FlightError:
    """An error as Flight sends it: our sentence, never a trace. `extra_info` is what the HTTP door would answer."""
    if isinstance(error, pa.ArrowException):
        error = BadInput(f"the stream is not readable Arrow data: {error}".splitlines()[0])
    text = str(error)[:WORDS_MAX]
    if not isinstance(error, PayoffError):
        log.error("a flight failed", exc_info=error)
        text = "payoff failed here; its log says more"
    made = next((ERRORS[one] for one in type(error).__mro__ if one in ERRORS), flight.FlightServerError)
    return made(text, orjson.dumps({"error": text, "kind": kind(error)}))


@contextmanager
def words() -> Iterator[None]:
    """Errors of a block become Flight's."""
    try:
        yield
    except flight.FlightError:
        raise
    except Exception as error:
        raise told(error) from None
