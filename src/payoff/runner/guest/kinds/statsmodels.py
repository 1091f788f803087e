"""Results of statsmodels: a formula takes the columns it names, a design matrix its own columns, a time series `steps`.

A time series is asked how it goes on: `steps` is 1 for the first period after those it was fitted to, and 0 for the
last of them, which is known.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import tables
from ..frames import Pair

PRELOAD = ("pandas", "statsmodels.regression.linear_model", "statsmodels.genmod.generalized_linear_model")
STEPS, STEPS_MAX = "steps", 10_000

_TRENDS = ("const", "drift", "trend", "intercept", "trend.2", "trend_squared", "trend_cubed")
_CONSTANTS = ("const", "Intercept", "intercept")
_PROBABILITIES = {"Logit": "probability", "Probit": "probability", "MNLogit": "probabilities"}


def load(path: str, options: dict[str, Any]) -> Any:
    """The results in a pickle, as `results.save(path)` writes it."""
    from .pickled import open_model

    return wrap(open_model(path))


def wrap(model: Any) -> Any:
    """Fitted results; ValueError says what it is instead."""
    inner = getattr(model, "model", None)
    if inner is None or not (hasattr(model, "predict") or hasattr(model, "forecast")):
        raise ValueError(
            f"it holds a {type(model).__name__} of statsmodels, which was not fitted or predicts nothing; "
            "save what fit() gives: results.save('model.pickle')"
        )
    if hasattr(model, "forecast") or type(inner).__module__.startswith("statsmodels.tsa."):
        return Series(model)
    return Formula(model) if getattr(inner, "formula", None) is not None else Design(model)


class Formula:
    """Results of a formula: rows are given as the columns that the formula names."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def describe(self) -> dict[str, Any]:
        formula = str(self._model.model.formula)
        return _told(self._model, None, _variables(self._model), [f"formula: {formula}"])

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """What `results.predict(frame)` gives; a row with a gap in it has no answer."""
        frame = tables.frame(columns)
        answer = _predicted(self._model, frame)
        return {_name(self._model): (answer, None)}


class Design:
    """Results of a design matrix: the constant that `add_constant` puts there is added here."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._names = [str(name) for name in model.model.exog_names or []]
        self._taken = [name for name in self._names if name not in _CONSTANTS]
        self._positional = all(re.fullmatch(r"x\d+", name) for name in self._taken)

    def describe(self) -> dict[str, Any]:
        taken = None if self._positional else self._taken
        added = [f"{name} is added" for name in self._names if name in _CONSTANTS]
        return _told(self._model, None, taken, added)

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """What `results.predict(exog)` gives, the columns in the order of the design matrix."""
        given = list(columns) if self._positional else self._taken
        if len(given) != len(self._taken):
            raise ValueError(
                f"it was fitted to {len(self._taken)} columns without names and got {len(given)}: {', '.join(given)}"
            )
        values = tables.matrix(columns, given)
        ones = np.ones((len(values), 1))
        parts, place = [], 0
        for name in self._names:
            constant = name in _CONSTANTS
            parts.append(ones if constant else values[:, place : place + 1])
            place += not constant
        return {_name(self._model): (_predicted(self._model, np.concatenate(parts, axis=1)), None)}


class Series:
    """A time series, asked how it goes on."""

    def __init__(self, model: Any) -> None:
        self._model = model
        inner = model.model
        if np.ndim(inner.endog) > 1 and np.shape(inner.endog)[1] > 1:
            raise ValueError(
                f"{_kind(model)} is of several series at once; deploy a folder with model.py that picks one"
            )
        if regressors := _regressors(inner):
            raise ValueError(
                f"{_kind(model)} has regressors ({', '.join(regressors)}), whose future only you know; "
                "deploy a folder with model.py that takes them and calls forecast(steps, exog)"
            )
        self._last = float(np.ravel(inner.endog)[-1])

    def describe(self) -> dict[str, Any]:
        inputs = [{"name": STEPS, "type": "int64", "shape": [], "nullable": False}]
        note = f"{STEPS} counts periods after the last of those that it was fitted to"
        return _told(self._model, inputs, [STEPS], [note])

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """The forecast of each step, with an interval of 95 % where the model has one."""
        steps = columns[STEPS][0]
        if len(steps) == 0:
            return {"prediction": (np.zeros(0), None)}
        if steps.min() < 0 or steps.max() > STEPS_MAX:
            raise ValueError(f"{STEPS} is {steps.min()} to {steps.max()}; it goes from 0 to {STEPS_MAX:,}")
        return {name: (self._with_last(values)[steps], None) for name, values in self._forecast(steps.max()).items()}

    def _forecast(self, steps: int) -> dict[str, Any]:
        steps = max(1, int(steps))
        if not hasattr(self._model, "get_forecast"):
            return {"prediction": np.ravel(self._model.forecast(steps))}
        found = self._model.get_forecast(steps)
        bounds = np.asarray(found.conf_int(alpha=0.05))
        return {"prediction": np.ravel(found.predicted_mean), "lower": bounds[:, 0], "upper": bounds[:, 1]}

    def _with_last(self, values: Any) -> Any:
        return np.concatenate([[self._last], np.asarray(values, float)])


def _regressors(model: Any) -> list[str]:
    """The columns beside the series itself. A trend is none: it is known for all time."""
    given = model._input_exog if hasattr(model, "_input_exog") else getattr(model, "exog", None)
    if given is None:
        return []
    return [str(name) for name in model.exog_names or ["exog"] if str(name) not in _TRENDS]


def _told(model: Any, inputs: Any, takes: Any, notes: list[str]) -> dict[str, Any]:
    return {"inputs": inputs, "named": True, "kind": "regressor", "takes": takes, "notes": notes,
            "estimator": f"statsmodels {_kind(model)}"}  # fmt: skip


def _kind(model: Any) -> str:
    return type(model.model).__name__


def _name(model: Any) -> str:
    return _PROBABILITIES.get(_kind(model), "prediction")


def _predicted(model: Any, given: Any) -> Any:
    try:
        answer = model.predict(given)
    except Exception as error:
        raise ValueError(f"statsmodels cannot predict these rows ({type(error).__name__}: {error})"[:1500]) from error
    answer = np.asarray(answer, float)
    if len(answer) != len(given):
        raise ValueError("rows with missing values have no prediction; leave them out")
    return answer


def _variables(model: Any) -> list[str] | None:
    """The columns that the right side of the formula names, as far as it can be known."""
    data = model.model.data
    spec = getattr(data, "model_spec", None) or getattr(data, "design_info", None)
    needed = getattr(spec, "required_variables", None)
    if needed is not None:
        left = {str(name) for name in np.ravel(model.model.endog_names)}
        return sorted(str(name) for name in needed if str(name) not in left)
    names: dict[str, None] = {}
    for factor in getattr(spec, "factor_infos", None) or ():
        names.update(dict.fromkeys(_names(factor.name())))
    return list(names) or None


def _names(code: str) -> list[str]:
    """The columns in a piece of a formula: `age` in np.log(age), `zone` in C(zone), `a b` in Q("a b")."""
    try:
        tree = ast.parse(code, mode="eval")
    except SyntaxError:
        return []
    nodes = list(ast.walk(tree))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    quoted = [call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Q" and call.args]
    inner = {id(call.func) for call in calls} | {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    plain = [node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in inner]
    return plain + [str(one.value) for one in quoted if isinstance(one, ast.Constant)]
