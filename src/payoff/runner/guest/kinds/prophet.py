"""Prophet: rows are a moment `ds` and the regressors that the model was given; the answer is `yhat`.

Prophet draws its intervals at random, all rows of a call together, so that a row's interval depends on its neighbours.
With the option interval=true they are drawn for each row by itself, from the end of the history to that row and always
in the same way; that takes a tenth of a second per row, so it is not done unless asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .. import tables
from ..frames import Pair

PRELOAD = ("pandas", "prophet")
_STEPS_MAX = 5_000


def load(path: str, options: dict[str, Any]) -> Any:
    """The model in a file of prophet.serialize."""
    from prophet.serialize import model_from_json

    logging.getLogger("prophet").setLevel(logging.ERROR)
    try:
        model = model_from_json(Path(path).read_text("utf-8"))
    except Exception as error:
        raise ValueError(f"Prophet cannot read it: {type(error).__name__}: {error}"[:1000]) from error
    return wrap(model, options)


def wrap(model: Any, options: Mapping[str, Any] | None = None) -> Prophet:
    """A fitted Prophet."""
    if getattr(model, "history", None) is None:
        raise ValueError("it holds a Prophet that was never fitted; fit it and save it again")
    return Prophet(model, str((options or {}).get("interval", "")).lower() in ("true", "yes", "1"))


class Prophet:
    """A forecast, asked for any moment by itself."""

    def __init__(self, model: Any, interval: bool) -> None:
        self._model, self._interval = model, interval
        self._samples, model.uncertainty_samples = model.uncertainty_samples, 0
        conditions = [one.get("condition_name") for one in model.seasonalities.values()]
        numbers = [*model.extra_regressors, *(("cap",) if model.growth == "logistic" else ())]
        if model.growth == "logistic" and "floor" in model.history and model.logistic_floor:
            numbers.append("floor")
        self._types = {"ds": "timestamp", **dict.fromkeys(numbers, "float64")}
        self._types.update(dict.fromkeys([str(name) for name in conditions if name], "bool"))

    def describe(self) -> dict[str, Any]:
        """What it takes is known from how it was made."""
        history = self._model.history["ds"]
        return {
            "inputs": [
                {"name": name, "type": kind, "shape": [], "nullable": False} for name, kind in self._types.items()
            ],
            "named": True,
            "kind": "regressor",
            "takes": None,
            "notes": [f"fitted to {history.min():%Y-%m-%d} to {history.max():%Y-%m-%d}"],
            "estimator": "prophet Prophet",
        }

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """The forecast at each moment."""
        frame = tables.frame(columns, list(self._types))
        if not len(frame):
            return {name: (np.zeros(0), None) for name in self._names}
        try:
            found = {"yhat": self._forecast(frame)}
            if self._interval:
                bounds = np.array([self._bounds(frame.iloc[row : row + 1]) for row in range(len(frame))])
                found["yhat_lower"], found["yhat_upper"] = bounds[:, 0], bounds[:, 1]
        except Exception as error:
            raise ValueError(f"Prophet cannot forecast these rows: {type(error).__name__}: {error}"[:1000]) from error
        return {name: (values, None) for name, values in found.items()}

    def _forecast(self, frame: Any) -> Any:
        """In the order of the rows, where Prophet's own is that of time."""
        order = self._model.setup_dataframe(frame.assign(payoff_row=range(len(frame))))["payoff_row"].to_numpy()
        answer = np.empty(len(frame))
        answer[order] = self._model.predict(frame)["yhat"].to_numpy()
        return answer

    @property
    def _names(self) -> tuple[str, ...]:
        return ("yhat", "yhat_lower", "yhat_upper") if self._interval else ("yhat",)

    def _bounds(self, row: Any) -> tuple[float, float]:
        """The interval of one row, with all steps from the end of the history to it: the trend may turn at each."""
        import pandas as pd

        times = self._model.history["ds"]
        step, end, at = times.diff().median(), times.max(), row["ds"].iloc[0]
        if at > end + _STEPS_MAX * step:
            raise ValueError(f"{at} is more than {_STEPS_MAX:,} steps after the last of the history, {end}")
        between = pd.date_range(end + step, at - step / 2, freq=step) if at > end + step else []
        frame = pd.concat([row] * (len(between) + 1), ignore_index=True)
        frame["ds"] = [*between, at]
        np.random.seed(0)  # Prophet draws from there
        self._model.uncertainty_samples = self._samples or 1000
        try:
            last = self._model.predict(frame).iloc[-1]
        finally:
            self._model.uncertainty_samples = 0
        return float(last["yhat_lower"]), float(last["yhat_upper"])
