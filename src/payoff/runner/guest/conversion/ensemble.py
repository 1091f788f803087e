"""Trees as ONNX keeps them: nodes of all trees in long lists, one list for each of their properties."""

from __future__ import annotations

from typing import Any

import numpy as np

from .graph import Graph

LESS, LESS_OR_EQUAL, GREATER, EQUAL, _LEAF = "BRANCH_LT", "BRANCH_LEQ", "BRANCH_GT", "BRANCH_EQ", "LEAF"
_LISTS = (
    "treeids",
    "nodeids",
    "featureids",
    "modes",
    "values",
    "truenodeids",
    "falsenodeids",
    "missing_value_tracks_true",
)


class Ensemble:
    """Trees that are summed, per target. `dtype` is the precision in which thresholds are compared."""

    def __init__(self, targets: int, dtype: Any) -> None:
        self.targets, self.dtype = targets, dtype
        self._free = 0
        self.nodes: dict[str, list[Any]] = {name: [] for name in _LISTS}
        self.leaves: dict[str, list[Any]] = {"treeids": [], "nodeids": [], "ids": [], "weights": []}

    def plant(self, nodes: int) -> None:
        """The next tree has nodes 0 to nodes - 1; what is added to it is numbered from there."""
        self._free = nodes

    def branch(self, tree: int, node: int, mode: str, feature: int, value: float, ways: tuple[int, int, bool]) -> None:
        """A question: `ways` are the nodes for yes and for no, and whether a missing value counts as yes."""
        yes, no, missing = ways
        for name, one in zip(_LISTS, (tree, node, feature, mode, value, yes, no, int(missing))):
            self.nodes[name].append(one)

    def among(self, tree: int, node: int, feature: int, values: list[int], ways: tuple[int, int, bool]) -> None:
        """Is it one of these categories? A chain of questions that all lead to the same node for yes."""
        yes, no, missing = ways
        for value in values[:-1]:
            further = self._free
            self._free += 1
            self.branch(tree, node, EQUAL, feature, value, (yes, further, missing))
            node = further
        self.branch(tree, node, EQUAL, feature, values[-1], (yes, no, missing))

    def leaf(self, tree: int, node: int, weights: dict[int, float]) -> None:
        """An end, and what it adds to each target."""
        self.branch(tree, node, _LEAF, 0, 0.0, (0, 0, False))
        for target, weight in weights.items():
            for name, one in zip(("treeids", "nodeids", "ids", "weights"), (tree, node, target, weight)):
                self.leaves[name].append(one)

    def into(self, graph: Graph, matrix: str, base: list[float]) -> str:
        """The node that sums the trees, starting from `base`."""
        attributes = {f"nodes_{name}": values for name, values in self.nodes.items() if name != "values"}
        attributes |= {f"target_{name}": values for name, values in self.leaves.items() if name != "weights"}
        lists = {"nodes_values": self.nodes["values"], "target_weights": self.leaves["weights"], "base_values": base}
        for name, values in lists.items():
            attributes |= _exact(name, values, self.dtype)
        return graph.node("TreeEnsembleRegressor", [matrix], "ai.onnx.ml", n_targets=self.targets, **attributes)


def _exact(name: str, values: list[float], dtype: Any) -> dict[str, Any]:
    """As 32-bit numbers in the attribute itself, or as a tensor of 64-bit ones."""
    array = np.asarray(values, dtype)
    if dtype == np.float32:
        return {name: array.tolist()}
    return {f"{name}_as_tensor": array}
