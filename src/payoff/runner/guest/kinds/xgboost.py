"""XGBoost: model files (JSON and UBJSON), pickled boosters and the wrappers with scikit-learn's interface.

A file that a wrapper saved says so itself, and is asked as the wrapper would: with the best iteration if training was
stopped early. A bare booster is asked with all its trees, as `Booster.predict` does.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..grids import codes, numbers

PRELOAD = ("xgboost",)


def load(path: str, options: dict[str, Any]) -> Any:
    """The booster in a model file, told by its content, for a file's name may be any."""
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(Path(path).read_bytes()))
    except xgboost.core.XGBoostError as error:
        raise ValueError(
            f"XGBoost {xgboost.__version__} cannot load it: {str(error).partition('Stack trace')[0].strip()[:400]}"
        ) from error
    saved = json.loads(booster.attr("scikit_learn") or "{}")
    return Boosted(booster, best=bool(saved), estimator="Booster" if not saved else "model of a wrapper")


def wrap(model: Any) -> Any:
    """A booster, a fitted wrapper, or something else of the package."""
    import xgboost

    if isinstance(model, xgboost.Booster):
        return Boosted(model)
    if not isinstance(model, xgboost.XGBModel):
        raise ValueError(f"it holds a {type(model).__name__} of XGBoost; save a Booster or a fitted XGBModel")
    try:
        booster = model.get_booster()
    except Exception as error:
        raise ValueError(
            f"it holds a {type(model).__name__} that was never fitted; fit it and save it again"
        ) from error
    classes = getattr(model, "classes_", None) if hasattr(model, "predict_proba") else None
    return Boosted(booster, best=True, missing=model.missing, classes=classes, estimator=type(model).__name__)


