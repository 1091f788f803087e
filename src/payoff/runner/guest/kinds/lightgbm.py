"""LightGBM: model files (text), pickled boosters and the wrappers with scikit-learn's interface.

Columns of categories came from pandas in training, and the file keeps their words in order; LightGBM itself turns the
words into places, and so does this, without pandas. A word that the model never saw counts as missing, as there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from ..grids import codes, numbers

PRELOAD = ("lightgbm",)
_PROBABILITY = ("binary", "cross_entropy")
_CLASSES = ("multiclass", "multiclassova", "softmax", "multiclass_ova", "ova", "ovr")


def load(path: str, options: dict[str, Any]) -> Any:
    """The booster in a model file."""
    import lightgbm

    try:
        booster = lightgbm.Booster(model_str=Path(path).read_text("utf-8"))
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        raise ValueError(f"LightGBM {lightgbm.__version__} cannot load it: {str(error)[:400]}") from error
    return Boosted(booster)


def wrap(model: Any) -> Any:
    """A booster, a fitted wrapper, or something else of the package."""
    import lightgbm

    if isinstance(model, lightgbm.Booster):
        return Boosted(model)
    if not isinstance(model, lightgbm.LGBMModel):
        raise ValueError(f"it holds a {type(model).__name__} of LightGBM; save a Booster or a fitted LGBMModel")
    try:
        booster = model.booster_
    except Exception as error:
        raise ValueError(
            f"it holds a {type(model).__name__} that was never fitted; fit it and save it again"
        ) from error
    classes = getattr(model, "classes_", None) if isinstance(model, lightgbm.LGBMClassifier) else None
    return Boosted(booster, classes, type(model).__name__)


class Boosted:
    """A booster with what is needed to ask it: its columns and categories, and its objective."""

    def __init__(self, booster: Any, classes: Any = None, estimator: str = "Booster") -> None:
        self.booster, self.estimator = booster, estimator
        self.classes = None if classes is None else np.asarray(classes)
        self.text = booster.model_to_string(num_iteration=1)
        self.objective = _objective(self.text)
        names = [str(name) for name in booster.feature_name()]
        self.width = len(names)
        self.names = None if names == [f"Column_{place}" for place in range(len(names))] else names
        self.categories = _categories(self.text, booster.pandas_categorical)
        self.threads = int(os.environ.get("OMP_NUM_THREADS") or 1)

    def describe(self) -> dict[str, Any]:
        classifies = self.objective in _PROBABILITY or self.objective in _CLASSES
        ranks = self.objective in ("lambdarank", "rank_xendcg")
        return {
            "inputs": self._inputs(),
            "guessed": True,  # the file tells names, and of a number not which kind it was
            "named": self.names is not None,
            "kind": "classifier" if classifies else "ranker" if ranks else "regressor",
            "takes": self.names,
            "notes": [f"objective {self.objective}"] if self.objective else [],
            "estimator": self.estimator,
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """What the objective makes of the trees' sums: probabilities with a label, or a prediction."""
        answers = np.asarray(self.booster.predict(self._rows(columns), num_threads=self.threads), np.float64)
        if self.objective in _PROBABILITY and answers.ndim == 1:
            label = (answers > 0.5).astype(np.int64)
            return {"label": (self._labels(label), None), "probability": (answers, None)}
        if self.objective in _CLASSES:
            scores = ("probability", answers[:, 1]) if answers.shape[1] == 2 else ("probabilities", answers)
            return {"label": (self._labels(answers.argmax(axis=1)), None), scores[0]: (scores[1], None)}
        return {"prediction": (answers[:, 0] if answers.shape[1:] == (1,) else answers, None)}

    def to_onnx(self, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
        """The trees as they are, thresholds in 64 bits as LightGBM compares them."""
        from ..conversion.lightgbm import write

        return write(self, target, fields)

    def _inputs(self) -> list[dict[str, Any]] | None:
        """The columns that the file tells of; any may be missing."""
        if self.names is None:
            return None
        return [
            {"name": name, "type": _type_of(self.categories.get(place)), "shape": [], "nullable": True}
            for place, name in enumerate(self.names)
        ]

    def _rows(self, columns: dict[str, Any]) -> Any:
        """A matrix in the order of the model, categories by their place among those it was trained on."""
        if self.names is not None:
            columns = {name: columns[name] for name in self.names}
        if len(columns) != self.width:
            raise ValueError(
                f"the model takes {self.width} columns, and {len(columns)} are given: {', '.join(columns)}; leave out "
                "those that are no features (the outcome, an id)"
            )
        for place, known in self.categories.items():
            name = list(columns)[place]
            columns = {**columns, name: (codes(columns[name], known), None)}
        return numbers(columns)

    def _labels(self, places: Any) -> Any:
        if self.classes is None:
            return places
        from .sklearn import plain

        return plain(self.classes[places])


def _objective(text: str) -> str:
    found = re.search(r"^objective=(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def _categories(text: str, words: Any) -> dict[int, dict[Any, int]]:
    """Per column that came from pandas as categories their places; columns of plain codes have none."""
    if not words:
        return {}
    said = re.search(r"^\[categorical_feature: ([\d,]+)\]", text, re.MULTILINE)
    if said:
        places = [int(place) for place in said[1].split(",")]
    else:  # an older file: a range in brackets is a number's, numbers with colons are categories
        infos = re.search(r"^feature_infos=(.*)$", text, re.MULTILINE)
        found = infos[1].split(" ") if infos else []
        places = [place for place, info in enumerate(found) if ":" in info and not info.startswith("[")]
    if len(places) < len(words):
        raise ValueError("the file does not say which of its columns are categories; save the model again")
    return {place: {value: at for at, value in enumerate(known)} for place, known in zip(places, words)}


def _type_of(known: dict[Any, int] | None) -> str:
    if not known:
        return "float64"
    kinds = {type(value) for value in known}
    return {str: "text", bool: "bool", int: "int64"}.get(kinds.pop(), "float64") if len(kinds) == 1 else "text"
