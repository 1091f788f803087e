"""Foreign gRPC clients, unchanged, against a worker: NVIDIA's for Triton, and grpcio's own stubs."""

import asyncio
import os
import queue
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
import trustme
from tritonclient.grpc import service_pb2 as messages
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, shared_memory

from payoff.cli.up import beside
from payoff.codecs.proto import message
from payoff.demo.server import running
from payoff.gateway.grpc_status import Code as Status
from payoff.journal.query import Journal
from payoff.records import Policy, Role
from payoff.store import live
from tests.gateway import endpoints
from tests.gateway.h2_door import Client
from tests.gateway.test_triton_client import column
from tests.gateway.test_worker import post, revision
from tests.shared import PATIENCE_S, until
from tests.walks.test_tls import issued

SERVICE = "/inference.GRPCInferenceService/"
ROWS = 3


@dataclass
class Doors:
    """Where a worker answers, and its process."""

    url: str
    grpc: str
    process: subprocess.Popen[bytes]


@contextmanager
def doors(home: Path, *flags: str, key: str | None = None) -> Iterator[Doors]:
    """A worker with both doors."""
    with (
        socket.create_server(("127.0.0.1", 0)) as http,
        socket.create_server(("127.0.0.1", 0)) as rpc,
        started(home, http, rpc, *flags, key=key) as found,
    ):
        yield found


@contextmanager
def started(
    home: Path, http: socket.socket, rpc: socket.socket, *flags: str, key: str | None = None
) -> Iterator[Doors]:
    command = [sys.executable, "-m", "payoff.gateway.worker", "--home", str(home), "--fd", str(http.fileno())]
    command += ["--grpc-fd", str(rpc.fileno()), *flags]
    environment = {**os.environ, **({"PAYOFF_KEY": key} if key else {})}
    process = subprocess.Popen(command, pass_fds=(http.fileno(), rpc.fileno()), env=environment)
    places = [f"127.0.0.1:{door.getsockname()[1]}" for door in (http, rpc)]
    try:
        yield Doors(f"http://{places[0]}", places[1], process)
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def place(home: Path) -> Iterator[Doors]:
    with doors(home) as found:
        yield found


@pytest.fixture(scope="module")
def client(place: Doors) -> Iterator[Any]:
    with triton.InferenceServerClient(place.grpc) as made:
        yield made


def tensor(name: str, values: Any) -> Any:
    made = triton.InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values)
    return made


def x(*values: float) -> list[Any]:
    return [tensor("x", np.array(values, np.float32))]


def echo(rows: int = ROWS) -> tuple[dict[str, Any], list[Any]]:
    data = {str(kind): column(kind, rows) for kind in endpoints.KINDS}
    return data, [tensor(name, values) for name, values in data.items()]


def check_echo(result: Any, data: dict[str, Any]) -> None:
    for name, values in data.items():
        got = result.as_numpy(f"{name}_out")
        got = np.array([one.decode() for one in got], object) if values.dtype == object else got
        assert (got.shape, got.dtype) == (values.shape, values.dtype)
        np.testing.assert_array_equal(got, values)


def said(result: Any) -> dict[str, Any]:
    """The parameters of a response."""
    given = result.get_response().parameters
    return {name: getattr(value, value.WhichOneof("parameter_choice")) for name, value in given.items()}


# -- inference


def test_every_type_comes_back_as_it_went(client: Any) -> None:
    data, inputs = echo()
    for _ in range(3):
        check_echo(client.infer("echo", inputs), data)


