"""A scikit-learn model at home: which columns of a sample it takes, and what it answers there. Child process only."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import (
    is_classifier,
    is_clusterer,
    is_outlier_detector,
    is_regressor,
)

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.rowfile import Rows
from payoff.records.columns import Column
from payoff.records.signature import Field, Type


@dataclass(frozen=True, slots=True)
class Home:
    """A model with what its kind answers: `scores` is the method that tells how sure it is, if it has one."""

    model: Any
    kind: str  # classifier, regressor, clusterer, outliers
    named: bool  # fitted on columns with names, so it is asked with a DataFrame
    scores: str | None = None
    classes: NDArray[Any] | None = None
    outputs: int = 1  # how many numbers a regressor answers per row

    @property
    def last(self) -> Any:
        """The step of a pipeline that predicts, or the model itself."""
        return self.model.steps[-1][1] if hasattr(self.model, "steps") else self.model

    def ask(self, rows: Rows) -> Rows:
        """The model's own answers."""
        asked = frame(rows) if self.named else matrix(rows)
        first = _column("prediction" if self.kind == "regressor" else "label", self.model.predict(asked))
        columns = dict([first])
        if self.scores:
            columns.update([self._scores(getattr(self.model, self.scores)(asked))])
        return Rows(tuple(_field(name, column) for name, column in columns.items()), columns)

    def _scores(self, scores: NDArray[Any]) -> tuple[str, Column]:
        word = ("probability", "probabilities") if self.scores == "predict_proba" else ("score", "scores")
        scores = np.asarray(scores, np.float64)
        if scores.ndim == 1:
            return word[0], Column(scores)
        return (word[0], Column(scores[:, 1])) if scores.shape[1] == 2 else (word[1], Column(scores))


def at_home(model: Any, name: str) -> Home:
    """What kind of model this is; BadInput for one that payoff cannot serve."""
    what = type(model).__name__
    if not hasattr(model, "predict"):
        raise BadInput(f"{name} holds a {what}, which predicts nothing; save a fitted scikit-learn model or pipeline")
    named = getattr(model, "feature_names_in_", None) is not None
    if is_classifier(model):
        classes = getattr(model, "classes_", None)
        if classes is None:
            raise BadInput(f"{name} holds a {what} that was never fitted; fit it and save it again")
        if isinstance(classes, list) or np.ndim(classes) != 1:
            raise BadInput(f"{name} holds a {what} with several labels per row; deploy one model per label")
        scores = next((way for way in ("predict_proba", "decision_function") if hasattr(model, way)), None)
        return Home(model, "classifier", named, scores, np.asarray(classes))
    if is_regressor(model):
        return Home(model, "regressor", named)
    if is_clusterer(model) or is_outlier_detector(model):
        return Home(model, "clusterer" if is_clusterer(model) else "outliers", named)
    raise BadInput(
        f"{name} holds a {what}, which is no classifier, regressor, clusterer or outlier detector of scikit-learn; "
        "convert it to ONNX where it was trained and deploy that"
    )


def choose(model: Any, sample: Rows) -> Rows:
    """The columns of the sample that the model takes, in its order; BadInput says which are missing or too many."""
    have = [field.name for field in sample.fields]
    known = getattr(model, "feature_names_in_", None)
    want = [str(name) for name in known] if known is not None else have
    missing = [name for name in want if name not in have]
    if missing:
        raise BadInput(
            f"the model takes the columns {', '.join(want)}; the sample lacks {', '.join(missing)} "
            f"(it has {', '.join(have)})"
        )
    count = getattr(model, "n_features_in_", None)
    if known is None and count is not None and count != len(have):
        raise BadInput(
            f"the model takes {count} columns (it was fitted without their names), and the sample has {len(have)}: "
            f"{', '.join(have)}; leave out those that are no features (the outcome, an id)"
        )
    fields = {field.name: field for field in sample.fields}
    for name in want:
        _check(fields[name])
    return Rows(tuple(fields[name] for name in want), {name: sample.columns[name] for name in want})


def _check(field: Field) -> None:
    if field.type in (Type.DATE, Type.TIMESTAMP):
        raise BadInput(
            f"column {field.name!r} is a {field.type}, which no converted scikit-learn model can take; "
            "train it on numbers made of it (year, month, days since a fixed day)"
        )
    if field.shape:
        raise BadInput(f"column {field.name!r} holds lists; scikit-learn models take one value per column")


def frame(rows: Rows) -> pd.DataFrame:
    """Rows as pandas would have read them: nulls are NaN."""
    return pd.DataFrame({field.name: _series(field, rows.columns[field.name]) for field in rows.fields})


def matrix(rows: Rows) -> NDArray[Any]:
    """Rows as one array: of numbers where all are, else of objects."""
    plain = all(field.type is not Type.TEXT for field in rows.fields)
    values: NDArray[Any] = frame(rows).to_numpy(dtype=np.float64 if plain else object)
    return values


def _series(field: Field, column: Column) -> Any:
    if column.valid is None or column.valid.all():
        return column.values
    if field.type is Type.TEXT:
        return np.where(column.valid, column.values, np.nan)
    if field.type is Type.BOOL:
        return np.where(column.valid, column.values.astype(object), np.nan)
    return np.where(column.valid, column.values.astype(np.float64), np.nan)


def _column(name: str, answers: Any) -> tuple[str, Column]:
    values = np.asarray(answers)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype.kind in "UT" or (values.dtype.kind == "O" and all(isinstance(value, str) for value in values)):
        return name, Column(values.astype(object))
    if values.dtype.kind == "b":
        return name, Column(values)
    if values.dtype.kind in "iu":
        return name, Column(values.astype(np.int64))
    if values.dtype.kind == "f":
        return name, Column(values.astype(np.float64))
    raise ModelFailed(
        f"the model answers {name} as {values.dtype} ({str(values[:1])[:60]}); text, numbers or booleans are expected"
    )


def _field(name: str, column: Column) -> Field:
    kind = Type.TEXT if column.values.dtype == object else Type(column.values.dtype.name)
    return Field(name, kind, column.values.shape[1:])
