"""NVIDIA's client for Triton, unchanged, against a worker: every call it has, every datatype, every way to send it."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from tritonclient.utils import InferenceServerException, np_to_triton_dtype, shared_memory

from payoff.records import Type
from tests.gateway import endpoints
from tests.gateway.test_worker import worker
from tests.shared import PATIENCE_S

ROWS = 3


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    with worker(home) as found:
        yield found.removeprefix("http://")


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    with triton.InferenceServerClient(url, concurrency=4, network_timeout=PATIENCE_S) as made:
        yield made


def column(kind: Type, rows: int = ROWS) -> Any:
    """Values of a type, its extremes among them."""
    if kind is Type.TEXT:
        return np.array(["é\0", "", "x" * 300][:rows], object)
    if kind is Type.BOOL:
        return np.array([True, False, True][:rows], bool)
    if kind.is_float:
        return np.array([0.1, -3.4028234663852886e38, 2**-126][:rows], kind.dtype)
    span = np.iinfo(kind.dtype)
    return np.array([span.min, 1, span.max][:rows], kind.dtype)


def tensor(name: str, values: Any, binary: bool = True, cls: Any = triton.InferInput) -> Any:
    made = cls(name, list(values.shape), np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def echo(rows: int = ROWS, binary: bool = True) -> tuple[dict[str, Any], list[Any]]:
    """A value of every type, and what asks for it."""
    data = {str(kind): column(kind, rows) for kind in endpoints.KINDS}
    return data, [tensor(name, values, binary) for name, values in data.items()]


def check_echo(result: Any, data: dict[str, Any]) -> None:
    for name, values in data.items():
        got = result.as_numpy(f"{name}_out")
        if values.dtype == object:
            got = np.array([one.decode() if isinstance(one, bytes) else one for one in got], object)
        assert got.shape == values.shape
        assert got.dtype == values.dtype
        np.testing.assert_array_equal(got, values)


# -- every datatype, both ways


@pytest.mark.parametrize("answered_in_binary", [True, False])
@pytest.mark.parametrize("asked_in_binary", [True, False])
def test_every_type_comes_back_as_it_went(client: Any, asked_in_binary: bool, answered_in_binary: bool) -> None:
    data, inputs = echo(binary=asked_in_binary)
    outputs = [triton.InferRequestedOutput(f"{name}_out", binary_data=answered_in_binary) for name in data]
    check_echo(client.infer("echo", inputs, outputs=outputs), data)


@pytest.mark.parametrize("binary", [True, False])
def test_zero_rows_are_zero_answers(client: Any, binary: bool) -> None:
    data, inputs = echo(rows=0, binary=binary)
    result = client.infer("echo", inputs)
    assert all(result.as_numpy(f"{name}_out").shape == (0,) for name in data)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_floats_are_numbers(client: Any, dtype: Any) -> None:
    values = np.array([1, 2.5, -8], dtype)
    assert client.infer("times", [tensor("x", values)]).as_numpy("y").tolist() == [2, 5, -16]


def test_a_hundred_thousand_rows_come_back_in_one_call(client: Any) -> None:
    values = np.arange(100_000, dtype=np.float32)
    np.testing.assert_array_equal(client.infer("times", [tensor("x", values)]).as_numpy("y"), values * 2)


# -- ids, outputs and parameters


def test_the_id_comes_back(client: Any) -> None:
    for binary in (True, False):
        asked = [tensor("x", np.ones(1, np.float32), binary)]
        wanted = [triton.InferRequestedOutput("y", binary_data=binary)]
        assert client.infer("times", asked, outputs=wanted, request_id="é-7").get_response()["id"] == "é-7"
        assert "id" not in client.infer("times", asked, outputs=wanted).get_response()


def test_outputs_come_in_the_order_asked_each_in_the_form_asked(client: Any) -> None:
    wanted = [
        triton.InferRequestedOutput("decision", binary_data=False),
        triton.InferRequestedOutput("y", binary_data=True),
        triton.InferRequestedOutput("prediction_id", binary_data=False),
    ]
    result = client.infer("times", [tensor("x", np.array([1, 8], np.float32))], outputs=wanted)
    said = result.get_response()["outputs"]
    assert [one["name"] for one in said] == ["decision", "y", "prediction_id"]
    assert ["data" in one for one in said] == [True, False, True]
    assert result.as_numpy("decision").tolist() == [False, True]
    assert result.as_numpy("y").tolist() == [2, 16]


def test_rows_that_no_version_answered_can_be_read_as_bytes(client: Any) -> None:
    values = np.array([1, 2_000_000, 8], np.float32)  # the second breaks a rule, and the fallback answers
    result = client.infer("times", [tensor("x", values)])
    assert result.as_numpy("version").tolist() == [2, 0, 2]
    assert result.as_numpy("why").tolist() == [b"champion", b"fallback: a rule was broken", b"champion"]
    np.testing.assert_array_equal(result.as_numpy("y"), np.array([2, np.nan, 16], np.float32))
    wanted = [triton.InferRequestedOutput("version", binary_data=False)]
    said = client.infer("times", [tensor("x", values)], outputs=wanted).get_output("version")
    assert said["data"] == [2, None, 2]


def test_parameters_of_the_callers_own_are_fine(client: Any) -> None:
    asked = [tensor("x", np.ones(1, np.float32))]
    result = client.infer("times", asked, priority=1, timeout=60_000_000, parameters={"customer": "c", "n": 3})
    assert result.as_numpy("y").tolist() == [2]


def test_a_sequence_is_refused_for_nothing_is_kept_between_calls(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="sequence"):
        client.infer("times", [tensor("x", np.ones(1, np.float32))], sequence_id=7, sequence_start=True)


@pytest.mark.parametrize("binary", [True, False])
def test_an_output_can_be_asked_for_as_classes(client: Any, binary: bool) -> None:
    values = np.array([[0.25, 0.5, -1, 0.125], [4, 3, 2, 1]], np.float32)
    wanted = [triton.InferRequestedOutput("x_out", binary_data=binary, class_count=2)]
    result = client.infer("scores", [tensor("x", values)], outputs=wanted)
    got = [[one.decode() if isinstance(one, bytes) else one for one in row] for row in result.as_numpy("x_out")]
    assert got == [["0.500000:1", "0.250000:0"], ["4.000000:0", "3.000000:1"]]


# -- packed bodies


@pytest.mark.parametrize("answer", [None, "gzip", "deflate"])
@pytest.mark.parametrize("ask", ["gzip", "deflate"])
def test_bodies_may_be_packed_both_ways(client: Any, ask: str, answer: str | None) -> None:
    values = np.arange(20_000, dtype=np.float32)
    for binary in (True, False):
        wanted = [triton.InferRequestedOutput("y", binary_data=binary)]
        result = client.infer(
            "times", [tensor("x", values, binary)], outputs=wanted,
            request_compression_algorithm=ask, response_compression_algorithm=answer,
        )  # fmt: skip
        np.testing.assert_array_equal(result.as_numpy("y"), values * 2)


# -- shared memory


class Memory:
    """A shared memory object of the client's, registered with the server under its own name."""

    def __init__(self, client: Any, size: int) -> None:
        self.name = f"payoff-{secrets.token_hex(6)}"
        self._client, self.handle = client, shared_memory.create_shared_memory_region(self.name, f"/{self.name}", size)
        client.register_system_shared_memory(self.name, f"/{self.name}", size)

    def __enter__(self) -> "Memory":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.unregister_system_shared_memory(self.name)
        shared_memory.destroy_shared_memory_region(self.handle)


