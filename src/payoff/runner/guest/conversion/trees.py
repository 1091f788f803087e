"""Keeps converted trees exact: what skl2onnx 1.20 loses when it writes trees is put back. Child process only.

A tree is a staircase, so a threshold or an input that is off by one bit sends a row to another leaf: an error of a
whole step, not of a rounding. Three things are mended:

- scikit-learn's trees compare 32-bit inputs with 64-bit thresholds. Their inputs are rounded to 32 bits right before
  the tree, after all other steps in 64 bits, and thresholds are rounded down to 32 bits, which decides every comparison
  alike. (skl2onnx does so for 32-bit graphs only, and loops for ever on a threshold that is not finite.)
- Boosted trees on histograms compare 64 bits with 64 bits: their thresholds go into the graph as doubles.
- Trees that were trained on missing values know which way these go; skl2onnx drops it for all but histogram trees.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
from skl2onnx.common import _registration as registration
from skl2onnx.common import tree_ensemble

_HISTOGRAM = ("SklearnHistGradientBoostingClassifier", "SklearnHistGradientBoostingRegressor")
_AS_TENSOR = ("nodes_values", "nodes_hitrates", "class_weights", "target_weights", "base_values")
_ML_WITH_DOUBLES = 3  # since version 3 of ai.onnx.ml these attributes may be tensors of doubles

_state = {"mended": False, "doubles": False}


def mend() -> None:
    """Mend skl2onnx in this process; more than once does nothing more."""
    if _state["mended"]:
        return
    _state["mended"] = True
    threshold = tree_ensemble.sklearn_threshold
    tree_ensemble.sklearn_threshold = lambda value, dtype, mode: threshold(value, np.float32, mode)
    add: Callable[..., None] = tree_ensemble.add_tree_to_attribute_pairs
    for module in [one for name, one in sys.modules.items() if name.startswith("skl2onnx.")]:
        if getattr(module, "add_tree_to_attribute_pairs", None) is add:
            setattr(module, "add_tree_to_attribute_pairs", _with_missing(add))  # noqa: B010
    for name in _HISTOGRAM:
        known = registration.get_converter(name)
        registration.register_converter(name, _in_doubles(known._fct), True, known.get_allowed_options())
    onnx.helper.make_attribute = _plain_attributes(onnx.helper.make_attribute)


def round_inputs(graph: Any) -> None:
    """Round what goes into scikit-learn's trees to 32 bits, as scikit-learn does."""
    nodes = list(graph.node)
    del graph.node[:]
    for place, node in enumerate(nodes):
        names = {attribute.name for attribute in node.attribute}
        if node.op_type.startswith("TreeEnsemble") and "nodes_values" in names:
            rounded = f"payoff_rounded_{place}"
            graph.node.append(
                onnx.helper.make_node(
                    "Cast", [node.input[0]], [rounded], to=onnx.TensorProto.FLOAT
                )  # the same if it is
            )
            node.input[0] = rounded
        graph.node.append(node)


def _with_missing(add: Callable[..., None]) -> Callable[..., None]:
    def add_tree(pairs: Any, is_classifier: bool, tree: Any, *args: Any, **kwargs: Any) -> None:
        add(pairs, is_classifier, tree, *args, **kwargs)
        ways = getattr(tree, "missing_go_to_left", None)
        if ways is not None:
            pairs["nodes_missing_value_tracks_true"][-tree.node_count :] = [int(left) for left in ways]

    return add_tree


def _in_doubles(convert: Callable[..., None]) -> Callable[..., None]:
    def converter(scope: Any, operator: Any, container: Any) -> None:
        with _doubles():
            convert(scope, operator, container, op_version=_ML_WITH_DOUBLES)

    return converter


@contextmanager
def _doubles() -> Iterator[None]:
    _state["doubles"] = True
    try:
        yield
    finally:
        _state["doubles"] = False


def _plain_attributes(make: Callable[..., Any]) -> Callable[..., Any]:
    """onnx 1.23 refuses NumPy numbers and booleans in attributes; skl2onnx 1.20 still hands them in."""

    def make_attribute(key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if _state["doubles"] and key in _AS_TENSOR and getattr(value, "dtype", None) == np.float64:
            return make(f"{key}_as_tensor", onnx.numpy_helper.from_array(value, key))
        plain = [_plain(one) for one in value] if isinstance(value, list | tuple) else _plain(value)
        return make(key, plain, *args, **kwargs)

    return make_attribute


def _plain(value: Any) -> Any:
    """A NumPy number as Python's own, and yes or no as 1 or 0."""
    plain = value.item() if isinstance(value, np.generic) else value
    return int(plain) if isinstance(plain, bool) else plain
