"""The yardstick for a model in its own framework: FastAPI asks a scikit-learn pipeline for every call. No records."""

import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from fastapi import FastAPI

app = FastAPI()
matrix, frame = (joblib.load(Path(os.environ["MODELS"]) / f"{name}.joblib") for name in ("matrix", "frame"))


@app.get("/v2/health/ready")
async def ready() -> dict[str, Any]:
    return {}


@app.post("/predict/matrix")
async def predict_matrix(rows: list[dict[str, float]]) -> dict[str, Any]:
    return answer(matrix, np.array([list(row.values()) for row in rows]))


@app.post("/predict/frame")
async def predict_frame(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return answer(frame, pd.DataFrame(rows))


def answer(model: Any, rows: Any) -> dict[str, Any]:
    probability = model.predict_proba(rows)[:, 1]
    labels = model.classes_[(probability > 0.5).astype(int)]
    found = zip(labels.tolist(), probability.tolist(), strict=True)
    return {"predictions": [{"label": label, "probability": value} for label, value in found]}
