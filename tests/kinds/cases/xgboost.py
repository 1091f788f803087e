"""XGBoost: what it saves itself (JSON, UBJSON), and pickles of boosters, wrappers and pipelines."""

from tests.kinds.case import Case

START = """
import json
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost

rng = np.random.default_rng(7)
frame = pd.DataFrame(
    {
        "age": rng.integers(18, 90, 200),
        "balance": np.where(rng.random(200) < 0.1, np.nan, rng.normal(1_000, 3_000, 200)),
        "member": rng.random(200) < 0.5,
    }
)
bought = (frame["age"] / 90 + 0.4 * frame["member"] + rng.normal(0, 0.3, 200) > 0.9).astype(int)
spent = frame["age"] * 3.0 + rng.normal(0, 5, 200)
mood = np.clip(frame["age"] // 30, 0, 2)


def write(sample, **expected):
    sample.to_json("sample.json", orient="records")
    Path("expected.json").write_text(json.dumps({name: np.asarray(v).tolist() for name, v in expected.items()}))

"""

WRAPPER = (
    START
    + """
model = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=3)
model.fit(frame[:150], bought[:150], eval_set=[(frame[150:], bought[150:])], verbose=False)
model.save_model("model.json")
write(frame, label=model.predict(frame), probability=model.predict_proba(frame)[:, 1])
"""
)

CATEGORIES = (
    START
    + """
jobs = pd.Categorical(rng.choice(["admin", "services", "retired", "student", "nurse"], 200))
frame = frame.assign(job=jobs)
model = xgboost.XGBClassifier(n_estimators=20, enable_categorical=True).fit(frame, mood)
model.save_model("model.ubj")
write(frame.assign(job=frame["job"].astype(str)), label=model.predict(frame), probabilities=model.predict_proba(frame))
"""
)

BOOSTER = (
    START
    + """
import pickle

booster = xgboost.train({"objective": "count:poisson"}, xgboost.DMatrix(frame, spent.clip(0)), 20)
Path("model.pkl").write_bytes(pickle.dumps(booster))
write(frame, prediction=booster.predict(xgboost.DMatrix(frame)))
"""
)

LINEAR = (
    START
    + """
model = xgboost.XGBRegressor(booster="gblinear", n_estimators=9).fit(frame.fillna(0), spent)
model.save_model("model.json")
write(frame.fillna(0), prediction=model.predict(frame.fillna(0)))
"""
)

PIPELINE = (
    START
    + """
import joblib
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

numbers = frame[["age", "balance"]]
model = make_pipeline(SimpleImputer(), xgboost.XGBRegressor(n_estimators=20)).fit(numbers, spent)
joblib.dump(model, "model.joblib")
write(numbers, prediction=model.predict(numbers))
"""
)

XGBOOST = ("xgboost-cpu==3.2.0", "pandas==3.1.1", "scikit-learn==1.9.1")

CASES = [
    Case("xgboost json", WRAPPER, "model.json", "xgboost", "onnx", XGBOOST),
    Case("xgboost ubj with categories", CATEGORIES, "model.ubj", "xgboost", "onnx", XGBOOST),
    Case("xgboost pickled booster", BOOSTER, "model.pkl", "xgboost", "onnx", XGBOOST),
    Case("xgboost linear", LINEAR, "model.json", "xgboost", "native", XGBOOST, sample=None),
    Case("xgboost in a pipeline", PIPELINE, "model.joblib", "sklearn", "onnx", XGBOOST),
    Case("xgboost native", WRAPPER, "model.json", "xgboost", "native", XGBOOST, said={"native": True}),
]
