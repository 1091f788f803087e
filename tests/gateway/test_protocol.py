"""The Open Inference Protocol as it goes over the wire: requests as KServe's client and curl send them, packed bodies,
and what becomes of requests that have been tampered with."""

import gzip
import json
import secrets
import subprocess
import zlib
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from backports import zstd

from tests.gateway.test_worker import worker
from tests.shared import PATIENCE_S, until

INFER = "/v2/models/times/infer"
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}
BODY_BYTES_MAX = 1 << 20


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[httpx.Client]:
    with (
        worker(home, None, "--body-bytes-max", str(BODY_BYTES_MAX)) as url,
        httpx.Client(base_url=url, timeout=PATIENCE_S, headers={"accept-encoding": "identity"}) as made,
    ):
        yield made


def said(*rows: float, **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [len(rows)], "datatype": "FP32", "data": [*rows]}], **more}


def output(reply: httpx.Response, name: str) -> Any:
    assert reply.status_code == 200, reply.text
    return next(one for one in reply.json()["outputs"] if one["name"] == name)["data"]


# -- as KServe's client sends it


def test_kserve_names_the_model_in_the_body_and_sends_an_id_of_its_own(client: httpx.Client) -> None:
    body = {"id": "b9c1", "model_name": "times", **said(1, 8), "parameters": {"a": 1, "b": "x", "c": 1.5}}
    reply = client.post(INFER, content=json.dumps(body), headers={"content-type": "application/json"})
    assert output(reply, "y") == [2, 16]
    assert reply.json()["id"] == "b9c1"


def test_kserve_sends_raw_bytes_and_takes_raw_answers(client: httpx.Client) -> None:
    raw = np.array([1, 8], np.float16).tobytes()
    tensor = {"name": "x", "shape": [2], "datatype": "FP16", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"id": "1", "inputs": [tensor], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]})
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    reply = client.post(INFER, content=head.encode() + raw, headers=headers)
    length = int(reply.headers["inference-header-content-length"])
    assert reply.headers["content-type"] == "application/octet-stream"
    assert json.loads(reply.content[:length])["outputs"] == [
        {"name": "y", "datatype": "FP32", "shape": [2], "parameters": {"binary_data_size": 8}}
    ]
    assert np.frombuffer(reply.content[length:], np.float32).tolist() == [2, 16]


def test_kserve_sends_nothing_for_no_rows_and_no_header_either(client: httpx.Client) -> None:
    tensor = {"name": "x", "shape": [0], "datatype": "FP32", "data": None, "parameters": {"binary_data_size": 0}}
    assert output(client.post(INFER, json={"inputs": [tensor]}), "y") == []


def test_readiness_is_a_status(client: httpx.Client) -> None:
    assert client.get("/v2/health/ready").json() == {"ready": True}
    assert client.get("/v2/models/times/ready").is_success
    assert client.get("/v2/models/nothing/ready").status_code == 404
    assert client.get("/v2/models").json()["models"] == ["echo", "scores", "times"]


# -- packed bodies


@pytest.mark.parametrize("coding", PACKERS)
def test_a_packed_request_gets_the_same_answer(client: httpx.Client, coding: str) -> None:
    for body in (said(1, 8), said(*range(1_000))):
        packed = PACKERS[coding](json.dumps(body).encode())
        reply = client.post(INFER, content=packed, headers={"content-encoding": coding})
        assert output(reply, "y") == output(client.post(INFER, json=body), "y")


@pytest.mark.parametrize("coding", PACKERS)
def test_rows_may_be_packed_too_also_in_pieces(client: httpx.Client, coding: str) -> None:
    packed = PACKERS[coding](b"x\n1\n8\n")
    headers = {"content-encoding": coding, "content-type": "text/csv", "accept": "application/json"}
    for body in (packed, iter([packed[:3], packed[3:]])):
        reply = client.post("/predict/times", content=body, headers=headers)
        assert reply.json()["columns"]["y"] == [2, 16]


@pytest.mark.parametrize("coding", PACKERS)
def test_a_bomb_is_refused_and_the_worker_lives(client: httpx.Client, coding: str) -> None:
    bomb = PACKERS[coding](bytes(64 << 20))
    assert len(bomb) < BODY_BYTES_MAX
    reply = client.post(INFER, content=bomb, headers={"content-encoding": coding})
    assert reply.status_code == 413
    assert "larger than 1,048,576 bytes when it is unpacked" in reply.json()["error"]
    assert output(client.post(INFER, json=said(1)), "y") == [2]


