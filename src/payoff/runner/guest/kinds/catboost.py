"""CatBoost: model files (.cbm) and pickled models; both know their columns and which hold categories or text."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from ..grids import filled, numbers

PRELOAD = ("catboost",)
_PROBABILITY = ("Logloss", "CrossEntropy")
_CLASSES = ("MultiClass", "MultiClassOneVsAll")


def load(path: str, options: dict[str, Any]) -> Any:
    """The model in a file, of whatever class it was."""
    import catboost

    model = catboost.CatBoost()
    try:
        model.load_model(path, format="cbm")
    except catboost.CatBoostError as error:
        raise ValueError(f"CatBoost {catboost.__version__} cannot load it: {str(error)[:400]}") from error
    return Boosted(model)


def wrap(model: Any) -> Any:
    """A fitted model, or something else of the package."""
    import catboost

    if not isinstance(model, catboost.CatBoost):
        raise ValueError(f"it holds a {type(model).__name__} of CatBoost; save a fitted model")
    if not model.is_fitted():
        raise ValueError(f"it holds a {type(model).__name__} that was never fitted; fit it and save it again")
    return Boosted(model)


class Boosted:
    """A model with what is needed to ask it: its columns, and what its loss makes it answer."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.loss = _loss(model)
        self.classes = np.asarray(model.classes_) if model.classes_ is not None else np.array([])
        names = [str(name) for name in model.feature_names_ or []]
        self.width = len(names)
        self.names = None if names == [str(place) for place in range(len(names))] else names
        self.classifies = self.loss in _PROBABILITY + _CLASSES
        self.words = {*model.get_cat_feature_indices(), *_text_places(model)}
        self.threads = int(os.environ.get("OMP_NUM_THREADS") or 1)

    def describe(self) -> dict[str, Any]:
        return {
            "inputs": None if self.names is None or self.words else self._inputs(),
            "guessed": True,
            "named": self.names is not None,
            "kind": "classifier" if self.classifies else "regressor",
            "takes": self.names,
            "notes": [f"loss {self.loss}"],
            "estimator": type(self.model).__name__,
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """What the loss makes of the trees' sums: probabilities with a label, or a prediction."""
        rows = self._rows(columns)
        if not self.classifies:
            answers = np.asarray(self._predict(rows, self.transformed()), np.float64)
            return {"prediction": (answers[:, 0] if answers.shape[1:] == (1,) else answers, None)}
        sure = np.asarray(self._predict(rows, "Probability"), np.float64)
        places = (sure[:, 1] > self.boundary()).astype(int) if sure.shape[1] == 2 else sure.argmax(axis=1)
        scores = ("probability", sure[:, 1].copy()) if sure.shape[1] == 2 else ("probabilities", sure)
        return {"label": (self._labels(places), None), scores[0]: (scores[1], None)}

    def to_onnx(self, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
        """The trees as they are, where all columns are numbers: CatBoost compares in 32 bits, and so does the graph."""
        from ..conversion.catboost import write

        return write(self, target, fields)

    def _predict(self, rows: Any, kind: str) -> Any:
        import catboost

        # The plain class's method: a ranker's own knows no kinds of prediction.
        return catboost.CatBoost.predict(self.model, rows, prediction_type=kind, thread_count=self.threads)

    def transformed(self) -> str:
        """Regressors that learn a logarithm answer the number itself, as CatBoostRegressor does."""
        return "Exponent" if self.loss in ("Poisson", "Tweedie") and _regresses(self.model) else "RawFormulaVal"

    def boundary(self) -> float:
        try:
            return float(self.model.get_probability_threshold())
        except Exception:  # a version that has none, or a loss without
            return 0.5

    def _inputs(self) -> list[dict[str, Any]]:
        return [{"name": name, "type": "float64", "shape": [], "nullable": True} for name in self.names or ()]

    def _rows(self, columns: dict[str, Any]) -> Any:
        if self.names is not None:
            columns = {name: columns[name] for name in self.names}
        if len(columns) != self.width:
            raise ValueError(
                f"the model takes {self.width} columns, and {len(columns)} are given: {', '.join(columns)}; leave out "
                "those that are no features (the outcome, an id)"
            )
        if not self.words:
            return numbers(columns, np.float32)
        import pandas as pd

        named = self.names or [str(place) for place in range(self.width)]
        parts = [self._column(place, name, column) for place, (name, column) in enumerate(columns.items())]
        return pd.DataFrame(dict(zip(named, parts)), copy=False)

    def _column(self, place: int, name: str, column: Any) -> Any:
        if place not in self.words:
            return filled(*column)
        values, valid = column
        if valid is not None and not valid.all():
            raise ValueError(
                f"column {name!r} is missing in a row, and CatBoost takes no missing value in a column of categories "
                "or text; send the word that stood for it in training"
            )
        return values.astype(object) if values.dtype.kind != "O" else values

    def _labels(self, places: Any) -> Any:
        if not len(self.classes):
            return places
        from .sklearn import plain

        return plain(self.classes[places])


def _loss(model: Any) -> str:
    """The loss that it was trained with, without its parameters."""
    said = model.get_all_params().get("loss_function") if model.is_fitted() else None
    if not said:
        said = json.loads(dict(model.get_metadata()).get("params", "{}")).get("loss_function", {}).get("type", "RMSE")
    return str(said).partition(":")[0]


def _text_places(model: Any) -> list[int]:
    found = getattr(model, "get_text_feature_indices", None)
    return list(found()) if found is not None else []


def _regresses(model: Any) -> bool:
    return getattr(model, "_estimator_type", "") == "regressor" or type(model).__name__ == "CatBoost"