def test_typed_contents_mean_what_raw_bytes_mean(place: Doors) -> None:
    contents = {
        "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
        "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
        "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
    }  # fmt: skip
    data, inputs = echo()
    asked = messages.ModelInferRequest(model_name="echo", id="typed")
    for one in inputs:
        made = asked.inputs.add(name=one.name(), datatype=one.datatype(), shape=one.shape())
        values = data[one.name()].tolist()
        plain = [text.encode() for text in values] if one.datatype() == "BYTES" else values
        getattr(made.contents, contents[one.datatype()]).extend(plain)
    with grpc.insecure_channel(place.grpc) as channel:
        check_echo(triton.InferResult(infer(channel, asked)), data)
        asked.inputs[1].contents.int_contents[0] = 300
        with pytest.raises(grpc.RpcError, match="too large, or too small, for INT8"):
            infer(channel, asked)
        asked.inputs[1].contents.fp32_contents.append(1)
        with pytest.raises(grpc.RpcError, match="has fp32_contents; expected int_contents"):
            infer(channel, asked)


def infer(channel: Any, asked: Any, **how: Any) -> Any:
    """ModelInfer by a stub of grpcio's."""
    stub = channel.unary_unary(
        f"{SERVICE}ModelInfer", messages.ModelInferRequest.SerializeToString, messages.ModelInferResponse.FromString
    )
    return stub(asked, **how)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64, np.int64])
def test_other_numbers_are_numbers_too(client: Any, dtype: Any) -> None:
    values = np.array([1, 2, -8], dtype)
    assert client.infer("times", [tensor("x", values)]).as_numpy("y").tolist() == [2, 4, -16]


def test_the_answer_has_what_the_other_door_answers(client: Any, place: Doors) -> None:
    result = client.infer("times", x(1, 8))
    rows = post(f"{place.url}/predict/times", json=[{"x": 1}, {"x": 8}]).json()["predictions"]
    names = [one.name for one in result.get_response().outputs]
    assert names == ["prediction_id", "y", "decision"]
    assert result.as_numpy("y").tolist() == [row["y"] for row in rows] == [2, 16]
    assert result.as_numpy("decision").tolist() == [row["decision"] for row in rows]
    assert {len(one) for one in result.as_numpy("prediction_id")} == {len(row["prediction_id"]) for row in rows}
    assert said(result) == {"revision": 1, "arm": "champion-2", "version": 2, "why": rows[0]["why"]}


def test_what_was_answered_is_in_the_journal_under_the_id_that_was_told(client: Any, home: Path) -> None:
    ids = [one.decode() for _ in range(3) for one in client.infer("times", x(3, 4)).as_numpy("prediction_id")]
    assert len({*ids}) == 6
    named = ", ".join(f"'{id_}'" for id_ in ids)
    query = f"select inputs.x, outputs.y from predictions where id in ({named}) order by 1"
    assert Journal(home).connect().sql(query).fetchall() == [(3, 6)] * 3 + [(4, 8)] * 3


def test_rows_of_callers_at_the_same_time_are_never_mixed_up(place: Doors) -> None:
    wrong: list[Any] = []

    def ask(first: int) -> None:
        with triton.InferenceServerClient(place.grpc, channel_args=[("grpc.use_local_subchannel_pool", 1)]) as own:
            for number in range(first, first + 60):
                rows = [float(number * 10 + row) for row in range(number % 4 + 1)]
                answer = own.infer("times", x(*rows), request_id=str(number) if number % 2 else "")
                if answer.as_numpy("y").tolist() != [2 * row for row in rows]:
                    wrong.append((rows, answer.as_numpy("y")))
                if answer.get_response().id != (str(number) if number % 2 else ""):
                    wrong.append(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(0, 8_000, 1_000)))
    assert wrong == []


def test_a_request_like_the_one_before_it_is_read_by_its_own_bytes(client: Any) -> None:
    for values, name in (((1.0, 2.0), "a"), ((8.0, 3.0), "b"), ((0.5, 0.25), "é"), ((1.0, 2.0), "")):
        result = client.infer("times", x(*values), request_id=name)
        assert result.as_numpy("y").tolist() == [2 * value for value in values]
        assert result.get_response().id == name
        wanted = [triton.InferRequestedOutput("y"), triton.InferRequestedOutput("prediction_id")]
        only = client.infer("times", x(*values), outputs=wanted, request_id=name)
        assert [one.name for one in only.get_response().outputs] == ["y", "prediction_id"]
        assert only.as_numpy("y").tolist() == [2 * value for value in values]


