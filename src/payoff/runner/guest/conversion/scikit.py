"""scikit-learn to ONNX: several ways to declare the inputs are tried, and the outputs get payoff's names in the graph.

Which way converts, and which of those agrees best, depends on the steps of a pipeline: 64-bit inputs keep thresholds of
boosted trees exact, and some converters know 32-bit floats only. So they are tried in order of exactness, and the rows
decide.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.helper
import skl2onnx
from onnx import TensorProto
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)

from . import trial
from .graph import OWN_PREFIX
from .trees import mend, round_inputs

_OPSET_MAX, _TREES_OPSET = 21, 3
_WHOLE = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@dataclass(frozen=True)
class Way:
    """One way to declare the inputs, in words for the provenance."""

    words: str
    inputs: tuple[tuple[str, Any], ...]


def convert(kind: Any, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
    """The model of `kind` (kinds/sklearn.py) as an ONNX file, the first way that agrees on rows like these."""
    asked = trial.near(rows)
    expected = kind.ask(asked)
    tried = []
    for way in ways(fields):
        try:
            Path(target).write_bytes(written(kind, way, expected).SerializeToString())
            off = trial.differs(target, asked, expected)
        except Exception as error:
            off = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if not off:
            return [f"skl2onnx {skl2onnx.__version__}", f"inputs as {way.words}"]
        tried.append(f"{way.words}: {off}")
    raise ValueError(f"no way of converting agrees ({tried[0]})")


def ways(fields: list[dict[str, Any]]) -> Iterator[Way]:
    """How the inputs may be declared, the most exact first."""
    if all(field["type"] != "text" for field in fields):
        for words, tensor in (("64-bit", DoubleTensorType), ("32-bit", FloatTensorType)):
            yield Way(f"one {words} matrix", ((_free_name(fields), tensor([None, len(fields)])),))
    for words, tensor in (("64-bit", DoubleTensorType), ("32-bit", FloatTensorType)):
        yield Way(f"typed columns, {words}", tuple((field["name"], _typed(field, tensor)) for field in fields))
        yield Way(f"{words} columns", tuple((field["name"], _wide(field, tensor)) for field in fields))


def _free_name(fields: list[dict[str, Any]]) -> str:
    """A name for the matrix that is none of its columns'."""
    name = "X"
    while any(field["name"] == name for field in fields):
        name += "_"
    return name


def _typed(field: dict[str, Any], tensor: Any) -> Any:
    if field["type"] == "text":
        return StringTensorType([None, 1])
    if field["type"] == "bool" and not field["nullable"]:
        return BooleanTensorType([None, 1])
    return Int64TensorType([None, 1]) if field["type"] in _WHOLE and not field["nullable"] else tensor([None, 1])


def _wide(field: dict[str, Any], tensor: Any) -> Any:
    return StringTensorType([None, 1]) if field["type"] == "text" else tensor([None, 1])


def written(kind: Any, way: Way, answers: dict[str, Any]) -> Any:
    """The model as ONNX with payoff's outputs; raises whatever the converter raises where it cannot."""
    mend()
    _know_boosters()
    model = _converted(kind, way)
    round_inputs(model.graph)
    return _finish(model, kind, answers)


def _last(model: Any) -> Any:
    """The step of a pipeline that predicts, or the model itself."""
    steps = getattr(model, "steps", None)
    return steps[-1][1] if steps else model


def _asked_steps(model: Any) -> Any:
    """A pipeline without the steps that only training knows: imbalanced-learn's samplers."""
    steps = getattr(model, "steps", None)
    if not steps or not any(hasattr(step, "fit_resample") for _, step in steps):
        return model
    from sklearn.pipeline import Pipeline

    return Pipeline([(name, step) for name, step in steps if not hasattr(step, "fit_resample")])


def _know_boosters() -> None:
    """Tell skl2onnx of the wrappers of boosted trees that a pipeline may end in."""
    if "xgboost" in sys.modules or "lightgbm" in sys.modules:
        from .boosters import register

        register()


def _converted(kind: Any, way: Way) -> Any:
    model, last = _asked_steps(kind.model), _last(kind.model)
    if hasattr(last, "flatten_transform"):  # of no use to predict, and the converter of voting knows False only
        last.flatten_transform = False
    inputs = list(way.inputs)
    highest = min(_OPSET_MAX, onnx.defs.onnx_opset_version(), skl2onnx.__max_supported_opset__)
    opsets = {"": highest, "ai.onnx.ml": _TREES_OPSET}
    options = {"zipmap": False} if kind.kind == "classifier" else None
    try:
        made = convert_sklearn(model, initial_types=inputs, options=options, target_opset=opsets)
    except NameError:  # a converter that knows no ZipMap says so this way; it still knows raw scores
        raw = {id(last): {"raw_scores": True}}
        made = convert_sklearn(model, initial_types=inputs, options=raw, target_opset=opsets)
    _rename_inputs(made.graph, [name for name, _ in way.inputs])
    return made


def _rename_inputs(graph: Any, names: list[str]) -> None:
    """Columns keep their names, which skl2onnx writes without blanks and accents; what is inside makes room."""
    have = [one.name for one in graph.input]
    if len(have) != len(names):
        return
    inner = {name: f"{OWN_PREFIX}{name}" for node in graph.node for name in node.output if name in names}
    new = {**inner, **dict(zip(have, names))}
    for one in graph.input:
        one.name = new[one.name]
    for one in graph.output:
        one.name = inner.get(one.name, one.name)
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [inner.get(name, name) for name in node.output]


def _finish(model: Any, kind: Any, answers: dict[str, Any]) -> Any:
    """End the graph with nodes that give what the model answers, under names that are free in it."""
    graph = model.graph
    raw = [output.name for output in graph.output]
    del graph.output[:]
    names = list(answers)
    if names == ["prediction"]:
        _answer(graph, "prediction", "Reshape", [raw[0], _constant(graph, [-1, *answers["prediction"][0].shape[1:]])])
        return model
    _label(graph, raw[0], answers["label"][0])
    for name in names[1:]:
        _scores(graph, raw[1], name, answers[name][0], _last(kind.model))
    return model


def _label(graph: Any, raw: str, labels: Any) -> None:
    kinds = {"b": TensorProto.BOOL, "f": TensorProto.DOUBLE}
    kind = kinds.get(labels.dtype.kind)
    if labels.ndim > 1:
        raise ValueError("several labels per row are not written as ONNX")
    if kind is None:
        _answer(graph, "label", "Reshape", [raw, _constant(graph, [-1])])
    else:  # converters write classes of any kind of number as int64
        flat = _node(graph, "Reshape", [raw, _constant(graph, [-1])])
        _answer(graph, "label", "Cast", [flat], to=kind)


def _scores(graph: Any, raw: str, name: str, scores: Any, last: Any) -> None:
    if scores.ndim > 1:
        _answer(graph, name, "Reshape", [raw, _constant(graph, [-1, *scores.shape[1:]])])
        return
    # [N, 2], or for some kinds of scores [N, 1] or [N]: the last column is the second class's in each, but for the
    # scores of support vectors, which onnxruntime gives as (s, -s) where a positive s means the second class.
    wide = _node(graph, "Reshape", [raw, _constant(graph, [0, -1])])
    column = 0 if name == "score" and type(last).__name__ in ("SVC", "NuSVC") else -1
    _answer(graph, name, "Gather", [wide, _constant(graph, column)], axis=1)


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
