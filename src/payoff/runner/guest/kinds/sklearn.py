"""scikit-learn's models, and whatever has their interface: asked as their users ask them.

What a model answers depends on what it is: a classifier `label` with `probability` (two classes), `probabilities`, or
`score` and `scores` where it knows no probabilities; a clusterer or outlier detector `label`; all others `prediction`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..grids import frame, matrix

PRELOAD = ("pandas", "sklearn.pipeline", "sklearn.compose", "sklearn.ensemble", "sklearn.linear_model", "sklearn.svm")


def load(path: str, options: dict[str, Any]) -> Any:
    """The model in a pickle or joblib file."""
    from .pickled import open_model

    return wrap(open_model(path))


def wrap(model: Any) -> Sklearn:
    """A fitted model with `predict`; ValueError says what it is instead."""
    what = type(model).__name__
    if not callable(getattr(model, "predict", None)):
        raise ValueError(
            f"it holds a {what}, which predicts nothing; save a fitted model, or a pipeline that ends in one"
        )
    if type(model).__module__.partition(".")[0] in ("sklearn", "imblearn"):
        _check_fitted(model, what)
    return Sklearn(model, kind_of(model))


def _check_fitted(model: Any, what: str) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    last = model.steps[-1][1] if hasattr(model, "steps") else model
    try:
        check_is_fitted(last)
    except NotFittedError:
        raise ValueError(f"it holds a {what} that was never fitted; fit it and save it again") from None
    except TypeError:  # not an estimator by scikit-learn's reckoning: asking it will tell
        pass


def kind_of(model: Any) -> str:
    """classifier, regressor, clusterer, outliers, or predictor where nothing says."""
    said = getattr(model, "_estimator_type", None) or _tagged(model)
    if said in ("classifier", "regressor", "clusterer"):
        return str(said)
    if said in ("outlier_detector", "outliers"):
        return "outliers"
    return "classifier" if hasattr(model, "classes_") or hasattr(model, "predict_proba") else "predictor"


def _tagged(model: Any) -> Any:
    """What scikit-learn 1.6 and later keep in tags; other packages' estimators may have none."""
    try:
        from sklearn.utils import get_tags

        return get_tags(model).estimator_type
    except Exception:
        return None


class Sklearn:
    """One model and the way that it is asked."""

    def __init__(self, model: Any, kind: str) -> None:
        self.model, self.kind = model, kind
        self.before, self.last = _parts(model)
        self.names = feature_names(model)
        self.ways = (frame,) if self.names else (matrix, frame)  # columns without names: the first way that works
        self.sure = [name for name in ("predict_proba", "decision_function") if self.kind == "classifier"]

    def describe(self) -> dict[str, Any]:
        return {
            "inputs": None,
            "named": self.names is not None,
            "kind": self.kind,
            "takes": self.names,
            "notes": [],
            "estimator": class_of(self.model),
        }

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The model's own answers, as scikit-learn's users would get them."""
        asked = self.taken(columns)
        failed: list[Exception] = []
        for way in self.ways:
            try:
                answers = self._answers(way(asked))
            except Exception as error:
                failed.append(error)
                continue
            self.ways = (way,)
            return answers
        raise ValueError(_refused(failed[0])) from failed[0]

    def to_onnx(self, target: str, fields: list[dict[str, Any]], rows: dict[str, Any]) -> list[str]:
        """The model as an ONNX file, converted the way that agrees best with it on these rows."""
        from ..conversion.scikit import convert

        return convert(self, target, fields, rows)

    def taken(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The columns that the model takes, in its order; ValueError where their number is not its own."""
        if self.names is not None:
            return {name: columns[name] for name in self.names}
        count = getattr(self.model, "n_features_in_", None)
        if count is not None and count != len(columns):
            raise ValueError(
                f"the model takes {count} columns (it was fitted without their names), and {len(columns)} are given: "
                f"{', '.join(columns)}; leave out those that are no features (the outcome, an id)"
            )
        return columns

    def _answers(self, rows: Any) -> dict[str, Any]:
        if self.before is not None:
            rows = self.before(rows)
        predicted = self.last.predict(rows)
        if self.kind in ("regressor", "predictor"):
            return {"prediction": (number(predicted) if self.kind == "regressor" else plain(predicted), None)}
        answers = {"label": (plain(predicted), None)}
        scores = self._scores(rows)
        return answers if scores is None else {**answers, scores[0]: (scores[1], None)}

    def _scores(self, rows: Any) -> tuple[str, Any] | None:
        """How sure a classifier is, by the first of its methods that works."""
        while self.sure:
            ask = getattr(self.last, self.sure[0], None)
            try:
                if ask is not None:
                    return named_scores(ask(rows), self.sure[0] == "predict_proba")
            except (AttributeError, NotImplementedError):  # older versions say so only when asked
                pass
            del self.sure[0]
        return None