def test_inputs_and_outputs_may_lie_in_shared_memory(client: Any) -> None:
    values = np.array([1, 2, 8], np.float32)
    with Memory(client, 64) as memory:
        shared_memory.set_shared_memory_region(memory.handle, [values], offset=4)
        asked = triton.InferInput("x", [3], "FP32")
        asked.set_shared_memory(memory.name, 12, offset=4)
        wanted = triton.InferRequestedOutput("y")
        wanted.set_shared_memory(memory.name, 20, offset=24)
        other = triton.InferRequestedOutput("decision", binary_data=True)
        result = client.infer("times", [asked], outputs=[wanted, other], request_id="7")
        said = result.get_output("y")
        assert (said["datatype"], said["shape"]) == ("FP32", [3])
        assert said.keys() == {"name", "datatype", "shape"}
        got = shared_memory.get_contents_as_numpy(memory.handle, np.float32, [3], offset=24)
        np.testing.assert_array_equal(got, values * 2)
        assert result.as_numpy("decision").tolist() == [False, False, True]
        assert result.get_response()["id"] == "7"
        status = client.get_system_shared_memory_status(memory.name)
        assert status == [{"name": memory.name, "key": f"/{memory.name}", "offset": 0, "byte_size": 64}]
        del got
    assert memory.name not in [one["name"] for one in client.get_system_shared_memory_status()]


