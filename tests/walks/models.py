"""Models whose answers can be checked by eye, and the processes of a running payoff."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def times(factor: float) -> bytes:
    """An ONNX model: `y` is `x` times the factor."""
    constant = numpy_helper.from_array(np.array([factor], np.float32), "factor")
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "factor"], ["y"])],
        "times",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [constant],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def slow(factor: float, rounds: int = 5_000, width: int = 128) -> bytes:
    """The same answers, after some milliseconds of moving each row around in a circle."""
    constants = {
        "rounds": np.array(rounds), "wide": np.ones((1, width), np.float32), "factor": np.array([factor], np.float32),
        "from": np.array([0]), "to": np.array([1]), "axis": np.array([1]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Mul", ["x", "wide"], ["still"]),
        helper.make_node("Loop", ["rounds", "", "still"], ["turned"], body=_one_round(width)),
        helper.make_node("Slice", ["turned", "from", "to", "axis"], ["one"]),
        helper.make_node("Mul", ["one", "factor"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _one_round(width: int) -> onnx.GraphProto:
    """Each value of a row moves on by one place."""
    around = np.roll(np.eye(width, dtype=np.float32), 1, axis=1)
    info = helper.make_tensor_value_info
    return helper.make_graph(
        [helper.make_node("MatMul", ["before", "around"], ["after"]), helper.make_node("Identity", ["go"], ["go_on"])],
        "round",
        [info("at", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("before", TensorProto.FLOAT, None)],
        [info("go_on", TensorProto.BOOL, []), info("after", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(around, "around")],
    )


def saved(folder: Path, factor: float) -> Path:
    """The same, as a file."""
    path = folder / f"times-{factor:g}.onnx"
    path.write_bytes(times(factor))
    return path


def children(pid: int) -> list[int]:
    """The processes that this one started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def started(pid: int) -> int:
    """When a process began, in ticks of the system's clock; 0 when it has gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def command(pid: int) -> str:
    """The command line of a process; empty when it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
