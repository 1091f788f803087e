"""sktime: forecasters are asked how the series goes on (`steps`), classifiers and regressors of series take tensors."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import feeds, results
from ..frames import Pair

PRELOAD = ("pandas", "sktime.base")
STEPS, STEPS_MAX = "steps", 10_000


def load(path: str, options: dict[str, Any]) -> Any:
    """The model in a file of sktime's own `save`."""
    try:
        with zipfile.ZipFile(path) as archive:
            made_of = pickle.loads(archive.read("_metadata"))  # noqa: S301 - it was scanned, and nothing is here to have
        return wrap(made_of.load_from_path(path))
    except (ImportError, OSError, AttributeError, TypeError, KeyError, pickle.UnpicklingError) as error:
        raise ValueError(f"sktime cannot open it: {type(error).__name__}: {error}"[:1000]) from error


def wrap(model: Any) -> Any:
    """A fitted forecaster, or an estimator over series."""
    if not getattr(model, "is_fitted", False):
        raise ValueError(f"it holds a {type(model).__name__} that was never fitted; fit it and save it again")
    kind = str(model.get_tag("object_type", "", raise_error=False))
    if "forecaster" in kind or hasattr(model, "fh"):
        return Forecaster(model)
    if hasattr(model, "predict"):
        return OverSeries(model)
    raise ValueError(f"it holds a {type(model).__name__}, which predicts nothing; save a forecaster or a classifier")


class Forecaster:
    """One series and how it goes on; `steps` is 1 for the first period after those it was fitted to."""

    def __init__(self, model: Any) -> None:
        if getattr(model, "_X", None) is not None and not model.get_tag(
            "ignores-exogeneous-X", False, raise_error=False
        ):
            columns = ", ".join(map(str, getattr(model._X, "columns", ["X"])))
            raise ValueError(
                f"{type(model).__name__} has regressors ({columns}), whose future only you know; deploy a folder with "
                "model.py that takes them and calls predict(fh, X)"
            )
        known: Any = getattr(model, "_y", None)  # newer releases do not keep it
        last = np.asarray(known.iloc[-1], float).ravel() if hasattr(known, "iloc") else np.array([np.nan])
        if len(last) > 1:
            raise ValueError(
                f"{type(model).__name__} is of several series; deploy a folder with model.py that picks one"
            )
        self._model, self._last = model, last

    def describe(self) -> dict[str, Any]:
        note = f"{STEPS} counts periods after the last of those that it was fitted to, {self._model.cutoff[0]}"
        inputs = [{"name": STEPS, "type": "int64", "shape": [], "nullable": False}]
        return _told(self._model, "regressor", inputs, [STEPS], [note])

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """The forecast of each step; 0 is the last value, which is known."""
        steps = columns[STEPS][0]
        if len(steps) == 0:
            return {"prediction": (np.zeros(0), None)}
        if steps.min() < 0 or steps.max() > STEPS_MAX:
            raise ValueError(f"{STEPS} is {steps.min()} to {steps.max()}; it goes from 0 to {STEPS_MAX:,}")
        horizon = self._horizon(int(steps.max()))
        try:
            found = np.asarray(self._model.predict(fh=horizon), float).ravel()
        except Exception as error:
            raise ValueError(f"sktime cannot forecast: {type(error).__name__}: {error}"[:1000]) from error
        known = dict(zip([0, *horizon], np.concatenate([self._last, found])))
        missing = sorted({int(step) for step in steps} - known.keys())
        if missing:
            raise ValueError(
                f"it was fitted for the steps {', '.join(map(str, horizon))} only, and {missing[0]} is asked"
            )
        return {"prediction": (np.array([known[int(step)] for step in steps]), None)}

    def _horizon(self, steps: int) -> list[int]:
        """Every step up to the last one asked; those of the fit where the model knows no others."""
        if self._model.get_tag("requires-fh-in-fit", False, raise_error=False):
            return [int(step) for step in self._model.fh.to_relative(self._model.cutoff)]
        return list(range(1, max(1, steps) + 1))


class OverSeries:
    """A classifier or regressor of whole series: one column is one channel, with a list of numbers in each row."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._is_classifier = hasattr(model, "classes_")

    def describe(self) -> dict[str, Any]:
        return _told(self._model, "classifier" if self._is_classifier else "regressor", None, None, [])

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """Label and probabilities of a classifier, the prediction of a regressor."""
        series = _panel(columns)
        try:
            answer = np.asarray(self._model.predict(series))
            shares = np.asarray(self._model.predict_proba(series)) if self._is_classifier else None
        except Exception as error:
            raise ValueError(f"sktime cannot predict these rows: {type(error).__name__}: {error}"[:1000]) from error
        if shares is None:
            return results.columns_of(answer, len(series))
        found = results.columns_of({"label": answer}, len(series))
        two = shares.shape[1] == 2
        found["probability" if two else "probabilities"] = (shares[:, 1] if two else shares, None)
        return found


def _panel(columns: Mapping[str, Pair]) -> Any:
    """Rows, channels, times."""
    channels = []
    for name, (values, valid) in columns.items():
        values = feeds.array(values, valid)
        if values.ndim not in (2, 3) or values.dtype.kind not in "biuf":
            raise ValueError(f"column {name!r} must hold a list of numbers in each row: one series, or one per channel")
        channels.append(values[:, np.newaxis, :] if values.ndim == 2 else values)
    if len({one.shape[2] for one in channels}) > 1:
        raise ValueError("the columns are of different lengths; each is one channel of the same series")
    return np.concatenate(channels, axis=1).astype(float)


def _told(model: Any, kind: str, inputs: Any, takes: Any, notes: list[str]) -> dict[str, Any]:
    return {"inputs": inputs, "named": True, "kind": kind, "takes": takes, "notes": notes,
            "estimator": f"sktime {type(model).__name__}"}  # fmt: skip