def test_requests_with_texts_are_read_by_their_own_bytes(client: Any) -> None:
    data, inputs = echo(1)
    heard: queue.Queue[Any] = queue.Queue()
    for number in range(60):
        text = np.array(["é" * number], object)
        asked = [*inputs[:-1], tensor("text", text)]
        client.async_infer("echo", asked, lambda result, error: heard.put((result, error)), request_id=f"{number}")
    for result, _ in [heard.get(timeout=PATIENCE_S) for _ in range(60)]:
        check_echo(result, data | {"text": np.array(["é" * int(result.get_response().id)], object)})


def test_a_text_that_is_none_is_no_fault_of_the_others(place: Doors) -> None:
    _, inputs = echo(1)
    asked = messages.ModelInferRequest(model_name="echo")
    for one in inputs:
        asked.inputs.add(name=one.name(), datatype=one.datatype(), shape=one.shape())
        asked.raw_input_contents.append(one._raw_content)
    with grpc.insecure_channel(place.grpc) as channel:
        stub = channel.unary_unary(
            f"{SERVICE}ModelInfer", messages.ModelInferRequest.SerializeToString, messages.ModelInferResponse.FromString
        )
        calls = []
        for number in range(40):
            asked.raw_input_contents[-1] = b"\1\0\0\0" + (b"\xff" if number % 10 == 7 else b"x")
            calls.append(stub.future(asked))
        codes = [call.code() for call in calls]
    assert [code is grpc.StatusCode.INVALID_ARGUMENT for code in codes] == [number % 10 == 7 for number in range(40)]
    assert codes.count(grpc.StatusCode.OK) == 36


def test_zero_rows_are_zero_answers_and_many_are_many(client: Any) -> None:
    assert client.infer("times", x()).as_numpy("y").shape == (0,)
    values = np.arange(100_000, dtype=np.float32)
    np.testing.assert_array_equal(client.infer("times", [tensor("x", values)]).as_numpy("y"), values * 2)


def test_what_raw_bytes_cannot_say_is_told_beside_them(client: Any) -> None:
    result = client.infer("times", x(8, -200, 1))  # a rule blocks what is under -100
    assert result.as_numpy("decision").tolist() == [True, False, False]
    decision = next(one for one in result.get_response().outputs if one.name == "decision")
    assert decision.parameters["nulls"].string_param == "[1]"
    assert np.isnan(result.as_numpy("y")).tolist() == [False, True, False]
    assert [why.decode() for why in result.as_numpy("why")][1] == "blocked by a rule"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_messages_may_be_packed(client: Any, coding: str) -> None:
    values = np.arange(5_000, dtype=np.float32)
    result = client.infer("times", [tensor("x", values)], compression_algorithm=coding)
    np.testing.assert_array_equal(result.as_numpy("y"), values * 2)


def test_outputs_may_be_asked_for_as_classes(client: Any) -> None:
    values = np.array([[0.25, 0.5, -1, 0.125]], np.float32)
    wanted = [triton.InferRequestedOutput("x_out", class_count=2)]
    result = client.infer("scores", [tensor("x", values)], outputs=wanted)
    assert result.as_numpy("x_out").tolist() == [[b"0.500000:1", b"0.250000:0"]]