@pytest.mark.parametrize(
    ("coding", "status", "says"),
    [
        ("br", 415, "send gzip, zstd, deflate, or a plain body"),
        ("gzip, zstd", 415, "is not read here"),
        ("gzip", 400, "the body is not gzip"),
        ("deflate", 400, "deflate"),
        ("zstd", 400, "the body is not zstd"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(client: httpx.Client, coding: str, status: int, says: str) -> None:
    reply = client.post(INFER, content=b'{"inputs": []}', headers={"content-encoding": coding})
    assert reply.status_code == status
    assert says in reply.json()["error"]
    assert ("accept-encoding" in reply.headers) is (status == 415)


def test_a_large_answer_is_packed_as_the_caller_likes_it_and_a_small_one_is_not(client: httpx.Client) -> None:
    large, small = said(*range(2_000)), said(1)
    for accept, coding in (("gzip, deflate, zstd", "gzip"), ("deflate", "deflate"), ("br", None)):
        reply = client.post(INFER, json=large, headers={"accept-encoding": accept})
        assert reply.headers.get("content-encoding") == coding
        assert output(reply, "y") == list(range(0, 4_000, 2))
        assert "content-encoding" not in client.post(INFER, json=small, headers={"accept-encoding": accept}).headers
    reply = client.post(INFER, json=large, headers={"accept-encoding": "gzip;q=0.5, zstd"})
    assert reply.headers["content-encoding"] == "zstd"
    assert len(json.loads(zstd.decompress(reply.content))["outputs"][1]["data"]) == 2_000


def test_numbers_that_do_not_shrink_are_sent_as_they_are(client: httpx.Client) -> None:
    raw = np.random.default_rng(5).random(8_000).astype(np.float32).tobytes()
    tensor = {"name": "x", "shape": [8_000], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    outputs = [{"name": "y", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    headers = {"inference-header-content-length": str(len(head)), "accept-encoding": "gzip"}
    reply = client.post(INFER, content=head + raw, headers=headers)
    assert len(reply.content) > 32_000
    assert "content-encoding" not in reply.headers


def test_who_takes_nothing_plain_gets_nothing_plain(client: httpx.Client) -> None:
    headers = {"accept-encoding": "gzip, identity;q=0"}
    for reply in (client.post(INFER, json=said(1), headers=headers), client.get("/v2/nothing", headers=headers)):
        assert reply.headers["content-encoding"] == "gzip"
        assert reply.json()


def test_curl_needs_no_more_than_its_flag(client: httpx.Client) -> None:
    command = ["curl", "-sf", "--compressed", "-D", "-", f"{client.base_url}{INFER}", "-d", "@-"]
    body = json.dumps(said(*range(2_000))).encode()
    done = subprocess.run(command, input=body, capture_output=True, check=True)
    head, _, answer = done.stdout.partition(b"\r\n\r\n")
    assert b"content-encoding: gzip" in head
    assert len(json.loads(answer)["outputs"][1]["data"]) == 2_000


# -- several workers


def test_every_worker_reads_and_counts_what_another_was_told(home: Path) -> None:
    memory = SharedMemory(f"payoff-{secrets.token_hex(6)}", create=True, size=8)
    assert memory.buf is not None
    memory.buf[:] = np.array([1, 8], np.float32).tobytes()
    place = {"shared_memory_region": memory.name, "shared_memory_byte_size": 8}
    body = {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "parameters": place}]}

    def rows(url: str) -> int:
        (told,) = httpx.get(f"{url}/v2/models/times/stats", timeout=PATIENCE_S).json()["model_stats"]
        return int(told["inference_count"])

    flags = ("--workers", "2", "--index")
    with worker(home, None, *flags, "0") as one, worker(home, None, *flags, "1") as other:
        region = f"/v2/systemsharedmemory/region/{memory.name}"
        before = rows(other)
        httpx.post(f"{one}{region}/register", json={"key": memory.name, "byte_size": 8}, timeout=PATIENCE_S)
        assert output(httpx.post(f"{other}{INFER}", json=body, timeout=PATIENCE_S), "y") == [2, 16]
        until(lambda: rows(one) == rows(other) == before + 2, "both workers tell of the two rows")
        httpx.post(f"{other}{region}/unregister", timeout=PATIENCE_S)
        assert httpx.post(f"{one}{INFER}", json=body, timeout=PATIENCE_S).status_code == 404
    memory.close()
    memory.unlink()


# -- numbers that JSON cannot say


def test_what_is_no_number_in_json_is_refused_in_a_request_and_null_in_an_answer(client: httpx.Client) -> None:
    for word in ("NaN", "Infinity", "-Infinity"):
        reply = client.post(INFER, content=json.dumps(said(1)).replace("[1]}", f"[{word}]}}"))
        assert reply.status_code == 400
        assert "is not JSON: send null, or a number" in reply.json()["error"]
    raw = np.array([[np.inf, -np.inf, 1, 2]], np.float32).tobytes()
    tensor = {"name": "x", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor], "outputs": [{"name": "x_out"}]}).encode()
    headers = {"inference-header-content-length": str(len(head))}
    reply = client.post("/v2/models/scores/infer", content=head + raw, headers=headers)
    assert output(reply, "x_out") == [None, None, 1, 2]


# -- waiting


def test_a_call_whose_time_is_over_is_told_so(client: httpx.Client) -> None:
    for parameters in ({"timeout": 60_000_000, "priority": 1}, {"timeout": 0, "priority": 9_999}):
        assert output(client.post(INFER, json=said(1, parameters=parameters)), "y") == [2]
    assert client.post(INFER, json=said(1, parameters={"timeout": 1})).status_code == 504
    assert client.post(INFER, json=said(1, parameters={"timeout": "soon"})).status_code == 400


def test_headers_say_how_urgent_a_call_is_and_its_parameters_go_before_them(client: httpx.Client) -> None:
    headers = {"payoff-timeout-ms": "60000", "payoff-priority": "3"}
    assert output(client.post(INFER, json=said(1), headers=headers), "y") == [2]
    assert client.post(INFER, json=said(1, parameters={"timeout": 1}), headers=headers).status_code == 504
    assert client.post(INFER, json=said(1), headers={"payoff-timeout-ms": "soon"}).status_code == 400


# -- paths


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("POST", "/v2/models/times/config", 405, "use GET, HEAD"),
        ("GET", "/v2/repository/index", 405, "use POST"),
        ("PUT", "/v2/logging", 405, "use GET, HEAD, POST"),
        ("GET", "/v2/models/times/versions/7/stats", 404, "answers as revision 1"),
        ("GET", "/v2/models/nothing/config", 404, "no endpoint called 'nothing'"),
        ("GET", "/v2/nothing", 404, "there is no '/v2/nothing'"),
        ("POST", "/v2/repository/models/nothing/load", 404, "no endpoint called 'nothing'"),
        ("POST", "/v2/repository/models/times/unload", 409, "payoff kill times"),
        ("POST", "/v2/systemsharedmemory/region/r/register", 400, "expected key as text"),
        ("POST", "/v2/systemsharedmemory/register", 400, "expected key as text"),
        ("POST", "/v2/models/nothing/trace/setting", 404, "no endpoint called 'nothing'"),
    ],
)
def test_a_question_that_has_no_answer_is_told_why(
    client: httpx.Client, method: str, path: str, status: int, says: str
) -> None:
    reply = client.request(method, path)
    assert reply.status_code == status
    assert says in reply.json()["error"]


