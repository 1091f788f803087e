"""A running payoff with one endpoint, for all tests of the API: real processes, real sockets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from payoff.demo.server import Server, running
from tests.shared import PATIENCE_S

FILE = """
endpoint: {name}
arms:
  champion: {{model: calls, version: 1}}
decision: outputs.probability > 0.5
value: case when decision then (case when outcome.subscribed then 60 else 0 end) - 2 else 0 end
fallback: {{decision: false}}
"""
SAMPLE = [{"age": 20.0, "balance": 100.0}, {"age": 80.0, "balance": -5.0}]


def model(scale: float = 1.0) -> bytes:
    """An ONNX model of two columns: probability = sigmoid(scale * (age - 50) + 0 * balance)."""
    constants = {"scale": [scale], "half": [50.0], "none": [0.0]}
    graph = helper.make_graph(
        [
            helper.make_node("Sub", ["age", "half"], ["centred"]),
            helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
            helper.make_node("Mul", ["balance", "none"], ["nothing"]),
            helper.make_node("Add", ["scaled", "nothing"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["probability"]),
        ],
        "calls",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in ("age", "balance")],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(made.SerializeToString())


def deploy(http: httpx.Client, **fields: str) -> httpx.Response:
    """The model on an endpoint, with a sample."""
    files = {"artifact": ("calls.onnx", model()), "sample": ("sample.json", json.dumps(SAMPLE).encode())}
    return http.post("/deploy", files=files, data={"author": "anna", **fields})


@pytest.fixture(scope="session")
def artifact() -> bytes:
    """The bytes of `calls` version 1."""
    return model()


@pytest.fixture(scope="session")
def file() -> str:
    """An endpoint file with a decision and a value, to be formatted with the endpoint's name."""
    return FILE


@pytest.fixture(scope="session")
def other_artifact() -> bytes:
    """Another model of the same columns."""
    return model(0.5)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "home"


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Server]:
    with running(home, workers=1) as found:
        yield found


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.api}/api", timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture(scope="session")
def calls(http: httpx.Client) -> dict[str, Any]:
    """The endpoint `calls`, with a decision and a value; what its deploy answered."""
    done = deploy(http, name="calls")
    assert done.status_code == 201, done.text
    applied = http.put("/endpoints/calls", content=FILE.format(name="calls"))
    assert applied.status_code == 200, applied.text
    found: dict[str, Any] = done.json()
    return found


@pytest.fixture
def answered(calls: dict[str, Any]) -> list[str]:
    """The ids of two fresh predictions."""
    reply = httpx.post(calls["url"], json=SAMPLE, timeout=PATIENCE_S)
    assert reply.status_code == 200, reply.text
    return [row["prediction_id"] for row in reply.json()["predictions"]]
