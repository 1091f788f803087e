"""The models that benchmarks serve, with fixed seeds, and requests for them with the answers that are right.

`tabular`: gradient boosting, 100 trees over 30 features, as ONNX with one output. `network`: 256-1024-1024-10 with
ReLU, as ONNX. `pipeline`: scaler and logistic regression in scikit-learn, over the 30 features. Rows are float32.
"""

import json
import struct
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEED = 20_260_101
SIZES = (256, 1024, 1024, 10)
INPUT = "input"
OUTPUTS = {"tabular": "probabilities", "network": "output", "pipeline": "predict_proba"}
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Made:
    """Where the models are, and rows for each of them, shape (n, features)."""

    folder: Path
    rows: dict[str, Floats]

    def path(self, model: str) -> Path:
        return self.folder / ("pipeline.joblib" if model == "pipeline" else f"{model}.onnx")

    def take(self, model: str, rows: int) -> Floats:
        """The first rows, again from the start where there are too few."""
        source = self.rows[model]
        return np.ascontiguousarray(np.tile(source, (-(-rows // len(source)), 1))[:rows])


def make(folder: Path) -> Made:
    """Train and write all three."""
    from sklearn.datasets import load_breast_cancer

    features, truth = load_breast_cancer(return_X_y=True)
    features = features.astype(np.float32)
    _tabular(folder, features, truth)
    _network(folder)
    _pipeline(folder, features, truth)
    network = np.random.default_rng(SEED + 1).standard_normal((1_000, SIZES[0])).astype(np.float32)
    return Made(folder, {"tabular": features, "network": network, "pipeline": features})


def _tabular(folder: Path, features: Floats, truth: NDArray[Any]) -> None:
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingClassifier

    fitted = GradientBoostingClassifier(random_state=SEED).fit(features, truth)
    onnx = to_onnx(fitted, features[:1], options={"zipmap": False}, target_opset={"": 18, "ai.onnx.ml": 3})
    graph = onnx.graph
    kept = [output for output in graph.output if output.name == OUTPUTS["tabular"]]
    del graph.output[:]
    graph.output.extend(kept)
    _rename(graph, graph.input[0].name, INPUT)
    (folder / "tabular.onnx").write_bytes(onnx.SerializeToString())


def _rename(graph: Any, old: str, new: str) -> None:
    graph.input[0].name = new
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _network(folder: Path) -> None:
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(SEED)
    nodes, weights, last = [], [], INPUT
    for layer, (wide, narrow) in enumerate(pairwise(SIZES)):
        weight = (rng.standard_normal((wide, narrow)) / np.sqrt(wide)).astype(np.float32)
        weights += [numpy_helper.from_array(weight, f"w{layer}"),
                    numpy_helper.from_array(np.zeros(narrow, np.float32), f"b{layer}")]  # fmt: skip
        is_last = layer == len(SIZES) - 2
        out = OUTPUTS["network"] if is_last else f"h{layer}"
        nodes.append(helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [out]))
        last = out if is_last else f"r{layer}"
        nodes += [] if is_last else [helper.make_node("Relu", [out], [last])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", wide])
            for name, wide in ((INPUT, SIZES[0]), (OUTPUTS["network"], SIZES[-1]))]  # fmt: skip
    graph = helper.make_graph(nodes, "network", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    (folder / "network.onnx").write_bytes(model.SerializeToString())


def _pipeline(folder: Path, features: Floats, truth: NDArray[Any]) -> None:
    import joblib
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)).fit(features, truth)
    joblib.dump(fitted, folder / "pipeline.joblib")


def expected(made: Made, model: str, rows: int) -> NDArray[Any]:
    """What the model's own framework answers, shape (rows, classes)."""
    asked = made.take(model, rows)
    if model == "pipeline":
        import joblib

        found: NDArray[Any] = joblib.load(made.path(model)).predict_proba(asked)
        return found
    import onnxruntime as ort

    session = ort.InferenceSession(str(made.path(model)), providers=["CPUExecutionProvider"])
    return np.asarray(session.run([OUTPUTS[model]], {INPUT: asked})[0])


def json_body(rows: Floats, name: str = INPUT) -> bytes:
    """An Open Inference Protocol request, with numbers as short as they read back."""
    values = [float(str(value)) for value in rows.ravel()]
    tensor = {"name": name, "shape": list(rows.shape), "datatype": "FP32", "data": values}
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def binary_body(rows: Floats, name: str = INPUT) -> tuple[bytes, int]:
    """The same with the binary tensor extension, in and out, and how long its JSON is."""
    raw = rows.tobytes()
    tensor = {"name": name, "shape": list(rows.shape), "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    return head + raw, len(head)


def records_body(rows: Floats) -> bytes:
    """The same for a model that takes a column for each feature, called "0", "1" and so on: records of /predict."""
    records = [{str(place): float(str(value)) for place, value in enumerate(row)} for row in rows]
    return json.dumps(records, separators=(",", ":")).encode()


def grpc_body(rows: Floats, model: str, name: str = INPUT) -> bytes:
    """The same as a gRPC message of ModelInferRequest, length first: its five fields are written here by hand."""
    tensor = _field(1, name.encode()) + _field(2, b"FP32") + _field(3, b"".join(map(_varint, rows.shape)))
    message = _field(1, model.encode()) + _field(5, tensor) + _field(7, rows.tobytes())
    return struct.pack(">BI", 0, len(message)) + message


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