def test_tensors_may_lie_in_shared_memory(client: Any) -> None:
    name, values = f"payoff-{secrets.token_hex(6)}", np.array([1, 2, 8], np.float32)
    memory = shared_memory.create_shared_memory_region(name, f"/{name}", 64)
    client.register_system_shared_memory(name, f"/{name}", 64)
    try:
        shared_memory.set_shared_memory_region(memory, [values])
        asked = triton.InferInput("x", [3], "FP32")
        asked.set_shared_memory(name, 12)
        wanted = [triton.InferRequestedOutput("y"), triton.InferRequestedOutput("decision")]
        wanted[0].set_shared_memory(name, 20, offset=24)
        result = client.infer("times", [asked], outputs=wanted)
        got = shared_memory.get_contents_as_numpy(memory, np.float32, [3], offset=24)
        np.testing.assert_array_equal(got, values * 2)
        assert result.as_numpy("decision").tolist() == [False, False, True]
        regions = client.get_system_shared_memory_status(name).regions
        assert (regions[name].key, regions[name].byte_size) == (f"/{name}", 64)
        del got
    finally:
        client.unregister_system_shared_memory(name)
        shared_memory.destroy_shared_memory_region(memory)
    assert name not in client.get_system_shared_memory_status().regions
    assert dict(client.get_cuda_shared_memory_status().regions) == {}
    with pytest.raises(InferenceServerException, match="CUDA shared memory is not supported"):
        client.register_cuda_shared_memory("gpu", b"", 0, 8)


