"""scikit-learn to ONNX: several ways to declare the inputs are tried, and the outputs get payoff's names in the graph.

Which way converts, and which of those agrees best, depends on the steps of a pipeline: 64-bit inputs keep thresholds of
boosted trees exact, and some converters know 32-bit floats only. So they are tried in order of exactness, and the rows
decide. Child process only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.helper
from onnx import TensorProto
from skl2onnx import convert_sklearn  # type: ignore[import-untyped]
from skl2onnx.common.data_types import (  # type: ignore[import-untyped]
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

from payoff.flavors.home import Home
from payoff.records.signature import Field, Type

_OPSETS = {"": 21, "ai.onnx.ml": 3}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to declare the inputs, in words for the provenance."""

    words: str
    inputs: tuple[tuple[str, Any], ...]


def ways(fields: Sequence[Field]) -> Iterator[Way]:
    """How the inputs may be declared, the most exact first."""
    if all(field.type is not Type.TEXT for field in fields):
        for words, tensor in (("64-bit", DoubleTensorType), ("32-bit", FloatTensorType)):
            yield Way(f"one {words} matrix", ((_free_name(fields), tensor([None, len(fields)])),))
    for words, tensor in (("64-bit", DoubleTensorType), ("32-bit", FloatTensorType)):
        yield Way(f"typed columns, {words}", tuple((field.name, _typed(field, tensor)) for field in fields))
        yield Way(f"{words} columns", tuple((field.name, _wide(field, tensor)) for field in fields))


def _free_name(fields: Sequence[Field]) -> str:
    """A name for the matrix that is none of its columns'."""
    name = "X"
    while any(field.name == name for field in fields):
        name += "_"
    return name


def _typed(field: Field, tensor: Any) -> Any:
    if field.type is Type.TEXT:
        return StringTensorType([None, 1])
    if field.type is Type.BOOL and not field.nullable:
        return BooleanTensorType([None, 1])
    return Int64TensorType([None, 1]) if field.type.is_integer and not field.nullable else tensor([None, 1])


def _wide(field: Field, tensor: Any) -> Any:
    return StringTensorType([None, 1]) if field.type is Type.TEXT else tensor([None, 1])


def convert(home: Home, way: Way) -> onnx.ModelProto:
    """The model as ONNX with payoff's outputs; raises whatever the converter raises where it cannot."""
    _accept_numpy_numbers()
    options = {"zipmap": False} if home.kind == "classifier" else None
    model = convert_sklearn(home.model, initial_types=list(way.inputs), options=options, target_opset=_OPSETS)
    return _finish(model, home)


def _finish(model: onnx.ModelProto, home: Home) -> onnx.ModelProto:
    """Rename the raw outputs and end the graph with nodes that give label, probability and so on."""
    graph = model.graph
    raw = [_set_aside(graph, output.name) for output in list(graph.output)]
    kinds = [output.type.tensor_type.elem_type for output in graph.output]
    del graph.output[:]
    if home.kind == "regressor":
        _add_regression(graph, raw[0], kinds[0], home)
        return model
    _add_label(graph, raw[0], home)
    if home.scores:
        _add_scores(graph, raw[1], kinds[1], home)
    return model


def _add_label(graph: Any, raw: str, home: Home) -> None:
    kind = TensorProto.INT64 if home.classes is None else _label_type(home.classes)
    flat = "payoff_label" if kind not in (TensorProto.STRING, TensorProto.INT64) else "label"
    _node(graph, "Reshape", [raw, _constant(graph, "payoff_flat", [-1])], [flat])
    if flat != "label":
        _node(graph, "Cast", [flat], ["label"], to=kind)
    graph.output.append(onnx.helper.make_tensor_value_info("label", kind, [None]))


def _label_type(classes: np.ndarray) -> int:
    kinds = {"b": TensorProto.BOOL, "i": TensorProto.INT64, "u": TensorProto.INT64, "f": TensorProto.DOUBLE}
    return int(kinds.get(classes.dtype.kind, TensorProto.STRING))


def _add_scores(graph: Any, raw: str, kind: int, home: Home) -> None:
    certain = home.scores == "predict_proba"
    k = len(home.classes) if home.classes is not None else 0
    if k == 2:
        name = "probability" if certain else "score"
        if certain:
            _node(graph, "Gather", [raw, _constant(graph, "payoff_second", 1)], [name], axis=1)
        else:
            _node(graph, "Reshape", [raw, _constant(graph, "payoff_flat_score", [-1])], [name])
        graph.output.append(onnx.helper.make_tensor_value_info(name, kind, [None]))
        return
    name = "probabilities" if certain else "scores"
    _node(graph, "Identity", [raw], [name])
    graph.output.append(onnx.helper.make_tensor_value_info(name, kind, [None, k]))


def _add_regression(graph: Any, raw: str, kind: int, home: Home) -> None:
    targets = int(np.size(getattr(home.model, "n_outputs_", 1)) and getattr(home.model, "n_outputs_", 1))
    shape = [-1] if targets == 1 else [-1, targets]
    _node(graph, "Reshape", [raw, _constant(graph, "payoff_shape", shape)], ["prediction"])
    dims = [None] if targets == 1 else [None, targets]
    graph.output.append(onnx.helper.make_tensor_value_info("prediction", kind, dims))


def _set_aside(graph: Any, name: str) -> str:
    """Rename a tensor inside the graph, so that its name is free for an output."""
    aside = f"payoff_raw_{name}"
    for node in graph.node:
        node.input[:] = [aside if one == name else one for one in node.input]
        node.output[:] = [aside if one == name else one for one in node.output]
    return aside


def _constant(graph: Any, name: str, value: Any) -> str:
    array = np.asarray(value, np.int64)
    graph.initializer.append(onnx.helper.make_tensor(name, TensorProto.INT64, array.shape, array.reshape(-1)))
    return name


def _node(graph: Any, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
    graph.node.append(onnx.helper.make_node(kind, inputs, outputs, **attributes))


def _plain(value: Any) -> Any:
    """A NumPy number as Python's own, and yes or no as 1 or 0."""
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if isinstance(plain, bool) else plain


def _accept_numpy_numbers() -> None:
    """onnx 1.23 refuses NumPy numbers and booleans in attributes; skl2onnx 1.20 still hands them in (boosted trees)."""
    make = onnx.helper.make_attribute
    if getattr(make, "accepts_numpy", False):
        return

    def make_attribute(key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        plain = [_plain(one) for one in value] if isinstance(value, list | tuple) else _plain(value)
        return make(key, plain, *args, **kwargs)

    make_attribute.accepts_numpy = True  # type: ignore[attr-defined]
    onnx.helper.make_attribute = make_attribute