def _parts(model: Any) -> tuple[Any, Any]:
    """What a pipeline does before its last step, and that step, which is asked twice: the rest is done once."""
    if type(model).__module__ == "sklearn.pipeline" and len(getattr(model, "steps", ())) > 1:
        return model[:-1].transform, model.steps[-1][1]
    return None, model


def feature_names(model: Any) -> list[str] | None:
    """The columns that it was fitted on, by the model or by the first of its steps that knows."""
    while model is not None:
        known = getattr(model, "feature_names_in_", None)
        if known is not None:
            return [str(name) for name in known]
        steps = getattr(model, "steps", None)
        model = steps[0][1] if steps else getattr(model, "best_estimator_", None)
    return None


def class_of(model: Any) -> str:
    """Its class, for a pipeline also that of its last step."""
    steps = getattr(model, "steps", None)
    outer = type(model).__name__
    return f"{outer} ending in {type(steps[-1][1]).__name__}" if steps else outer


def named_scores(scores: Any, certain: bool) -> tuple[str, Any]:
    """Scores under the name that fits their number: of the second class where there are two."""
    one, many = ("probability", "probabilities") if certain else ("score", "scores")
    if isinstance(scores, list):  # several labels per row, each with the probabilities of its classes
        if any(np.shape(part)[1] != 2 for part in scores):
            raise NotImplementedError
        return many, np.stack([np.asarray(part, np.float64)[:, 1] for part in scores], axis=1)
    scores = np.asarray(scores, np.float64)
    if scores.ndim == 1 or scores.shape[1] == 1:
        return one, scores.reshape(-1)
    return (one, np.ascontiguousarray(scores[:, 1])) if scores.shape[1] == 2 else (many, scores)


def number(answers: Any) -> Any:
    """What a regressor predicts: one number per row, or several."""
    values = np.asarray(answers, np.float64)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def plain(answers: Any) -> Any:
    """Labels or predictions as text, whole numbers, numbers or booleans."""
    dense = answers.toarray() if hasattr(answers, "toarray") else answers
    values = np.asarray(dense)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind in "OUTS":
        return _objects(values)
    if values.dtype.kind == "M":
        return values.astype("datetime64[us]")
    kinds = {"b": bool, "i": np.int64, "u": np.int64, "f": np.float64}
    if values.dtype.kind not in kinds:
        raise ValueError(f"the model answers {values.dtype}; text, numbers or booleans are expected")
    return values.astype(kinds[values.dtype.kind])


def _objects(values: Any) -> Any:
    """Objects that are all numbers or booleans as such, else as text."""
    flat = values.reshape(-1).tolist()
    for kind in (bool, int, float):
        if flat and all(type(one) is kind for one in flat):
            return values.astype({bool: np.bool_, int: np.int64, float: np.float64}[kind])
    texts = np.empty(len(flat), object)
    texts[:] = [one if isinstance(one, str) else one.decode() if isinstance(one, bytes) else str(one) for one in flat]
    return texts.reshape(values.shape)


def _refused(error: Exception) -> str:
    if type(error).__name__ == "NotFittedError":
        return "the model was never fitted; fit it and save it again"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