@pytest.mark.parametrize(
    ("model", "inputs", "status", "says"),
    [
        ("nothing", x(1), "NOT_FOUND", "no endpoint called 'nothing'; there are: echo, scores, times"),
        ("times", [tensor("z", np.ones(1, np.float32))], "INVALID_ARGUMENT", "unknown input 'z'"),
        ("times", [tensor("x", np.ones((2, 2), np.float32))], "INVALID_ARGUMENT", "has the shape [2, 2]"),
        ("times", [tensor("x", np.array(["a"], object))], "INVALID_ARGUMENT", "datatype 'BYTES'"),
        ("times", [], "INVALID_ARGUMENT", "missing input 'x'"),
        ("times", x(float("nan")), "INVALID_ARGUMENT", "row 0"),
        ("times", [tensor("x", np.ones(100_001, np.float32))], "RESOURCE_EXHAUSTED", "the limit is 100000"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(client: Any, model: str, inputs: list[Any], status: str, says: str) -> None:
    with pytest.raises(InferenceServerException) as error:
        client.infer(model, inputs)
    assert error.value.status() == f"StatusCode.{status}"
    assert says in error.value.message()


def test_bytes_that_are_no_message_are_told_so(place: Doors) -> None:
    with grpc.insecure_channel(place.grpc) as channel:
        for data in (b"\xff\xff", b"\x0a\x05times\x3a\xff", b"\x0a\x02\xff\xfe"):
            with pytest.raises(grpc.RpcError) as error:
                channel.unary_unary(f"{SERVICE}ModelInfer")(data)
            assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "no inference.ModelInferRequest" in error.value.details()
        with pytest.raises(grpc.RpcError) as error:
            channel.unary_unary(f"{SERVICE}Strange")(b"")
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_id_that_is_no_text_is_refused_also_where_one_like_it_came_before(place: Doors) -> None:
    asked = messages.ModelInferRequest(model_name="times", id="abcd")
    asked.inputs.add(name="x", datatype="FP32", shape=[1])
    asked.raw_input_contents.append(np.float32(4).tobytes())
    right = asked.SerializeToString()
    with grpc.insecure_channel(place.grpc) as channel:
        stub = channel.unary_unary(f"{SERVICE}ModelInfer")
        assert stub(right) and stub(right)  # noqa: PT018 - the same, twice
        with pytest.raises(grpc.RpcError) as error:
            stub(right.replace(b"abcd", b"\xff\xfe\xfd\xfc"))
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_null_is_no_fault_of_the_others(client: Any, place: Doors) -> None:
    with grpc.insecure_channel(place.grpc) as channel:
        stub = channel.unary_unary(
            f"{SERVICE}ModelInfer", messages.ModelInferRequest.SerializeToString, messages.ModelInferResponse.FromString
        )
        calls = []
        for number in range(40):
            asked = messages.ModelInferRequest(model_name="times")
            asked.inputs.add(name="x", datatype="FP32", shape=[1])
            asked.raw_input_contents.append(np.float32("nan" if number == 7 else number).tobytes())
            calls.append(stub.future(asked))
        for number, call in enumerate(calls):
            if number == 7:
                assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
            else:
                assert triton.InferResult(call.result()).as_numpy("y").tolist() == [2 * number]


# -- streams, and other faces of the client


def test_a_stream_answers_in_order_and_goes_on_after_an_error(client: Any) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: heard.put((result, error)))
    for number in range(200):
        wrong = number % 50 == 3
        client.async_stream_infer("nothing" if wrong else "times", x(number), request_id=str(number))
    for number in range(200):
        result, error = heard.get(timeout=PATIENCE_S)
        if number % 50 == 3:
            assert "no endpoint called 'nothing'" in error.message()
        else:
            assert result.get_response().id == str(number)
            assert result.as_numpy("y").tolist() == [2 * number]
    client.async_stream_infer("times", x(1), enable_empty_final_response=True)
    assert said(heard.get(timeout=PATIENCE_S)[0])["triton_final_response"] is True
    client.stop_stream()


def test_the_client_of_asyncio_works_unchanged(place: Doors) -> None:
    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(place.grpc) as own:
            assert await own.is_server_live()
            assert await own.is_model_ready("times")

            async def each() -> Any:
                for number in range(5):
                    yield {"model_name": "times", "inputs": x(number), "request_id": str(number)}

            streamed = [result.as_numpy("y").item() async for result, _ in own.stream_infer(each())]
            results = await asyncio.gather(*(own.infer("times", x(number)) for number in range(100)))
            return streamed + [result.as_numpy("y").item() for result in results]

    assert asyncio.run(ask()) == [2 * number for number in (*range(5), *range(100))]


def test_calls_may_be_sent_without_waiting_and_be_taken_back(client: Any) -> None:
    heard: queue.Queue[Any] = queue.Queue()
    for number in range(50):
        client.async_infer("times", x(number), lambda result, error: heard.put((result, error)), request_id=str(number))
    got = {int(result.get_response().id): result.as_numpy("y").item() for result, _ in (heard.get() for _ in range(50))}
    assert got == {number: 2 * number for number in range(50)}
    client.async_infer("times", x(1), lambda result, error: heard.put((result, error))).cancel()
    heard.get(timeout=PATIENCE_S)
    assert client.infer("times", x(1)).as_numpy("y").tolist() == [2]


def test_a_call_that_has_no_time_left_is_not_run(client: Any) -> None:
    assert client.infer("times", x(1), client_timeout=60).as_numpy("y").tolist() == [2]
    with pytest.raises(InferenceServerException) as error:
        client.infer("times", x(1), timeout=1)
    assert error.value.status() == "StatusCode.DEADLINE_EXCEEDED"


# -- what a server is asked besides inference


def test_the_server_and_its_endpoints_say_what_they_are(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata().name == "payoff"
    assert client.is_model_ready("scores", "1")
    assert not client.is_model_ready("nothing")
    (described,) = client.get_model_metadata("scores").inputs
    assert (described.name, described.datatype, [*described.shape]) == ("x", "FP32", [-1, 4])
    config = client.get_model_config("scores", as_json=True)["config"]
    assert (config["max_batch_size"], config["input"][0]["data_type"]) == (100_000, "TYPE_FP32")
    with pytest.raises(InferenceServerException, match="no endpoint called 'nothing'"):
        client.get_model_metadata("nothing")


def test_the_repository_lists_wakes_and_moves_nothing(client: Any) -> None:
    client.load_model("scores")
    index = {entry.name: (entry.version, entry.state) for entry in client.get_model_repository_index().models}
    assert index.keys() == {"echo", "scores", "times"}
    assert index["scores"] == ("1", "READY")
    with pytest.raises(InferenceServerException, match="payoff deploy"):
        client.load_model("scores", config="{}")
    with pytest.raises(InferenceServerException, match="moves only by orders"):
        client.unload_model("scores")


def test_statistics_and_settings_are_told(client: Any) -> None:
    client.infer("scores", [tensor("x", np.ones((5, 4), np.float32))])
    (found,) = client.get_inference_statistics("scores").model_stats
    assert found.inference_count >= 5
    assert found.inference_stats.success.count >= 1
    assert [*client.get_trace_settings().settings["trace_level"].value] == ["OFF"]
    assert client.get_log_settings().settings["log_error"].bool_param is True
    client.update_trace_settings(settings={})
    with pytest.raises(InferenceServerException, match="'trace_level' cannot be changed"):
        client.update_trace_settings("times", settings={"trace_level": ["TIMESTAMPS"]})
    with pytest.raises(InferenceServerException, match="'log_verbose_level' cannot be changed"):
        client.update_log_settings({"log_verbose_level": 3})


Check, Checked = message("grpc.health.v1.HealthCheckRequest"), message("grpc.health.v1.HealthCheckResponse")


def test_health_is_what_kubernetes_asks_for(place: Doors) -> None:
    with grpc.insecure_channel(place.grpc) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", Check.SerializeToString, Checked.FromString)
        for service in ("", "inference.GRPCInferenceService", "times"):
            answer: Any = check(Check(service=service))
            assert answer.status == 1
        with pytest.raises(grpc.RpcError) as error:
            check(Check(service="nothing"))
        assert error.value.code() is grpc.StatusCode.NOT_FOUND


def test_whoever_watches_hears_of_an_endpoint_that_comes_and_of_the_end(tmp_path: Path) -> None:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0)))
    heard: queue.Queue[Any] = queue.Queue()

    def listen(watch: Any) -> None:
        try:
            for answer in watch:
                heard.put(answer.status)
        except grpc.RpcError as error:
            heard.put(error.code())

    with doors(tmp_path) as place, grpc.insecure_channel(place.grpc) as channel:
        stub = channel.unary_stream("/grpc.health.v1.Health/Watch", Check.SerializeToString, Checked.FromString)
        listener = threading.Thread(target=listen, args=(stub(Check(service="scores")),))
        listener.start()
        assert heard.get(timeout=PATIENCE_S) == 3  # SERVICE_UNKNOWN
        endpoints.publish(tmp_path)
        assert heard.get(timeout=PATIENCE_S) == 1
        place.process.send_signal(signal.SIGTERM)
        assert heard.get(timeout=PATIENCE_S) is grpc.StatusCode.UNAVAILABLE
        listener.join()


