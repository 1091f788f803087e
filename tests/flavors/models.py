"""Small models and rows that these tests share."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from onnx import TensorProto
from onnx.helper import make_graph, make_model, make_node, make_opsetid, make_tensor, make_tensor_value_info

Shape = Sequence[int | str | None]


def onnx_model(
    inputs: Sequence[Any], outputs: Sequence[Any], nodes: Sequence[Any], constants: Sequence[Any] = ()
) -> Any:
    graph = make_graph(list(nodes), "test", list(inputs), list(outputs), list(constants))
    opsets = [make_opsetid("", 21), make_opsetid("ai.onnx.ml", 3)]
    return make_model(graph, opset_imports=opsets, ir_version=10, producer_name="test")


def port(name: str, kind: int = TensorProto.FLOAT, shape: Shape = (None,)) -> Any:
    return make_tensor_value_info(name, kind, list(shape))


def row_sums(width: int | str | None = 3, batch: int | str | None = None) -> Any:
    """One matrix in, the sum of each row out."""
    total = make_node("ReduceSum", ["x", "axes"], ["total"], keepdims=0)
    axes = make_tensor("axes", TensorProto.INT64, [1], [1])
    return onnx_model([port("x", shape=(batch, width))], [port("total", shape=(batch,))], [total], [axes])


def bank(n: int = 300, seed: int = 7) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers with text, whole numbers, numbers and booleans, and whether they said yes."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, n),
            "job": random.choice(["admin.", "technician", "retired"], n),
            "balance": random.normal(1_000, 3_000, n).round(2),
            "housing": random.random(n) < 0.5,
            "contact": random.choice(["cellular", "unknown"], n),
            "campaign": random.integers(1, 9, n),
        }
    )
    yes = frame.age / 90 + 0.4 * frame.housing + random.normal(0, 0.3, n) > 0.9
    return frame, yes.to_numpy()


def table(frame: pd.DataFrame, rows: int = 80) -> pa.Table:
    return pa.Table.from_pandas(frame.head(rows), preserve_index=False)


def endless(path: Path) -> Path:
    """A pickle that no machine is ever done with: a set of a knot, hashing which takes 2 ** 60 steps."""
    knot: Any = ()
    for _ in range(60):
        knot = (knot, knot)
    # Written by hand: to make the set here would take as long.
    path.write_bytes(b"\x80\x04\x8f(" + pickle.dumps(knot, 4)[2:-1] + b"\x90.")
    return path


def save(model: Any, path: Path) -> Path:
    """Write an ONNX model to a file."""
    path.write_bytes(model.SerializeToString())
    return path