class Boosted:
    """A booster with what is needed to ask it: how its columns are called, and what its objective makes it answer."""

    def __init__(
        self,
        booster: Any,
        best: bool = False,
        missing: Any = np.nan,
        classes: Any = None,
        estimator: str = "Booster",
    ) -> None:
        self.booster, self.estimator = booster, estimator
        self.missing = np.nan if missing is None else missing
        self.classes = None if classes is None else np.asarray(classes)
        _on_this_machine(booster)
        self.config = json.loads(booster.save_config())["learner"]
        self.objective = str(self.config["objective"]["name"])
        self.trees = (0, _best(booster)) if best else (0, 0)
        self.names = None if booster.feature_names is None else [str(name) for name in booster.feature_names]
        self.types = booster.feature_types or [None] * booster.num_features()
        self.categories = categories(booster) if "c" in self.types else {}

    def describe(self) -> dict[str, Any]:
        objective = self.objective.partition(":")[0]
        kind = {"binary": "classifier", "multi": "classifier", "rank": "ranker"}.get(objective, "regressor")
        return {
            "inputs": self._inputs(),
            "guessed": self.booster.feature_types is None,
            "named": self.names is not None,
            "kind": kind,
            "takes": self.names,
            "notes": [f"objective {self.objective}"],
            "estimator": self.estimator,
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """What the objective makes of the trees' sums: probabilities with a label, or a prediction."""
        rows = self._rows(columns)
        if self.objective in ("multi:softmax", "multi:softprob"):
            return self._classes(self._predict(rows, margin=self.objective == "multi:softmax"))
        answers = self._predict(rows)
        if self.objective == "binary:hinge":
            return {"label": (self._labels(answers.astype(np.int64)), None)}
        if not self.objective.startswith("binary:"):
            answers = answers.astype(np.float64)
            return {"prediction": (answers[:, 0] if answers.shape[1:] == (1,) else answers, None)}
        certain = self.objective != "binary:logitraw"
        label = self._labels((answers > (0.5 if certain else 0.0)).astype(np.int64))
        word = ("probability", "probabilities") if certain else ("score", "scores")
        return {"label": (label, None), word[answers.ndim - 1]: (answers.astype(np.float64), None)}

    def to_onnx(self, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
        """The trees as they are, number by number: XGBoost computes in 32 bits, and so does the graph."""
        from ..conversion.xgboost import write

        return write(self, target, fields)

    def _inputs(self) -> list[dict[str, Any]] | None:
        """The columns that the file tells of; any may be missing."""
        if self.names is None:
            return None
        kinds = {"int": "int64", "i": "bool"}
        return [
            {
                "name": name,
                "type": _type_of(self.categories.get(place)) if kind == "c" else kinds.get(kind or "", "float64"),
                "shape": [],
                "nullable": True,
            }
            for place, (name, kind) in enumerate(zip(self.names, self.types))
        ]

    def _rows(self, columns: dict[str, Any]) -> Any:
        """A matrix in the order of the model, categories by their place among those it was trained on."""
        if self.names is not None:
            columns = {name: columns[name] for name in self.names}
        if len(columns) != len(self.types):
            raise ValueError(
                f"the model takes {len(self.types)} columns, and {len(columns)} are given: {', '.join(columns)}; leave "
                "out those that are no features (the outcome, an id)"
            )
        for place, known in self.categories.items():
            name = list(columns)[place]
            columns = {**columns, name: (_codes(name, columns[name], known), None)}
        return numbers(columns, np.float32)

    def _predict(self, rows: Any, margin: bool = False) -> Any:
        booster = self.config.get("learner_train_param", {}).get("booster")
        if booster != "gblinear":
            kind = "margin" if margin else "value"
            return self.booster.inplace_predict(
                rows, iteration_range=self.trees, predict_type=kind, missing=self.missing, validate_features=False
            )
        import xgboost

        asked = xgboost.DMatrix(rows, missing=self.missing, feature_names=self.names)
        return self.booster.predict(asked, output_margin=margin, validate_features=False)

    def _classes(self, answers: Any) -> dict[str, Any]:
        if self.objective == "multi:softmax":
            powers = np.exp(answers - answers.max(axis=1, keepdims=True))
            answers = powers / powers.sum(axis=1, keepdims=True)
        label = {"label": (self._labels(answers.argmax(axis=1)), None)}
        if answers.shape[1] == 2:
            return {**label, "probability": (answers[:, 1].astype(np.float64), None)}
        return {**label, "probabilities": (answers.astype(np.float64), None)}

    def _labels(self, places: Any) -> Any:
        if self.classes is None or self.classes.ndim != 1 or places.ndim != 1:
            return places
        from .sklearn import plain

        return plain(self.classes[places])


def _on_this_machine(booster: Any) -> None:
    """As many threads as this process may use, and no graphics card, whatever it was trained with."""
    booster.set_param({"nthread": int(os.environ.get("OMP_NUM_THREADS") or 1)})
    try:
        booster.set_param({"device": "cpu"})
    except Exception:  # before 2.0 there was no such parameter
        return


def _best(booster: Any) -> int:
    """How many rounds count: up to the best one if training was stopped early, else all (0)."""
    best = booster.attr("best_iteration")
    return 0 if best is None else int(best) + 1


def categories(booster: Any) -> dict[int, dict[Any, int]]:
    """Per column with categories their places, as XGBoost 3.1 and later write them into the model."""
    model = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]
    stored = (model.get("model") or model.get("gbtree", {}).get("model", {})).get("cats", {}).get("enc", [])
    return {place: known for place, one in enumerate(stored) if (known := _known(one))}


def _known(stored: dict[str, Any]) -> dict[Any, int]:
    """Text lies there as bytes with the places where each word ends; numbers lie there as they are."""
    values, ends = stored.get("values", []), stored.get("offsets")
    if not ends:
        return {value: place for place, value in enumerate(values)}
    words = [bytes(one % 256 for one in values[ends[n] : ends[n + 1]]).decode() for n in range(len(ends) - 1)]
    return {word: place for place, word in enumerate(words)}


def _type_of(known: dict[Any, int] | None) -> str:
    if not known:  # an older model: it was given the places themselves, and never knew the words
        return "int64"
    first = next(iter(known))
    return "text" if isinstance(first, str) else "float64" if isinstance(first, float) else "int64"


def _codes(name: str, column: Any, known: dict[Any, int]) -> Any:
    places = codes(column, known)
    values, valid = column
    new = np.isnan(places) if valid is None else np.isnan(places) & valid
    if new.any():
        raise ValueError(
            f"column {name!r} has the category {values[new][0]!r}, which the model was not trained on; it knows "
            f"{', '.join(map(repr, list(known)[:20]))}"
        )
    return places
