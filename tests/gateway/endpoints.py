"""Endpoints for tests of protocols: `echo` gives back a column of every type, `scores` a list of numbers per row."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from payoff.records import Arm, Field, Policy, Revision, Role, Served, Signature, Type
from payoff.store import live
from payoff.store.blobs import Blobs

ONNX = {
    Type.BOOL: TensorProto.BOOL,
    Type.INT8: TensorProto.INT8,
    Type.INT16: TensorProto.INT16,
    Type.INT32: TensorProto.INT32,
    Type.INT64: TensorProto.INT64,
    Type.UINT8: TensorProto.UINT8,
    Type.UINT16: TensorProto.UINT16,
    Type.UINT32: TensorProto.UINT32,
    Type.UINT64: TensorProto.UINT64,
    Type.FLOAT32: TensorProto.FLOAT,
    Type.FLOAT64: TensorProto.DOUBLE,
    Type.TEXT: TensorProto.STRING,
}
KINDS = tuple(ONNX)
WIDTH = 4  # of `scores`


def identity(fields: dict[str, tuple[Type, int]]) -> bytes:
    """An ONNX model that answers `NAME_out` for every input NAME of so many elements per row."""
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in fields]
    inputs = [helper.make_tensor_value_info(name, ONNX[kind], [None, n]) for name, (kind, n) in fields.items()]
    outputs = [
        helper.make_tensor_value_info(f"{name}_out", ONNX[kind], [None, n]) for name, (kind, n) in fields.items()
    ]
    graph = helper.make_graph(nodes, "identity", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def publish(home: Path) -> None:
    """Both endpoints, in a home that a worker serves."""
    _publish(home, "echo", {str(kind): (kind, 1) for kind in KINDS})
    _publish(home, "scores", {"x": (Type.FLOAT32, WIDTH)})


def _publish(home: Path, name: str, fields: dict[str, tuple[Type, int]]) -> None:
    shapes = {one: (kind, () if n == 1 else (n,)) for one, (kind, n) in fields.items()}
    signature = Signature(
        tuple(Field(one, kind, shape) for one, (kind, shape) in shapes.items()),
        tuple(Field(f"{one}_out", kind, shape) for one, (kind, shape) in shapes.items()),
    )
    served = Served("onnx", Blobs(home / "artifacts").put(identity(fields)), signature)
    arm = Arm("champion", Role.CHAMPION, name, 1, served)
    live.publish(home, Revision(name, 1, 0, "me", "", (arm,), Policy()))
