"""CatBoost's trees as ONNX, from the model's own JSON.

CatBoost rounds numbers to 32 bits and asks x > border, and so does the graph. Its own export (format="onnx") knows
fewer kinds of labels and numbers only; here too columns of categories or text stay in CatBoost itself.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from .ensemble import GREATER, Ensemble
from .graph import Graph


def write(model: Any, target: str, fields: list[dict[str, Any]]) -> list[str]:
    """The trees of `model` (kinds/catboost.py) as an ONNX file; ValueError for one that has no such form."""
    if model.words:
        raise ValueError("CatBoost's categories and texts are not written as ONNX")
    if model.loss == "MultiClassOneVsAll" or model.boundary() != 0.5:
        raise ValueError("classes that are judged one by one, or by a threshold of their own, are not written as ONNX")
    told = _told(model)
    scale, bias = told["scale_and_bias"][0], np.atleast_1d(told["scale_and_bias"][1]).tolist()
    ensemble = Ensemble(len(bias), np.float32)
    columns = _columns(told)
    for number, tree in enumerate(told.get("oblivious_trees") or told.get("trees") or ()):
        if "splits" in tree:
            _plant(ensemble, number, tree, columns, scale)
        else:
            _plant_free(ensemble, number, tree, columns, scale)
    graph = Graph(fields)
    sums = ensemble.into(graph, graph.matrix(fields, np.float32, {}), [float(one) for one in bias])
    _answer(graph, sums, model, len(bias))
    graph.save(target)
    return ["payoff from CatBoost's own trees"]


def _told(model: Any) -> dict[str, Any]:
    """The model as JSON; through a file, for CatBoost writes to nothing else."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        path = Path(folder) / "model.json"
        model.model.save_model(str(path), format="json")
        return dict(json.loads(path.read_text("utf-8")))


def _columns(told: dict[str, Any]) -> list[tuple[int, bool]]:
    """Per number that trees ask for: its column, and whether a missing one counts as greater than any border."""
    features = told["features_info"].get("float_features", [])
    by_index = {one["feature_index"]: one for one in features}
    empty = {"flat_feature_index": 0, "nan_value_treatment": "AsFalse"}
    found = [by_index.get(place, empty) for place in range(max(by_index, default=-1) + 1)]
    return [(one["flat_feature_index"], one.get("nan_value_treatment") == "AsTrue") for one in found]


def _plant(ensemble: Ensemble, number: int, tree: dict[str, Any], columns: Any, scale: float) -> None:
    """A symmetric tree: all nodes of a level ask the same. The first question is the lowest bit of a leaf's number."""
    splits, values = tree["splits"] or [], np.asarray(tree["leaf_values"], np.float64) * scale
    depth = len(splits)
    per_leaf = values.reshape(1 << depth, -1)
    for level in range(depth):
        for place in range(1 << level):
            node = (1 << level) - 1 + place
            # Below: no, then yes; so the path to a leaf spells its number from the highest bit to the lowest.
            _ask(ensemble, number, node, splits[depth - 1 - level], columns, (2 * node + 2, 2 * node + 1))
    first = (1 << depth) - 1
    for leaf, weights in enumerate(per_leaf.tolist()):
        ensemble.leaf(number, first + leaf, dict(enumerate(weights)))


def _plant_free(ensemble: Ensemble, number: int, root: dict[str, Any], columns: Any, scale: float) -> None:
    """A tree that grew leaf by leaf."""
    waiting, free = [(0, root)], 1
    while waiting:
        node, told = waiting.pop()
        if "value" in told:
            weights = np.atleast_1d(np.asarray(told["value"], np.float64)) * scale
            ensemble.leaf(number, node, dict(enumerate(weights.tolist())))
            continue
        _ask(ensemble, number, node, told["split"], columns, (free + 1, free))
        waiting += [(free, told["left"]), (free + 1, told["right"])]
        free += 2


def _ask(
    ensemble: Ensemble, number: int, node: int, split: dict[str, Any], columns: Any, ways: tuple[int, int]
) -> None:
    if split.get("split_type", "FloatFeature") != "FloatFeature":
        raise ValueError("CatBoost's categories and texts are not written as ONNX")
    column, missing = columns[split["float_feature_index"]]
    ensemble.branch(number, node, GREATER, column, float(split["border"]), (*ways, missing))


def _answer(graph: Graph, sums: str, model: Any, targets: int) -> None:
    if model.loss == "MultiClass":
        sure = graph.node("Softmax", [sums], axis=1)
        graph.labelled(graph.second(sure) if targets == 2 else sure, 1 if targets == 2 else targets, model.classes)
    elif model.classifies:
        sure = graph.node("Reshape", [graph.node("Sigmoid", [sums]), graph.constant([-1])])
        graph.labelled(sure, 1, model.classes)
    else:
        sums = graph.node("Exp", [sums]) if model.transformed() == "Exponent" else sums
        graph.answer("prediction", sums, [-1] if targets == 1 else [-1, targets])