# -- the door


def test_a_door_with_a_key_opens_to_that_key_only(home: Path) -> None:
    with doors(home, key="sesame") as place, triton.InferenceServerClient(place.grpc) as own:
        for headers in ({}, {"authorization": "Bearer wrong"}):
            with pytest.raises(InferenceServerException) as error:
                own.infer("times", x(1), headers=headers)
            assert error.value.status() == "StatusCode.UNAUTHENTICATED"
        assert own.infer("times", x(1), headers={"authorization": "Bearer sesame"}).as_numpy("y").tolist() == [2]


def test_a_name_that_was_bound_to_this_machine_by_a_stranger_is_refused(place: Doors) -> None:
    with grpc.insecure_channel(place.grpc, [("grpc.default_authority", "evil.example")]) as channel:
        with pytest.raises(grpc.RpcError) as error:
            infer(channel, messages.ModelInferRequest(model_name="times"))
        assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_over_tls_the_door_speaks_to_those_who_trust_it(home: Path, tmp_path: Path) -> None:
    files = issued(tmp_path, trustme.CA())
    trusting = grpc.ssl_channel_credentials(files.ca.read_bytes())
    with doors(home, *files.flags()) as place:
        with triton.InferenceServerClient(place.grpc, ssl=True, creds=trusting) as own:
            for number in range(5):
                assert own.infer("times", x(number)).as_numpy("y").tolist() == [2 * number]
            values = np.arange(50_000, dtype=np.float32)
            np.testing.assert_array_equal(own.infer("times", [tensor("x", values)]).as_numpy("y"), values * 2)
        for channel in (
            grpc.insecure_channel(place.grpc),
            grpc.secure_channel(place.grpc, grpc.ssl_channel_credentials()),
        ):
            with channel, pytest.raises(grpc.RpcError) as error:
                infer(channel, messages.ModelInferRequest(model_name="times"), timeout=PATIENCE_S)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("http", "place"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8001"), ("0.0.0.0:80", "0.0.0.0:81"), ("[::1]:9000", "[::1]:9001"),
        ("127.0.0.1:0", "127.0.0.1:0"),
    ],
)  # fmt: skip
def test_the_door_is_beside_that_for_http(http: str, place: str) -> None:
    assert beside(http) == place


