"""A running payoff for the tests of the command line, and one model file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from payoff.demo.server import Server, running


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli") / "home"


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Server]:
    with running(home, workers=1) as found:
        yield found


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX model: probability = sigmoid(age - 50)."""
    graph = helper.make_graph(
        [helper.make_node("Sub", ["age", "half"], ["logit"]), helper.make_node("Sigmoid", ["logit"], ["probability"])],
        "calls",
        [helper.make_tensor_value_info("age", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(np.array([50.0], np.float32), "half")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path_factory.mktemp("models") / "calls.onnx"
    path.write_bytes(made.SerializeToString())
    return path