def test_texts_may_lie_in_shared_memory(client: Any) -> None:
    data, inputs = echo()
    raw = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in data["text"])
    with Memory(client, 4_096) as memory:
        shared_memory.set_shared_memory_region(memory.handle, [np.frombuffer(raw, np.uint8)])
        inputs[-1].set_shared_memory(memory.name, len(raw))
        wanted = triton.InferRequestedOutput("text_out")
        wanted.set_shared_memory(memory.name, 2_048, offset=2_048)
        client.infer("echo", inputs, outputs=[wanted])
        got = shared_memory.get_contents_as_numpy(memory.handle, np.object_, [ROWS], offset=2_048)
        assert [text.decode() for text in got] == data["text"].tolist()


def test_what_is_amiss_with_shared_memory_is_told(client: Any) -> None:
    asked, wanted = triton.InferInput("x", [3], "FP32"), triton.InferRequestedOutput("y")
    with pytest.raises(InferenceServerException, match="there is none of that name"):
        client.register_system_shared_memory("nothing", "/payoff-nothing", 8)
    with pytest.raises(InferenceServerException, match="no region 'nothing'"):
        client.get_system_shared_memory_status("nothing")
    asked.set_shared_memory("nothing", 12)
    with pytest.raises(InferenceServerException, match="no region 'nothing'"):
        client.infer("times", [asked])
    with Memory(client, 16) as memory:
        asked.set_shared_memory(memory.name, 12, offset=8)
        with pytest.raises(InferenceServerException, match="it has 16 bytes"):
            client.infer("times", [asked])
        asked.set_shared_memory(memory.name, 8)
        with pytest.raises(InferenceServerException, match="input 'x' has 8 bytes; its shape and FP32 need 12"):
            client.infer("times", [asked])
        asked.set_data_from_numpy(np.ones(3, np.float32))
        wanted.set_shared_memory(memory.name, 8)
        with pytest.raises(InferenceServerException, match="the answer has 12 bytes"):
            client.infer("times", [asked], outputs=[wanted])
    client.unregister_cuda_shared_memory()
    assert client.get_cuda_shared_memory_status() == []
    with pytest.raises(InferenceServerException, match="CUDA shared memory is not supported"):
        client.register_cuda_shared_memory("gpu", b"", 0, 8)


# -- what a server is asked besides inference


