"""Plain Python: folders with a model.py that want their rows in different forms, and a function from a notebook."""

from tests.kinds.case import Case

START = """
import json
from pathlib import Path

import numpy as np

folder = Path("model")
folder.mkdir()
(folder / "requirements.txt").write_text("numpy\\n")
rows = [{"age": 20 + n, "job": ["admin", "services", None][n % 3], "visits": n / 4} for n in range(30)]
Path("sample.json").write_text(json.dumps(rows))


def expect(**columns):
    Path("expected.json").write_text(json.dumps(columns))

"""

ARRAYS = (
    START
    + """
np.savez(folder / "weights.npz", age=0.5, visits=2.0)
(folder / "model.py").write_text('''
from pathlib import Path

import numpy as np


class Weighted:
    def __init__(self, weights):
        self.weights = weights

    @classmethod
    def load(cls, path):
        with np.load(Path(path) / "weights.npz") as weights:
            return cls(dict(weights))

    def predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        score = self.weights["age"] * columns["age"] + self.weights["visits"] * columns["visits"]
        return {"score": score, "known": np.array([job is not None for job in columns["job"]])}
''')
expect(
    score=[0.5 * row["age"] + 2.0 * row["visits"] for row in rows],
    known=[row["job"] is not None for row in rows],
)
"""
)

VALUES = (
    START
    + """
(folder / "words.py").write_text("BONUS = {'admin': 1.0, 'services': 2.0, None: 0.0}")
(folder / "model.py").write_text('''
from typing import Optional, TypedDict

from words import BONUS


class Offer(TypedDict):
    price: float
    tier: str


class Pricing:
    def load(self, path):
        self.rate = 1.5

    def predict(self, age: int, visits: float, job: Optional[str] = None) -> Offer:
        price = self.rate * visits + BONUS[job] if job in BONUS else 0
        return {"price": price, "tier": "old" if age > 30 else "young"}
''')
bonus = {"admin": 1.0, "services": 2.0, None: 0.0}
expect(
    price=[1.5 * row["visits"] + bonus[row["job"]] for row in rows],
    tier=["old" if row["age"] > 30 else "young" for row in rows],
)
"""
)

FRAME = (
    START
    + """
(folder / "requirements.txt").write_text("pandas\\n")
(folder / "model.py").write_text('''
import pandas as pd


class Model:
    def predict(self, frame: pd.DataFrame) -> pd.Series:
        return frame["visits"].where(frame["job"] == "admin", -1.0)
''')
expect(prediction=[row["visits"] if row["job"] == "admin" else -1.0 for row in rows])
"""
)

FUNCTION = (
    START
    + """
import cloudpickle

FACTOR = 3


def tripled(age: int, visits: float) -> float:
    return age + FACTOR * visits


(folder / "requirements.txt").write_text(f"cloudpickle=={cloudpickle.__version__}\\n")
(folder / "payoff.json").write_text(json.dumps({"kind": "function", "name": "tripled"}))
(folder / "function.pkl").write_bytes(cloudpickle.dumps(tripled))
expect(prediction=[row["age"] + 3 * row["visits"] for row in rows])
Path("sample.json").write_text(json.dumps([{"age": row["age"], "visits": row["visits"]} for row in rows]))
"""
)

CASES = [
    Case("python arrays", ARRAYS, "model", "python"),
    Case("python values", VALUES, "model", "python", sample=None),
    Case("python frame", FRAME, "model", "python"),
    Case("python function", FUNCTION, "model", "python", requirements=("cloudpickle==3.1.2",), sample=None),
]
