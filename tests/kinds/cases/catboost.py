"""CatBoost: its own files, of numbers and of categories and text, and pickles."""

from tests.kinds.case import Case

START = """
import json
from pathlib import Path

import catboost
import numpy as np
import pandas as pd

rng = np.random.default_rng(7)
frame = pd.DataFrame(
    {
        "age": rng.integers(18, 90, 200),
        "balance": np.where(rng.random(200) < 0.1, np.nan, rng.normal(1_000, 3_000, 200)),
        "job": rng.choice(["admin", "services", "retired"], 200),
        "said": rng.choice(["yes please", "no thank you", "maybe later"], 200),
    }
)
numbers = frame[["age", "balance"]]
bought = (frame["age"] / 90 + 0.4 * (frame["job"] == "admin") + rng.normal(0, 0.3, 200) > 0.9).astype(int)
mood = np.array(["bad", "fair", "good"])[np.clip(frame["age"] // 30, 0, 2)]
quiet = {"verbose": False, "allow_writing_files": False, "iterations": 20}


def write(sample, **expected):
    sample.to_json("sample.json", orient="records")
    Path("expected.json").write_text(json.dumps({name: np.asarray(v).tolist() for name, v in expected.items()}))

"""

NUMBERS = (
    START
    + """
model = catboost.CatBoostClassifier(**quiet).fit(numbers, mood)
model.save_model("model.cbm")
write(numbers, label=model.predict(numbers)[:, 0], probabilities=model.predict_proba(numbers))
"""
)

WORDS = (
    START
    + """
model = catboost.CatBoostClassifier(cat_features=["job"], text_features=["said"], **quiet).fit(frame, bought)
model.save_model("model.cbm")
write(frame, label=model.predict(frame), probability=model.predict_proba(frame)[:, 1])
"""
)

PICKLED = (
    START
    + """
import joblib

target = frame["age"] * 2.0
model = catboost.CatBoostRegressor(cat_features=["job"], **quiet).fit(frame[["age", "job"]], target)
joblib.dump(model, "model.joblib")
write(frame[["age", "job"]], prediction=model.predict(frame[["age", "job"]]))
"""
)

CATBOOST = ("catboost==1.2.10", "pandas", "joblib")

CASES = [
    Case("catboost numbers", NUMBERS, "model.cbm", "catboost", "onnx", CATBOOST),
    Case("catboost categories and text", WORDS, "model.cbm", "catboost", "native", CATBOOST),
    Case("catboost joblib", PICKLED, "model.joblib", "catboost", "native", CATBOOST),
]
