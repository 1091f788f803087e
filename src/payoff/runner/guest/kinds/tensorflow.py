"""TensorFlow: a SavedModel folder, asked through one of its signatures, which knows names, types and shapes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from .. import ports
from ..ports import Ports

PRELOAD = ("tensorflow",)
FORK = False  # its threads do not survive a fork
SIGNATURE = "serving_default"
_ONNX_OPSET = 18  # what tf2onnx writes best

_threads = int(os.environ.get("TF_NUM_INTRAOP_THREADS", "1"))
tf.config.threading.set_intra_op_parallelism_threads(_threads)
tf.config.threading.set_inter_op_parallelism_threads(1)


def load(path: str, options: dict[str, Any]) -> SavedModel:
    """The SavedModel in the folder; the option "signature" chooses another than serving_default."""
    loaded = tf.saved_model.load(path)
    name = options.get("signature", SIGNATURE)
    if name not in loaded.signatures:
        there = ", ".join(sorted(loaded.signatures)) or "none"
        raise ValueError(
            f"it has no signature {name!r} (there are: {there}); choose one with --option signature=NAME, or save it "
            "with one: tf.saved_model.save(model, folder, signatures=model.call)"
        )
    return SavedModel(loaded, name, options)


class SavedModel:
    """One signature of a SavedModel."""

    def __init__(self, loaded: Any, name: str, options: dict[str, Any]) -> None:
        self._loaded = loaded  # holds the variables
        self._call = loaded.signatures[name]
        self._specs = dict(sorted(self._call.structured_input_signature[1].items()))
        odd = [key for key, spec in self._specs.items() if not isinstance(spec, tf.TensorSpec)]
        if odd:
            raise ValueError(f"input {odd[0]!r} of the signature is no plain tensor; save a signature of dense tensors")
        wanted = [(key, _numpy(spec), _shape(spec)) for key, spec in self._specs.items()]
        known = [(key, dtype, shape) for key, dtype, shape in wanted if shape is not None]
        if len(known) < len(wanted):
            loose = [ports.Port(key, dtype) for key, dtype, _ in wanted]
            self._ports, self._by_row = Ports(loose, options.get(ports.COLUMNS)), False
        else:
            self._ports, self._by_row = ports.fitted(known, options.get(ports.COLUMNS))
        self._most = None if self._by_row else _batch([shape for _, _, shape in known])
        self._notes = [] if name == SIGNATURE else [f"signature {name}"]

    def describe(self) -> dict[str, Any]:
        fixed = [] if self._most is None else [f"made for {self._most} rows at once; rows are asked in such batches"]
        return {
            "inputs": self._ports.inputs(),
            "named": len(self._specs) > 1,
            "kind": "network",
            "takes": None,
            "notes": self._notes + fixed,
            "estimator": "SavedModel",
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The signature's own answers under its own names."""
        tensors = self._ports.tensors(columns)
        rows = len(next(iter(tensors.values())))
        try:
            if self._by_row:
                return ports.answers(ports.row_by_row(self._answer, tensors), rows)
            return ports.answers(ports.in_batches(self._answer, tensors, self._most or 1, self._most), rows)
        except tf.errors.OpError as error:
            raise ValueError(f"the model refuses these rows: {type(error).__name__}: {said(error)}") from error

    def to_onnx(self, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
        """The signature as ONNX, by tf2onnx."""
        if self._by_row or self._most is not None:
            raise ValueError("it was made for a fixed number of rows; save it with an open first dimension")
        shapes = {name: values.shape for name, values in self._ports.tensors(rows).items()}
        return write_onnx(lambda **given: dict(sorted(self._call(**given).items())), self._specs, shapes, target)

    def _answer(self, arrays: dict[str, Any]) -> dict[str, Any]:
        return to_arrays(
            self._call(**{name: tensor(values, self._specs[name].dtype) for name, values in arrays.items()})
        )


def tensor(values: Any, dtype: Any) -> Any:
    """An array as a tensor; text as bytes."""
    return tf.convert_to_tensor(values.tolist() if values.dtype.kind == "O" else values, dtype)


def to_arrays(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors by name as arrays; ragged ones cannot be columns."""
    found = {}
    for name, value in sorted(answer.items()):
        if not isinstance(value, (tf.Tensor, np.ndarray)):
            raise ValueError(f"the model answers {type(value).__name__} in {name!r}; a dense tensor is expected")
        values = np.asarray(value)
        found[name] = values.astype(np.float32) if values.dtype.kind == "V" else values
    return found


def write_onnx(call: Callable[..., Any], specs: Mapping[str, Any], shapes: Mapping[str, Any], target: str) -> list[str]:
    """Write what `call` computes from tensors by name; the outputs keep the names that it answers with."""
    import onnx
    import tf2onnx

    if any(spec.dtype == tf.string for spec in specs.values()):
        raise ValueError("it takes text, which tf2onnx does not carry over")
    order: list[str] = []
    open_specs = [tf.TensorSpec((None, *shapes[name][1:]), spec.dtype, name=name) for name, spec in specs.items()]

    def traced(*tensors: Any) -> dict[str, Any]:
        answer: dict[str, Any] = call(**dict(zip(specs, tensors)))
        order[:] = answer
        return answer

    function = tf.function(traced, input_signature=open_specs)
    made, _ = tf2onnx.convert.from_function(function, open_specs, opset=_ONNX_OPSET)
    _rename(made.graph, sorted(order), order)
    made.ir_version = min(made.ir_version, 10)
    onnx.save(made, target)
    return [f"tf2onnx {tf2onnx.__version__}"]


def _rename(graph: Any, names: list[str], order: list[str]) -> None:
    """The outputs, which tf2onnx calls Identity and so on, under these names, in the order that the model has them."""
    import onnx

    if len(names) != len(graph.output):
        raise ValueError(f"tf2onnx wrote {len(graph.output)} outputs of {len(names)}")
    for output, name in zip(graph.output, names):
        if output.name != name:
            graph.node.append(onnx.helper.make_node("Identity", [output.name], [name], name=f"payoff_{name}"))
            output.name = name
    outputs = {output.name: type(output).FromString(output.SerializeToString()) for output in graph.output}
    del graph.output[:]
    graph.output.extend([outputs[name] for name in order])


def said(error: Any) -> str:
    """What TensorFlow says, without the graph's own names and traces."""
    message = str(getattr(error, "message", error))
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("Detected at")]
    return (lines[0] if lines else "")[:400]


def _numpy(spec: Any) -> Any:
    if spec.dtype == tf.string:
        return np.dtype(object)
    return np.dtype(np.float32) if spec.dtype == tf.bfloat16 else np.dtype(spec.dtype.as_numpy_dtype)


def _shape(spec: Any) -> tuple[int | None, ...] | None:
    return None if spec.shape.rank is None else tuple(spec.shape.as_list())


def _batch(shapes: list[Any]) -> int | None:
    """The number of rows that it takes at once, where that is fixed."""
    sizes = {shape[0] for shape in shapes if shape and shape[0] is not None}
    if len(sizes) > 1:
        raise ValueError(f"its inputs take different numbers of rows ({', '.join(map(str, sorted(sizes)))})")
    return next(iter(sizes), None)