def test_payoff_up_opens_the_door_that_is_asked_for(tmp_path: Path) -> None:
    with running(tmp_path / "usual", workers=1) as server, triton.InferenceServerClient(server.grpc) as own:
        assert own.is_server_live()
        log = tmp_path / "usual" / "server.log"
        until(lambda: f"grpc       {server.grpc}" in log.read_text(), "the log says where the door is")
    flags = ["--grpc-server", "grpcio"]
    with running(tmp_path / "io", 2, flags=flags) as server, triton.InferenceServerClient(server.grpc) as own:
        until(lambda: ready(own), "the door answers")
        assert own.is_server_live()
    with running(tmp_path / "none", workers=1, flags=["--grpc", "none"]) as server:
        assert server.grpc == ""
        assert "grpc" not in (tmp_path / "none" / "server.log").read_text()


def ready(client: Any) -> bool:
    with suppress(InferenceServerException):
        return bool(client.is_server_ready())
    return False


def test_a_message_over_the_limit_is_refused_and_the_next_is_answered(home: Path) -> None:
    with doors(home, "--body-bytes-max", "20000") as place, triton.InferenceServerClient(place.grpc) as own:
        with pytest.raises(InferenceServerException, match="the limit is 20,000"):
            own.infer("times", [tensor("x", np.ones(50_000, np.float32))])
        assert own.infer("times", x(1)).as_numpy("y").tolist() == [2]


def test_no_call_fails_while_endpoints_are_swapped_and_the_worker_leaves(tmp_path: Path) -> None:
    live.publish(tmp_path, revision(tmp_path, 1, (Role.CHAMPION, 2, 0), policy=Policy()))
    heard: list[tuple[int, float]] = []

    def ask(client: Any) -> int:
        """A call, and the version that answered it."""
        result = client.infer("times", x(1))
        heard.append((int(result.get_response().model_version), result.as_numpy("y").item()))
        return heard[-1][0]

    with doors(tmp_path) as place, triton.InferenceServerClient(place.grpc) as own:
        for number in range(2, 12):
            factor = 2 + number % 2
            live.publish(tmp_path, revision(tmp_path, number, (Role.CHAMPION, factor, 0), policy=Policy()))
            until(lambda number=number: ask(own) == number, f"revision {number} answers")  # type: ignore[misc]
    assert all(answer == (2 + version % 2 if version > 1 else 2) for version, answer in heard)
    assert [version for version, _ in heard] == sorted(version for version, _ in heard)


def test_calls_under_way_are_answered_when_the_worker_leaves(home: Path) -> None:
    asked = messages.ModelInferRequest(model_name="times")
    asked.inputs.add(name="x", datatype="FP32", shape=[1])
    asked.raw_input_contents.append(np.float32(4).tobytes())
    message = asked.SerializeToString()
    with doors(home) as place, Client(int(place.grpc.rpartition(":")[2])) as client:
        to = {"path": f"{SERVICE}ModelInfer", "authority": place.grpc}
        assert client.call(message, **to).status is Status.OK
        client.send(*[frame for _ in range(300) for frame in client.request(message, **to)])
        place.process.send_signal(signal.SIGTERM)
        statuses = [client.answer(stream).status for stream in range(3, 2 * 300 + 3, 2)]
    assert statuses == [Status.OK] * 300