def test_a_question_may_be_asked_for_its_head_alone(client: httpx.Client) -> None:
    for path in ("/v2", "/v2/models/times", "/v2/models/times/config", "/v2/models/times/stats", "/v2/logging"):
        reply = client.head(path)
        assert (reply.status_code, reply.content) == (200, b"")
        assert int(reply.headers["content-length"]) == len(client.get(path).content) or path.endswith("stats")


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"parameters": 3}', b"\xff"])
def test_what_is_no_question_is_refused(client: httpx.Client, body: bytes) -> None:
    assert client.post("/v2/repository/models/times/load", content=body).status_code == 400


# -- requests that were tampered with


def test_a_tampered_request_is_answered_or_refused_and_never_a_fault(client: httpx.Client) -> None:
    chance = np.random.default_rng(7)
    raw = np.array([1, 8], np.float32).tobytes()
    tensor = {"name": "x", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    place = {"shared_memory_region": "r", "shared_memory_byte_size": 8, "classification": 1}
    head = json.dumps(
        {"id": "7", "inputs": [tensor], "outputs": [{"name": "y", "parameters": place}], "parameters": {"timeout": 9}}
    ).encode()
    for _ in range(250):
        body = bytearray(head + raw)
        for at in chance.integers(0, len(body), chance.integers(1, 4)):
            body[at] = chance.integers(0, 256)
        length = str(len(head) + int(chance.choice([0, 0, 0, 1, -1, 8, 9])))
        reply = client.post(INFER, content=bytes(body), headers={"inference-header-content-length": length})
        assert reply.status_code in (200, 400, 404, 413, 429, 503, 504), reply.text
        assert reply.json()["error"] if reply.status_code != 200 else reply.content
