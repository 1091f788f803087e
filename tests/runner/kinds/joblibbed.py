"""A kind for tests: a classifier in a joblib file, asked through a DataFrame."""

from __future__ import annotations

from typing import Any

from payoff_guest import tables  # type: ignore[import-not-found]

PRELOAD = ("sklearn.ensemble", "joblib", "pandas")


class Classifier:
    """The probability of the second class."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def describe(self) -> dict[str, Any]:
        """What there is to say."""
        return {"inputs": None, "kind": "classifier", "estimator": type(self.model).__name__}

    def ask(self, columns: dict[str, Any]) -> dict[str, Any]:
        """One probability per row."""
        return {"probability": (self.model.predict_proba(tables.frame(columns).to_numpy())[:, 1], None)}


def load(path: str, options: dict[str, Any]) -> Classifier:
    """From its file."""
    import joblib

    return Classifier(joblib.load(path))