def test_the_server_says_what_it_is(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    said = client.get_server_metadata()
    assert said["name"] == "payoff"
    assert {"system_shared_memory", "classification", "binary_tensor_data", "statistics"} <= {*said["extensions"]}


def test_an_endpoint_says_what_it_is(client: Any) -> None:
    assert client.is_model_ready("scores", "1")
    assert not client.is_model_ready("nothing")
    assert client.get_model_metadata("scores")["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    said = client.get_model_config("scores")
    assert (said["name"], said["max_batch_size"]) == ("scores", 100_000)
    (described,) = said["input"]
    assert (described["name"], described["data_type"], described["dims"]) == ("x", "TYPE_FP32", [4])
    with pytest.raises(InferenceServerException, match="leave /versions/9 out"):
        client.get_model_config("scores", "9")


def test_the_repository_lists_wakes_and_moves_nothing(client: Any) -> None:
    index = {entry["name"]: entry for entry in client.get_model_repository_index()}
    assert index.keys() == {"echo", "scores", "times"}
    client.load_model("scores")
    index = {entry["name"]: entry for entry in client.get_model_repository_index()}
    assert index["scores"] == {"name": "scores", "version": "1", "state": "READY", "reason": ""}
    with pytest.raises(InferenceServerException, match="payoff deploy"):
        client.load_model("scores", config="{}")
    with pytest.raises(InferenceServerException, match="no endpoint called 'nothing'"):
        client.load_model("nothing")
    with pytest.raises(InferenceServerException, match="moves only by orders"):
        client.unload_model("scores")
    assert client.is_model_ready("scores")


def test_statistics_count_calls_rows_and_what_went_wrong(client: Any) -> None:
    def counted() -> tuple[int, int, int, int]:
        (said,) = client.get_inference_statistics("scores")["model_stats"]
        took = said["inference_stats"]
        assert took["compute_infer"]["count"] == took["queue"]["count"] == took["success"]["count"]
        return said["inference_count"], said["execution_count"], took["success"]["count"], took["success"]["ns"]

    asked = [tensor("x", np.ones((5, 4), np.float32))]
    client.infer("scores", asked)
    rows, batches, calls, ns = counted()
    client.infer("scores", asked)
    after = counted()
    assert after[:3] == (rows + 5, batches + 1, calls + 1)
    assert after[3] > ns
    assert "scores" in [one["name"] for one in client.get_inference_statistics()["model_stats"]]


def test_settings_are_told_and_not_changed(client: Any) -> None:
    assert client.get_trace_settings()["trace_level"] == ["OFF"]
    assert client.get_log_settings()["log_error"] is True
    client.update_trace_settings(settings={})
    client.update_log_settings({"log_verbose_level": 0})
    with pytest.raises(InferenceServerException, match="'trace_level' cannot be changed"):
        client.update_trace_settings("times", settings={"trace_level": ["TIMESTAMPS"]})
    with pytest.raises(InferenceServerException, match="'log_verbose_level' cannot be changed"):
        client.update_log_settings({"log_verbose_level": 3})


# -- its other faces


def test_calls_may_be_sent_without_waiting(client: Any) -> None:
    waiting = [client.async_infer("times", [tensor("x", np.array([n], np.float32))]) for n in range(20)]
    assert [one.get_result(timeout=PATIENCE_S).as_numpy("y").item() for one in waiting] == [2 * n for n in range(20)]


@pytest.mark.parametrize("answer", [None, "gzip"])
def test_the_client_of_asyncio_works_unchanged(url: str, answer: str | None) -> None:
    values = np.arange(20_000, dtype=np.float32)

    async def ask() -> Any:
        async with triton_aio.InferenceServerClient(url, conn_timeout=PATIENCE_S) as client:
            assert await client.is_server_live()
            assert await client.is_model_ready("times")
            assert (await client.get_model_metadata("times"))["name"] == "times"
            asked = [tensor("x", values, cls=triton_aio.InferInput)]
            how = {"request_compression_algorithm": answer, "response_compression_algorithm": answer}
            results = await asyncio.gather(*(client.infer("times", asked, **how) for _ in range(5)))
            return [result.as_numpy("y") for result in results]

    for got in asyncio.run(ask()):
        np.testing.assert_array_equal(got, values * 2)
