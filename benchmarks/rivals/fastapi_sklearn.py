"""The yardstick for a model in its own framework: FastAPI asks a scikit-learn pipeline for every call. No records."""

import os
from typing import Any

import joblib
import pandas as pd
from fastapi import FastAPI

app = FastAPI()
model = joblib.load(os.environ["MODEL"])


@app.get("/v2/health/ready")
async def ready() -> dict[str, Any]:
    return {}


@app.post("/predict/churn")
async def predict(rows: list[dict[str, Any]]) -> dict[str, Any]:
    frame = pd.DataFrame(rows)
    probability = model.predict_proba(frame)[:, 1]
    labels = model.classes_[(probability > 0.5).astype(int)]
    found = zip(labels.tolist(), probability.tolist(), strict=True)
    return {"rows": [{"label": label, "probability": value} for label, value in found]}
