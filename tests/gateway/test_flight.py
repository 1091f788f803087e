"""Facts about the Arrow Flight door, told by pyarrow's own client."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest

from payoff.codecs.untyped import pa
from payoff.records import Role
from payoff.store import live
from tests.gateway.test_streamed import answered
from tests.gateway.test_worker import revision
from tests.shared import PATIENCE_S

flight: Any = import_module("pyarrow.flight")
SCHEMA = pa.schema([("x", pa.float32())])
KEY = "k" * 20


class Doors(NamedTuple):
    """Where a worker answers, and its process."""

    flight: str
    http: tuple[str, int]
    process: "subprocess.Popen[bytes]"


@contextmanager
def worker(home: Path) -> Iterator[Doors]:
    """A worker with a Flight door, that asks for its key."""
    with socket.create_server(("127.0.0.1", 0)) as http, socket.create_server(("127.0.0.1", 0)) as door:
        command = [sys.executable, "-m", "payoff.gateway.worker", "--home", str(home), "--fd", str(http.fileno())]
        command += ["--flight-fd", str(door.fileno())]
        inherited, environment = (http.fileno(), door.fileno()), {**os.environ, "PAYOFF_KEY": KEY}
        process = subprocess.Popen(command, pass_fds=inherited, env=environment)
        try:
            yield Doors(f"grpc://127.0.0.1:{door.getsockname()[1]}", http.getsockname(), process)
        finally:
            process.terminate()
            assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    live.publish(path, revision(path, 1, (Role.CHAMPION, 2, 0)))
    return path


@pytest.fixture(scope="module")
def place(home: Path) -> Iterator[str]:
    with worker(home) as found:
        yield found.flight


@pytest.fixture
def client(place: str) -> Iterator[Any]:
    with flight.connect(place) as found:
        yield found


def options(key: str = KEY) -> Any:
    return flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {key}".encode())], timeout=PATIENCE_S)


def batch(start: int, rows: int) -> Any:
    return pa.record_batch([pa.array(np.arange(start, start + rows, dtype=np.float32))], schema=SCHEMA)


def exchange(client: Any, *batches: Any, name: str = "times") -> Any:
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_path(name), options())
    with writer:
        writer.begin(batches[0].schema if batches else SCHEMA)
        with ThreadPoolExecutor(1) as pool:
            read = pool.submit(reader.read_all)
            for one in batches:
                writer.write_batch(one)
            writer.done_writing()
            return read.result()


def test_batches_come_back_answered_in_order_and_journaled(client: Any, home: Path) -> None:
    earlier = answered(home)
    found = exchange(client, batch(0, 100_000), batch(100_000, 0), batch(100_000, 3))
    assert found["y"].to_numpy().tolist() == [2.0 * x for x in range(100_003)]
    assert len(set(found["prediction_id"].to_pylist())) == 100_003
    assert answered(home) - earlier == 100_003


def test_a_batch_is_answered_before_the_next_one_is_sent(client: Any) -> None:
    writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(b"times"), options())
    with writer:
        writer.begin(SCHEMA)
        for start in (0, 5, 7):
            writer.write_batch(batch(start, 1))
            assert reader.read_chunk().data.column("y").to_pylist() == [2.0 * start]
        writer.done_writing()


def test_no_batches_are_answered_with_none(client: Any) -> None:
    found = exchange(client)
    assert found.num_rows == 0
    assert "y" in found.column_names


def test_the_list_of_flights_is_that_of_endpoints_with_their_columns(client: Any) -> None:
    (one,) = client.list_flights(options=options())
    assert one.descriptor.path == [b"times"]
    assert {"prediction_id", "y", "decision"} <= set(one.schema.names)
    assert pa.ipc.read_schema(pa.py_buffer(one.app_metadata)).names == ["x"]
    assert client.get_schema(one.descriptor, options()).schema.equals(one.schema)


@pytest.mark.parametrize(("table", "name", "kind", "words"), [
    pytest.param({"x": ["text"]}, "times", "bad_input", "column 'x' is of the Arrow type string", id="type"),
    pytest.param({"y": [1.0]}, "times", "bad_input", "unknown column 'y'", id="column"),
    pytest.param({"x": [1.0]}, "nobody", "not_found", "no endpoint called 'nobody'", id="endpoint"),
])  # fmt: skip
def test_what_cannot_be_answered_is_refused_in_our_words_and_without_a_trace(
    client: Any, table: dict[str, Any], name: str, kind: str, words: str
) -> None:
    with pytest.raises(flight.FlightServerError, match=words) as caught:
        exchange(client, pa.RecordBatch.from_pydict(table), name=name)
    assert "Traceback" not in str(caught.value)
    said = json.loads(caught.value.extra_info)
    assert said["kind"] == kind
    assert words in said["error"]


def test_bytes_that_are_no_batch_are_refused_and_the_door_goes_on(client: Any, place: str) -> None:
    """With a message whose header is nonsense, sent by grpcio as FlightData: a descriptor, a header, a body."""
    path = b"\x0a\x09" + b"\x08\x01\x1a\x05times"
    nonsense = path + b"\x12\x08" + b"nonsense" + b"\xc2\x3e\x04body"
    with grpc.insecure_channel(place.removeprefix("grpc://")) as channel:
        call = channel.stream_stream("/arrow.flight.protocol.FlightService/DoExchange")
        with pytest.raises(grpc.RpcError) as caught:
            list(call(iter([nonsense]), metadata=[("authorization", f"Bearer {KEY}")], timeout=PATIENCE_S))
    assert caught.value.details() == "Invalid flatbuffers message."  # Arrow's own word: it comes no further than there
    assert exchange(client, batch(0, 3)).num_rows == 3


def test_a_worker_that_leaves_answers_what_it_was_asked(home: Path) -> None:
    with worker(home) as doors, flight.connect(doors.flight) as client:
        with socket.create_connection(doors.http, timeout=PATIENCE_S) as idle:
            writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("times"), options())
            writer.begin(SCHEMA)
            writer.write_batch(batch(0, 10))
            assert reader.read_chunk().data.num_rows == 10
            doors.process.terminate()
            assert idle.recv(1) == b""  # who asks nothing is let go of by now
        with writer, ThreadPoolExecutor(1) as pool:
            read = pool.submit(reader.read_all)
            for start in range(0, 50_000, 5_000):
                writer.write_batch(batch(start, 5_000))
            writer.done_writing()
            assert read.result().num_rows == 50_000


def test_a_worker_leaves_though_a_client_says_nothing_more(home: Path) -> None:
    with worker(home) as doors, flight.connect(doors.flight) as client:
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_path("times"), options())
        writer.begin(SCHEMA)
        writer.write_batch(batch(0, 10))
        assert reader.read_chunk().data.num_rows == 10


@pytest.mark.parametrize("key", ["", "wrong"])
def test_without_the_key_nobody_comes_in(client: Any, key: str) -> None:
    with pytest.raises(flight.FlightUnauthenticatedError, match="asks for its key"):
        list(client.list_flights(options=options(key)))


def test_rows_of_many_exchanges_are_never_mixed_up(client: Any) -> None:
    def one(start: int) -> list[float]:
        found: list[float] = exchange(client, *(batch(start + 100 * i, 100) for i in range(5)))["y"].to_pylist()
        return found

    with ThreadPoolExecutor(8) as pool:
        for start, found in zip(range(0, 8_000, 1_000), pool.map(one, range(0, 8_000, 1_000)), strict=True):
            assert found == [2.0 * x for x in range(start, start + 500)]
