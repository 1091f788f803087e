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
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

from payoff.flavors.answers import OWN_PREFIX
from payoff.flavors.home import Home
from payoff.flavors.trees import mend, round_inputs
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
    mend()
    model = _converted(home, way)
    round_inputs(model.graph)
    return _finish(model, home)


def _converted(home: Home, way: Way) -> Any:
    last = home.last
    if hasattr(last, "flatten_transform"):  # of no use to predict, and the converter of voting knows False only
        last.flatten_transform = False
    inputs = list(way.inputs)
    options = {"zipmap": False} if home.kind == "classifier" else None
    try:
        model = convert_sklearn(home.model, initial_types=inputs, options=options, target_opset=_OPSETS)
    except NameError:  # a converter that knows no ZipMap says so this way; it still knows raw scores
        raw = {id(last): {"raw_scores": True}}
        model = convert_sklearn(home.model, initial_types=inputs, options=raw, target_opset=_OPSETS)
    _rename_inputs(model.graph, [name for name, _ in way.inputs])
    return model


def _rename_inputs(graph: Any, names: list[str]) -> None:
    """Columns keep their names, which skl2onnx writes without blanks and accents; what is inside makes room."""
    have = [one.name for one in graph.input]
    if len(have) != len(names):
        return
    inner = {name: f"{OWN_PREFIX}{name}" for node in graph.node for name in node.output if name in names}
    new = inner | dict(zip(have, names, strict=True))
    for one in graph.input:
        one.name = new[one.name]
    for one in graph.output:
        one.name = inner.get(one.name, one.name)
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [inner.get(name, name) for name in node.output]


def _finish(model: onnx.ModelProto, home: Home) -> onnx.ModelProto:
    """End the graph with nodes that give label, probability and so on, under names that are free in it."""
    graph = model.graph
    raw = [output.name for output in graph.output]
    del graph.output[:]
    if home.kind == "regressor":
        _regression(graph, raw[0], home)
        return model
    _label(graph, raw[0], home)
    if home.scores:
        _scores(graph, raw[1], home)
    return model


def _regression(graph: Any, raw: str, home: Home) -> None:
    targets = home.outputs
    shape = [-1] if targets == 1 else [-1, targets]
    _answer(graph, "prediction", "Reshape", [raw, _constant(graph, shape)])


def _label(graph: Any, raw: str, home: Home) -> None:
    kinds = {"b": TensorProto.BOOL, "f": TensorProto.DOUBLE}
    kind = None if home.classes is None else kinds.get(home.classes.dtype.kind)
    if kind is None:
        _answer(graph, "label", "Reshape", [raw, _constant(graph, [-1])])
    else:  # converters write classes of any kind of number as int64
        flat = _node(graph, "Reshape", [raw, _constant(graph, [-1])])
        _answer(graph, "label", "Cast", [flat], to=kind)


def _scores(graph: Any, raw: str, home: Home) -> None:
    certain = home.scores == "predict_proba"
    k = 0 if home.classes is None else len(home.classes)
    if k != 2:
        shape = [-1, k]
        _answer(graph, "probabilities" if certain else "scores", "Reshape", [raw, _constant(graph, shape)])
        return
    # [N, 2], or for some kinds of scores [N, 1] or [N]: the last column is the second class's in each, but for the
    # scores of support vectors, which onnxruntime gives as (s, -s) where a positive s means the second class.
    wide = _node(graph, "Reshape", [raw, _constant(graph, [0, -1])])
    column = 0 if not certain and type(home.last).__name__ in ("SVC", "NuSVC") else -1
    _answer(graph, "probability" if certain else "score", "Gather", [wide, _constant(graph, column)], axis=1)


def _answer(graph: Any, name: str, kind: str, inputs: list[str], **attributes: Any) -> None:
    """A last node; onnxruntime finds out the type of what it gives, which converters do not always say right."""
    taken = {one.name for one in graph.input} | {name for node in graph.node for name in node.output}
    taken |= {one.name for one in graph.initializer}
    free = name
    while free in taken:
        free = f"{OWN_PREFIX}{free}"
    graph.node.append(onnx.helper.make_node(kind, inputs, [free], **attributes))
    graph.output.append(onnx.helper.make_empty_tensor_value_info(free))


def _node(graph: Any, kind: str, inputs: list[str], **attributes: Any) -> str:
    name = f"{OWN_PREFIX}node_{len(graph.node)}"
    graph.node.append(onnx.helper.make_node(kind, inputs, [name], **attributes))
    return name


def _constant(graph: Any, value: Any) -> str:
    array, name = np.asarray(value, np.int64), f"{OWN_PREFIX}constant_{len(graph.initializer)}"
    graph.initializer.append(onnx.helper.make_tensor(name, TensorProto.INT64, array.shape, array.reshape(-1)))
    return name
