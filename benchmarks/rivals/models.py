"""What every rival shares: the three models behind one call, and Open Inference Protocol bodies as Python objects.

The folder with the models is in MODELS. All sessions run on one thread, as payoff's do.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("tabular", "network", "pipeline")
OUTPUTS = {"tabular": "probabilities", "network": "output", "pipeline": "predict_proba"}
DATATYPES = {"tabular": "FP32", "network": "FP32", "pipeline": "FP64"}
Run = Callable[[Any], Any]


def load(name: str) -> Run:
    """From float32 rows (n, features) to outputs (n, classes)."""
    folder = Path(os.environ["MODELS"])
    if name == "pipeline":
        import joblib

        run: Run = joblib.load(folder / "pipeline.joblib").predict_proba
        return run
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(folder / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
    outputs = [OUTPUTS[name]]
    return lambda rows: session.run(outputs, {"input": rows})[0]


def read(body: dict[str, Any]) -> Any:
    """The rows of a request."""
    tensor = body["inputs"][0]
    return np.array(tensor["data"], np.float32).reshape(tensor["shape"])


def write(name: str, found: Any) -> dict[str, Any]:
    """An answer."""
    tensor = {
        "name": OUTPUTS[name],
        "shape": list(found.shape),
        "datatype": DATATYPES[name],
        "data": found.ravel().tolist(),
    }
    return {"model_name": name, "model_version": "1", "outputs": [tensor]}
