"""XGBoost's trees as ONNX, from the model's own JSON.

XGBoost keeps thresholds in 32 bits, rounds inputs to them, and asks x < t; ONNX does the same with 32-bit numbers, so
every row ends in the same leaf. The base score lies there as users see it, and the trees start from what it is inside.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .ensemble import LESS, Ensemble
from .graph import Graph

_LOG = ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft")
_LOGIT = ("binary:logistic", "reg:logistic")
_PLAIN = (
    "reg:squarederror", "reg:linear", "reg:pseudohubererror", "reg:absoluteerror", "reg:quantileerror",
    "rank:pairwise", "rank:ndcg", "rank:map", "binary:logitraw",
)  # fmt: skip
_CLASSES = ("multi:softprob", "multi:softmax")


def write(model: Any, target: str, fields: list[dict[str, Any]]) -> list[str]:
    """The booster of `model` (kinds/xgboost.py) as an ONNX file; ValueError for one that has no such form."""
    learner = json.loads(bytes(model.booster.save_raw("json")))["learner"]
    known = (*_LOG, *_LOGIT, *_PLAIN, *_CLASSES)
    if model.objective not in known:
        raise ValueError(f"the objective {model.objective} is not written as ONNX")
    if not np.isnan(model.missing):
        raise ValueError(f"the model takes {model.missing} for a missing value, which ONNX cannot say")
    parameters = learner["learner_model_param"]
    targets = max(int(parameters.get("num_class", 0)), int(parameters.get("num_target", 1)), 1)
    ensemble = Ensemble(targets, np.float32)
    _grow(ensemble, learner["gradient_booster"], model.trees[1], targets)
    graph = Graph(fields)
    matrix = graph.matrix(fields, np.float32, model.categories)
    _answer(
        graph, ensemble.into(graph, matrix, _base(parameters["base_score"], model.objective, targets)), model, targets
    )
    graph.save(target)
    return ["payoff from XGBoost's own trees"]


def _grow(ensemble: Ensemble, booster: dict[str, Any], rounds: int, targets: int) -> None:
    weights = booster.get("weight_drop")  # trees of DART count by weights
    model = booster.get("gbtree", booster).get("model")
    if not model or "trees" not in model:
        raise ValueError("the booster is not made of trees")
    trees, groups = model["trees"], model["tree_info"]
    per_round = int(model["gbtree_model_param"].get("num_parallel_tree", 1) or 1) * targets
    count = min(len(trees), rounds * per_round) if rounds else len(trees)
    for number in range(count):
        weight = 1.0 if weights is None else weights[number]
        _plant(ensemble, number, trees[number], groups[number], weight)


def _plant(ensemble: Ensemble, number: int, tree: dict[str, Any], group: int, weight: float) -> None:
    if int(tree["tree_param"].get("size_leaf_vector", 0) or 0) > 1:
        raise ValueError("trees with several numbers per leaf are not written as ONNX")
    sets = _sets(tree)
    ensemble.plant(len(tree["left_children"]))
    for node, left in enumerate(tree["left_children"]):
        value = float(tree["split_conditions"][node])
        right, missing_left = tree["right_children"][node], bool(tree["default_left"][node])
        feature = tree["split_indices"][node]
        if left == -1:
            ensemble.leaf(number, node, {group: value * weight})
        elif node in sets:  # categories of the set go right
            ensemble.among(number, node, feature, sets[node], (right, left, not missing_left))
        else:
            ensemble.branch(number, node, LESS, feature, value, (left, right, missing_left))


def _sets(tree: dict[str, Any]) -> dict[int, list[int]]:
    """The categories that nodes ask for."""
    starts, sizes = tree.get("categories_segments", []), tree.get("categories_sizes", [])
    return {
        node: tree["categories"][start : start + size]
        for node, start, size in zip(tree.get("categories_nodes", []), starts, sizes)
    }


def _base(said: Any, objective: str, targets: int) -> list[float]:
    """What the trees start from: one number or one per target, text until 3.0 and in brackets since."""
    found = json.loads(said) if isinstance(said, str) else said
    scores = np.asarray(found, np.float32).reshape(-1)
    if objective in _LOGIT:
        scores = -np.log(np.float32(1) / scores - np.float32(1))
    elif objective in _LOG:
        scores = np.log(scores)
    return [float(one) for one in (np.repeat(scores, targets) if len(scores) == 1 else scores)]


def _answer(graph: Graph, sums: str, model: Any, targets: int) -> None:
    if model.objective in _CLASSES:
        sure = graph.node("Softmax", [sums], axis=1)
        graph.labelled(graph.second(sure) if targets == 2 else sure, 1 if targets == 2 else targets, model.classes)
        return
    if model.objective in _LOGIT:
        sums = graph.node("Sigmoid", [sums])
    elif model.objective in _LOG:
        sums = graph.node("Exp", [sums])
    if not model.objective.startswith("binary:"):
        graph.answer("prediction", sums, [-1] if targets == 1 else [-1, targets])
        return
    if targets > 1 or model.objective != "binary:logistic":
        raise ValueError("raw scores and several labels per row are not written as ONNX")
    graph.labelled(graph.node("Reshape", [sums, graph.constant([-1])]), 1, model.classes)
