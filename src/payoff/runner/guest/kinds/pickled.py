"""Pickles and joblib files: opened here, in the model's own process, and handed to the kind of their framework."""

from __future__ import annotations

import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

PRELOAD = ("pandas", "joblib")

# The package of an object's class -> the kind that knows how to ask it. All others are taken for scikit-learn's kin.
KINDS = {
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "statsmodels": "statsmodels",
    "prophet": "prophet",
    "sktime": "sktime",
}


def load(path: str, options: dict[str, Any]) -> Any:
    """The model in the file, ready to be asked; ValueError where there is none."""
    return wrap(open_model(path))


def wrap(model: Any) -> Any:
    """The object as the kind of its framework asks it."""
    return import_module(f"{__package__}.{kind_of(model)}").wrap(model)


def kind_of(model: Any) -> str:
    """By the class and those it was made of: your own subclass of an XGBClassifier is XGBoost's."""
    for one in type(model).__mro__:
        kind = KINDS.get(one.__module__.partition(".")[0])
        if kind is not None:
            return kind
    return "sklearn"


def open_model(path: str) -> Any:
    """The object in the file: joblib reads its own files and plain pickles, compressed or not."""
    try:
        return _opened(path)
    except (MemoryError, RecursionError):
        raise
    except ImportError as error:
        raise ValueError(_lacks(str(error))) from error
    except AttributeError as error:
        raise ValueError(
            _lacks(str(error)) if "__main__" in str(error) or "module" in str(error) else _cut(error)
        ) from error
    except Exception as error:
        raise ValueError(_cut(error)) from error


def _opened(path: str) -> Any:
    try:
        import joblib
    except ImportError:  # a pickle of a framework without scikit-learn
        with Path(path).open("rb") as file:
            return pickle.load(file)  # noqa: S301 - it was scanned, and this process has nothing worth having
    return joblib.load(path)


def _lacks(words: str) -> str:
    """Why a name is not found, and the ways to bring the code along."""
    return (
        f"it needs code that is not in its environment ({words}). A pickle only names the classes and functions it was "
        "made of. If they are of a package, give it with --requirements; if they are your own, deploy a folder with "
        "model.py beside the file, or deploy from the notebook with client.deploy(model), which takes the code along"
    )


def _cut(error: Exception) -> str:
    return (
        f"it cannot be read as a pickle ({type(error).__name__}: {' '.join(str(error).split())[:300]}); it may be cut "
        "short, or made by versions other than those of its environment: name them with --requirements"
    )
