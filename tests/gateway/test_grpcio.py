"""The gRPC door with grpcio's server behind it: the same methods, the same answers."""

import queue
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

from payoff.records import Role
from payoff.store import live
from tests.gateway import endpoints
from tests.gateway.test_grpc import Check, Checked, check_echo, echo, said, started, x
from tests.gateway.test_worker import revision
from tests.shared import PATIENCE_S


@contextmanager
def place(home: Path, key: str | None = None) -> Iterator[str]:
    with socket.socket() as kept, socket.create_server(("127.0.0.1", 0)) as http:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        with started(home, http, kept, "--grpc-server", "grpcio", key=key) as found:
            yield found.grpc


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    live.publish(home, revision(home, 1, (Role.CHAMPION, 2, 0)))
    endpoints.publish(home)
    with place(home) as found:
        yield found


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address) as made:
        yield made


def ready(address: str) -> bool:
    """The worker binds the port itself: it may take a moment."""
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=PATIENCE_S)
    return True


def test_calls_are_answered_as_by_our_own_server(client: Any, address: str) -> None:
    assert ready(address)
    data, inputs = echo()
    for _ in range(3):
        check_echo(client.infer("echo", inputs, request_id="7"), data)
    result = client.infer("times", x(1, 8))
    assert result.as_numpy("decision").tolist() == [False, True]
    assert said(result)["arm"] == "champion-2"
    assert client.is_server_ready()
    assert {entry.name for entry in client.get_model_repository_index().models} == {"echo", "scores", "times"}


def test_errors_have_the_same_words_and_codes(client: Any, address: str) -> None:
    assert ready(address)
    with pytest.raises(InferenceServerException) as error:
        client.infer("nothing", x(1))
    assert error.value.status() == "StatusCode.NOT_FOUND"
    assert "there are: echo, scores, times" in error.value.message()


def test_a_stream_answers_in_order(client: Any, address: str) -> None:
    assert ready(address)
    heard: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: heard.put((result, error)))
    for number in range(100):
        client.async_stream_infer("nothing" if number == 3 else "times", x(number), request_id=str(number))
    for number in range(100):
        result, error = heard.get(timeout=PATIENCE_S)
        if number == 3:
            assert "no endpoint called 'nothing'" in error.message()
        else:
            assert (result.get_response().id, result.as_numpy("y").tolist()) == (str(number), [2 * number])
    client.stop_stream()


def test_health_can_be_watched(address: str) -> None:
    assert ready(address)
    with grpc.insecure_channel(address) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch", Check.SerializeToString, Checked.FromString)
        answers = watch(Check(service="times"))
        first: Any = next(iter(answers))
        assert first.status == 1
        answers.cancel()


def test_a_key_is_asked_for_here_too(tmp_path: Path) -> None:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0)))
    with place(tmp_path, key="sesame") as found, triton.InferenceServerClient(found) as own:
        assert ready(found)
        with pytest.raises(InferenceServerException) as error:
            own.infer("times", x(1))
        assert error.value.status() == "StatusCode.UNAUTHENTICATED"
        assert own.infer("times", x(1), headers={"authorization": "Bearer sesame"}).as_numpy("y").tolist() == [2]
