"""The gRPC door as a stranger meets it: spoilt conversations, clients that never read, and very many of them."""

import struct
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import numpy as np
import pytest
import tritonclient.grpc as triton
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from payoff.store import live
from tests.gateway.test_grpc import Doors, doors
from tests.shared import until
from tests.walks.test_door_fuzz import CHANGES, SPICE, Change, changed
from tests.walks.wire import SAME, Line, publish, row

METHOD = "/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("home")
    publish(path, "echo", 1, 1)
    return path


@pytest.fixture(scope="module")
def place(home: Path) -> Iterator[Doors]:
    with doors(home) as found:
        until(lambda: any("echo" in status.serving for status in live.statuses(home)), "the worker serves")
        yield found
        assert found.process.poll() is None, "the worker died"


@pytest.fixture(autouse=True)
def _the_next_caller_is_answered(place: Doors) -> Iterator[None]:
    yield
    still_answers(place)


def inputs(*numbers: int) -> list[triton.InferInput]:
    """The rows of these numbers as tensors."""
    kinds = {"id": ("INT64", np.int64), "x": ("FP64", np.float64), "word": ("BYTES", np.object_)}
    found = []
    for name, (kind, dtype) in kinds.items():
        values = [str(row(number)[name]).encode() if kind == "BYTES" else row(number)[name] for number in numbers]
        found.append(triton.InferInput(name, [len(numbers), 1], kind))
        found[-1].set_data_from_numpy(np.array(values, dtype).reshape(-1, 1))
    return found


def still_answers(place: Doors) -> None:
    """A caller with NVIDIA's client gets his own row back."""
    with triton.InferenceServerClient(place.grpc) as client:
        result = client.infer("echo", inputs(7), client_timeout=120)
        assert result.as_numpy("same_id").tolist() == [[7]] or result.as_numpy("same_id").tolist() == [7]


def memory_mb(place: Doors) -> float:
    status = Path(f"/proc/{place.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


def line(place: Doors, receive_bytes: int | None = None) -> Line:
    return Line(int(place.grpc.rpartition(":")[2]), receive_bytes=receive_bytes)


def message(*numbers: int) -> bytes:
    """One call's message, with the five bytes that gRPC puts before it."""
    request = service_pb2.ModelInferRequest(model_name="echo")
    for one in inputs(*numbers):
        request.inputs.append(one._get_tensor())
        request.raw_input_contents.append(one._get_content())
    body = bytes(request.SerializeToString())
    return struct.pack(">BI", 0, len(body)) + body


def conversation(calls: int, *numbers: int, window: int = 65_535) -> bytes:
    """All that a client sends for so many calls."""
    spoken = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    spoken.local_settings.initial_window_size = window
    spoken.initiate_connection()
    body = message(*numbers)
    for _ in range(calls):
        stream = spoken.get_next_available_stream_id()
        head = [(":method", "POST"), (":scheme", "http"), (":path", METHOD), (":authority", "localhost")]
        spoken.send_headers(stream, [*head, ("content-type", "application/grpc"), ("te", "trailers")])
        spoken.send_data(stream, body, end_stream=True)
    sent: bytes = spoken.data_to_send()
    return sent


TALK = conversation(3, 7, 8)


def meets_with_sense(place: Doors, sent: bytes) -> None:
    """Whatever it says to these bytes, it ends the conversation when we have."""
    with line(place) as one:
        one.send(sent)
        one.no_more()
        one.rest()
    assert place.process.poll() is None


@settings(SAME, max_examples=300)
@given(changes=st.lists(CHANGES, min_size=1, max_size=6))
def test_spoilt_conversations_cost_nobody_else_anything(place: Doors, changes: list[Change]) -> None:
    meets_with_sense(place, changed(TALK, changes))


@settings(SAME, max_examples=200)
@given(where=st.integers(24, len(TALK) - 1), spice=st.binary(min_size=1, max_size=12))
def test_a_conversation_that_is_overwritten_somewhere_costs_nobody_else_anything(
    place: Doors, where: int, spice: bytes
) -> None:
    meets_with_sense(place, TALK[:where] + spice + TALK[where + len(spice) :])


@settings(SAME, max_examples=100)
@given(sent=st.lists(st.one_of(st.sampled_from(SPICE), st.binary(max_size=300)), min_size=1, max_size=12))
def test_noise_costs_nobody_else_anything(place: Doors, sent: list[bytes]) -> None:
    meets_with_sense(place, b"".join(sent))


def test_clients_that_leave_in_the_middle_leave_nothing_behind(place: Doors) -> None:
    before = memory_mb(place)
    for number in range(300):
        with line(place) as one:
            one.send(TALK[: 24 + number % (len(TALK) - 24)])
            if number % 2:
                one.reset()
    still_answers(place)
    assert memory_mb(place) - before < 30


@pytest.mark.slow
def test_clients_that_never_read_their_large_answers_cost_little(place: Doors) -> None:
    before = memory_mb(place)
    talk = conversation(6, *range(400), window=2**31 - 1)
    lines = [line(place, receive_bytes=4096) for _ in range(100)]
    for one in lines:
        one.send(talk)
    for _ in range(10):
        still_answers(place)
    assert memory_mb(place) - before < 200
    for one in lines:
        one.reset()


@pytest.mark.slow
def test_thousands_of_idle_connections_cost_little(place: Doors) -> None:
    before = memory_mb(place)
    lines = [line(place) for _ in range(3_000)]
    for one in lines[::2]:
        one.send(TALK[:50])
    for _ in range(10):
        still_answers(place)
    assert memory_mb(place) - before < 3_000 * 40_000 / 2**20
    for one in lines:
        one.socket.close()
