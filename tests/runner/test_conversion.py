"""Trees written as ONNX by hand: files that ONNX's own reader takes, and every row ends in the leaf that it should."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from payoff.runner.guest.conversion.ensemble import GREATER, LESS, LESS_OR_EQUAL, Ensemble
from payoff.runner.guest.conversion.graph import Graph

NUMBERS = [{"name": "a", "type": "float64", "nullable": True}, {"name": "b", "type": "int64", "nullable": False}]
WORDS = [{"name": "job", "type": "text", "nullable": True}, {"name": "label", "type": "float64", "nullable": False}]


def saved(graph: Graph, folder: Path) -> Any:
    """A session over the file."""
    graph.save(str(folder / "model.onnx"))
    assert len(onnx.load(folder / "model.onnx").graph.node) == len(graph.nodes)
    return onnxruntime.InferenceSession(folder / "model.onnx")


def stump(mode: str, value: float, missing: bool, dtype: Any) -> Ensemble:
    """One question about the first column: yes is 1, no is -1."""
    ensemble = Ensemble(1, dtype)
    ensemble.plant(3)
    ensemble.branch(0, 0, mode, 0, value, (1, 2, missing))
    ensemble.leaf(0, 1, {0: 1.0})
    ensemble.leaf(0, 2, {0: -1.0})
    return ensemble


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("mode", "expected"),
    [(LESS, [1, -1, -1]), (LESS_OR_EQUAL, [1, 1, -1]), (GREATER, [-1, -1, 1])],
)
@pytest.mark.parametrize("missing", [True, False])
def test_a_threshold_decides_to_the_last_bit(
    tmp_path: Path, mode: str, expected: list[int], missing: bool, dtype: Any
) -> None:
    cut = dtype(0.1)
    graph = Graph(NUMBERS)
    sums = stump(mode, float(cut), missing, dtype).into(graph, graph.matrix(NUMBERS, dtype, {}), [0.5])
    graph.answer("prediction", sums, [-1])
    rows = np.array([np.nextafter(cut, dtype(-1)), cut, np.nextafter(cut, dtype(1)), np.nan], dtype)
    (got,) = saved(graph, tmp_path).run(["prediction"], {"X": np.c_[rows, rows]})
    assert got.tolist() == [*(one + 0.5 for one in expected), 1.5 if missing else -0.5]


def test_categories_are_words_for_callers_and_a_new_or_missing_word_is_in_no_set(tmp_path: Path) -> None:
    ensemble = Ensemble(1, np.float32)
    ensemble.plant(3)
    ensemble.among(0, 0, 0, [0, 2], (1, 2, False))
    ensemble.leaf(0, 1, {0: 3.0})
    ensemble.leaf(0, 2, {0: -3.0})
    graph = Graph(WORDS)
    sums = ensemble.into(graph, graph.matrix(WORDS, np.float32, {0: {"admin": 0, "nurse": 1, "student": 2}}), [0.0])
    graph.labelled(
        graph.node("Reshape", [graph.node("Sigmoid", [sums]), graph.constant([-1])]), 1, np.array(["no", "yes"])
    )
    jobs = np.array([["admin"], ["nurse"], ["student"], ["pilot"], [""]], object)
    session = saved(graph, tmp_path)
    label, probability = session.run(None, {"job": jobs, "label": np.zeros((5, 1), np.float32)})
    assert label.tolist() == ["yes", "no", "yes", "no", "no"]
    assert probability[0] == pytest.approx(1 / (1 + np.exp(-3)))
    assert [one.name for one in session.get_outputs()] == ["payoff.label", "probability"]


@pytest.mark.parametrize(
    "classes", [np.array([False, True, True]), np.array([3, 5, 7]), np.array(["a", "b", "ü"], object)]
)
def test_more_classes_answer_their_own_values_and_all_probabilities(tmp_path: Path, classes: Any) -> None:
    graph = Graph(NUMBERS)
    wide = graph.node(
        "Concat", [graph.matrix(NUMBERS, np.float32, {}), graph.constant(np.zeros((1, 1), np.float32))], axis=1
    )
    graph.labelled(graph.node("Softmax", [wide], axis=1), 3, classes)
    label, probabilities = saved(graph, tmp_path).run(None, {"X": np.array([[1, 2]], np.float32)})
    assert label.tolist() == [classes.tolist()[1]]
    assert probabilities.sum() == pytest.approx(1)


def test_categories_that_are_numbers_go_in_only_where_each_is_its_own_place() -> None:
    graph = Graph(NUMBERS)
    assert graph.matrix(NUMBERS, np.float32, {1: {0: 0, 1: 1}}) == "X"
    with pytest.raises(ValueError, match="categories of column 'b' are numbers, but not 0, 1, 2"):
        graph.matrix(NUMBERS, np.float32, {1: {10: 0, 20: 1}})
