"""LightGBM: its text files, and pickles of its wrappers."""

from tests.kinds.case import Case

START = """
import json
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd

rng = np.random.default_rng(7)
frame = pd.DataFrame(
    {
        "age": rng.integers(18, 90, 400),
        "balance": np.where(rng.random(400) < 0.1, np.nan, rng.normal(1_000, 3_000, 400)),
        "job": pd.Categorical(rng.choice(["admin", "services", "retired", "student", "nurse"], 400)),
    }
)
bought = (frame["age"] / 90 + 0.4 * (frame["job"] == "nurse") + rng.normal(0, 0.3, 400) > 0.9).astype(int)
mood = np.array(["bad", "fair", "good"])[np.clip(frame["age"] // 30, 0, 2)]


def write(**expected):
    frame.assign(job=frame["job"].astype(str)).to_json("sample.json", orient="records")
    Path("expected.json").write_text(json.dumps({name: np.asarray(v).tolist() for name, v in expected.items()}))

"""

TEXT = (
    START
    + """
booster = lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(frame, bought), 20)
booster.save_model("model.txt")
write(label=(booster.predict(frame) > 0.5).astype(int), probability=booster.predict(frame))
"""
)

WRAPPER = (
    START
    + """
import joblib

model = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1).fit(frame, mood)
joblib.dump(model, "model.joblib")
write(label=model.predict(frame), probabilities=model.predict_proba(frame))
"""
)

LINEAR = (
    START
    + """
frame["balance"] = frame["balance"].fillna(0)
target = frame["age"] * 2 + frame["balance"]
booster = lightgbm.train(
    {"objective": "regression", "linear_tree": True, "verbose": -1}, lightgbm.Dataset(frame, target), 20
)
booster.save_model("model.txt")
write(prediction=booster.predict(frame))
"""
)

LIGHTGBM = ("lightgbm==4.7.0", "pandas==3.1.1", "scikit-learn==1.9.1")

CASES = [
    Case("lightgbm text", TEXT, "model.txt", "lightgbm", "onnx", LIGHTGBM),
    Case("lightgbm joblib", WRAPPER, "model.joblib", "lightgbm", "onnx", LIGHTGBM),
    Case("lightgbm linear trees", LINEAR, "model.txt", "lightgbm", "native", LIGHTGBM),
]
