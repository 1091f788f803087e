"""LightGBM's trees as ONNX, from the model's own dump: thresholds and inputs in 64 bits, as LightGBM compares them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from .ensemble import LESS_OR_EQUAL, Ensemble
from .graph import Graph

_PLAIN = (
    "regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom",
)  # fmt: skip
_LOG = ("poisson", "gamma", "tweedie")
_SUM_CLASSES = ("multiclass", "softmax")


def write(model: Any, target: str, fields: list[dict[str, Any]]) -> list[str]:
    """The booster of `model` (kinds/lightgbm.py) as an ONNX file; ValueError for one that has no such form."""
    dumped = model.booster.dump_model()
    objective = str(dumped.get("objective", "")).split(" ")
    if objective[0] not in (*_PLAIN, *_LOG, *_SUM_CLASSES, "binary", "cross_entropy") or "sqrt" in objective[1:]:
        raise ValueError(f"the objective {' '.join(objective)!r} is not written as ONNX")
    targets = int(dumped["num_tree_per_iteration"])
    ensemble = Ensemble(targets, np.float64)
    trees = dumped["tree_info"]
    share = targets / len(trees) if dumped.get("average_output") else 1.0
    for number, tree in enumerate(trees):
        ensemble.plant(2 * int(tree["num_leaves"]) - 1)
        _Planted(ensemble, number, number % targets, share).grow(tree["tree_structure"])
    graph = Graph(fields)
    matrix = graph.matrix(fields, np.float64, model.categories)
    sums = ensemble.into(graph, matrix, [0.0] * targets)
    _answer(graph, sums, model, objective, targets)
    graph.save(target)
    return ["payoff from LightGBM's own trees"]


class _Planted:
    """One tree on its way into the ensemble: nodes are numbered as they come."""

    def __init__(self, ensemble: Ensemble, number: int, target: int, share: float) -> None:
        self.ensemble, self.number, self.target, self.share = ensemble, number, target, share
        self.next: Callable[[], int] = count().__next__

    def grow(self, root: dict[str, Any]) -> None:
        """All nodes from the root; without recursion, for trees may be deep."""
        waiting = [(self.next(), root)]
        while waiting:
            place, node = waiting.pop()
            if "leaf_value" in node:
                if node.get("leaf_coeff"):
                    raise ValueError("linear trees are not written as ONNX")
                self.ensemble.leaf(self.number, place, {self.target: float(node["leaf_value"]) * self.share})
                continue
            left, right = self.next(), self.next()
            if node["decision_type"] == "==":
                self._among(place, node, left, right)
            else:
                self._less(place, node, left, right)
            waiting += [(left, node["left_child"]), (right, node["right_child"])]

    def _less(self, place: int, node: dict[str, Any], left: int, right: int) -> None:
        threshold, missing = float(node["threshold"]), node["missing_type"]
        zero_left = threshold >= 0.0
        if missing == "Zero" and bool(node["default_left"]) != zero_left:
            raise ValueError("zeros that count as missing are not written as ONNX")
        nan_left = bool(node["default_left"]) if missing == "NaN" else zero_left  # otherwise NaN counts as zero
        ways = (left, right, nan_left)
        self.ensemble.branch(self.number, place, LESS_OR_EQUAL, int(node["split_feature"]), threshold, ways)

    def _among(self, place: int, node: dict[str, Any], left: int, right: int) -> None:
        """Categories of the set go left; unknown and missing ones go right."""
        values = [int(one) for one in str(node["threshold"]).split("||")]
        self.ensemble.among(self.number, place, int(node["split_feature"]), values, (left, right, False))


def _answer(graph: Graph, sums: str, model: Any, objective: list[str], targets: int) -> None:
    if objective[0] in _SUM_CLASSES:
        sure = graph.node("Softmax", [sums], axis=1)
        graph.labelled(graph.second(sure) if targets == 2 else sure, 1 if targets == 2 else targets, model.classes)
    elif objective[0] in ("binary", "cross_entropy"):
        slope = next((float(one.split(":")[1]) for one in objective[1:] if one.startswith("sigmoid:")), 1.0)
        steep = graph.node("Mul", [sums, graph.constant(np.float32(slope))])
        sure = graph.node("Reshape", [graph.node("Sigmoid", [steep]), graph.constant([-1])])
        graph.labelled(sure, 1, model.classes)
    else:
        if objective[0] in _LOG:
            sums = graph.node("Exp", [sums])
        graph.answer("prediction", sums, [-1] if targets == 1 else [-1, targets])
