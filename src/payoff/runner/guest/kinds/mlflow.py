"""Models that MLflow saved, asked through its pyfunc: whatever flavor they have, rows go in as their signature says."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import feeds, results, tables
from ..frames import Pair

PRELOAD: tuple[str, ...] = ("mlflow.pyfunc",)
TENSOR = "inputs"

_TYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "text",
    "datetime": "timestamp",
}
_QUIET = {"GIT_PYTHON_REFRESH": "quiet", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
os.environ.update(_QUIET)


def load(path: str, options: dict[str, Any]) -> MLflow:
    """The model, opened by MLflow itself."""
    import mlflow.pyfunc

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="mlflow")
    try:
        model = mlflow.pyfunc.load_model(path)
    except Exception as error:
        raise ValueError(f"MLflow cannot load it: {_words(error)}") from error
    return MLflow(model, options)


class MLflow:
    """A pyfunc model and what its signature says."""

    def __init__(self, model: Any, options: Mapping[str, Any]) -> None:
        self._model = model
        self._sampled = bool(options.get("sampled"))
        self._inputs = _specs(model.metadata.get_input_schema())
        self._outputs = _specs(model.metadata.get_output_schema())
        self._params = _params(model.metadata, options)

    def describe(self) -> dict[str, Any]:
        """The signature's columns; the sample's where there is no signature, or one array without a name."""
        inputs = [_field(spec) for spec in self._inputs] if self._inputs else None
        takes: list[str] | None = None
        if self._is_matrix and self._sampled:
            inputs = None
        elif inputs and any(None in one["shape"] for one in inputs):
            takes = [one["name"] for one in inputs]
            inputs = None
        return {
            "inputs": inputs,
            "named": not self._is_matrix,
            "kind": "mlflow",
            "takes": takes,
            "notes": ["asked through mlflow.pyfunc"] + ([] if self._inputs else ["it was saved without a signature"]),
            "estimator": str(self._model.loader_module),
        }

    def ask(self, columns: Mapping[str, Pair]) -> dict[str, Pair]:
        """What pyfunc answers."""
        rows = feeds.length(columns)
        given = self._given(columns)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                answer = self._model.predict(given, params=self._params) if self._params else self._model.predict(given)
        except Exception as error:
            raise ValueError(f"MLflow's predict fails: {_words(error)}") from error
        found = results.columns_of(_dense(answer), rows, columns)
        return self._named(found)

    @property
    def _is_matrix(self) -> bool:
        """The signature is one array without a name."""
        return self._inputs is not None and len(self._inputs) == 1 and self._inputs[0]["name"] is None

    def _given(self, columns: Mapping[str, Pair]) -> Any:
        if self._inputs is None:
            return _array(columns, None) if set(columns) == {TENSOR} else tables.frame(columns)
        if self._is_matrix:
            return _array(columns, self._inputs[0]["dtype"])
        if "dtype" in self._inputs[0]:
            arrays = {spec["name"]: feeds.array(*columns[spec["name"]]) for spec in self._inputs}
            return {spec["name"]: arrays[spec["name"]].astype(spec["dtype"], copy=False) for spec in self._inputs}
        present = [spec["name"] for spec in self._inputs if spec["name"] in columns]
        return _lists(tables.frame(columns, present))

    def _named(self, found: dict[str, Pair]) -> dict[str, Pair]:
        """The name in the signature, where the answer itself has none."""
        if self._outputs and len(self._outputs) == 1 and list(found) == [results.PREDICTION]:
            return {self._outputs[0]["name"] or results.PREDICTION: found[results.PREDICTION]}
        return found


def _specs(schema: Any) -> list[dict[str, Any]] | None:
    """MLflow's schema as names with types, or with dtypes and shapes where it is of arrays; None if it says nothing."""
    told = [] if schema is None else schema.to_dict()
    if not told or (told[0]["type"] == "any" and told[0].get("name") is None):
        return None
    found = []
    for one in told:
        spec = {"name": one.get("name"), "type": one["type"], "required": one.get("required", True)}
        if one["type"] == "tensor":
            spec["dtype"] = one["tensor-spec"]["dtype"]
            spec["shape"] = [size if size >= 0 else None for size in one["tensor-spec"]["shape"][1:]]
        elif one["type"] == "array":
            inner = one["items"]["type"] if isinstance(one["items"], dict) else one["items"]
            spec["type"], spec["shape"] = inner, [None]
        found.append(spec)
    return found


def _field(spec: Mapping[str, Any]) -> dict[str, Any]:
    name = TENSOR if spec["name"] is None else str(spec["name"])
    if "dtype" in spec:
        kind = np.dtype(spec["dtype"])
        type_name = "text" if kind.kind in "OUS" else "timestamp" if kind.kind == "M" else kind.name
    else:
        type_name = _TYPES.get(str(spec["type"]), "")
    if not type_name or type_name == "float16":
        raise ValueError(
            f"its signature has {spec['type']!r} for {name!r}, which payoff has no column for; taken are "
            f"{', '.join(_TYPES)}, lists and arrays of them. Save it with a flat signature"
        )
    return {
        "name": name, "type": type_name, "shape": list(spec.get("shape", ())), "nullable": not spec["required"]
    }  # fmt: skip


def _params(metadata: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of predict that were given as options when the model was deployed."""
    schema = metadata.get_params_schema() if hasattr(metadata, "get_params_schema") else None
    names = [param.name for param in schema.params] if schema is not None else []
    return {name: options[name] for name in names if name in options}


def _array(columns: Mapping[str, Pair], dtype: Any) -> Any:
    """One array of all columns; the only one as it is."""
    if len(columns) == 1:
        (pair,) = columns.values()
        values = feeds.array(*pair)
        return values if dtype is None else values.astype(dtype, copy=False)
    return tables.matrix(columns, dtype=np.float64 if dtype is None else dtype)


def _lists(frame: Any) -> Any:
    """Lists in cells as MLflow's array type wants them."""
    for name in frame.columns:
        if len(frame) and isinstance(frame[name].iloc[0], np.ndarray):
            frame[name] = [value.tolist() for value in frame[name]]
    return frame


def _dense(answer: Any) -> Any:
    if hasattr(answer, "todense") and hasattr(answer, "toarray"):
        return answer.toarray()
    return answer.detach().cpu().numpy() if hasattr(answer, "detach") else answer


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:1500]
