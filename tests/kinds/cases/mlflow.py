"""MLflow models: a scikit-learn pipeline with signature and example, one's own PythonModel, arrays without names."""

from tests.kinds.case import Case

MLFLOW = "mlflow-skinny==3.17.2"
START = """
import json
import os
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature

frame = pd.DataFrame(
    {"age": range(20, 70), "job": ["admin", "services"] * 25, "visits": [n % 7 + 0.5 for n in range(50)]}
)
frame.to_json("sample.json", orient="records")


def expect(**columns):
    Path("expected.json").write_text(json.dumps({name: np.asarray(v).tolist() for name, v in columns.items()}))

"""

SKLEARN = (
    START
    + """
import mlflow.sklearn
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["job"]), remainder="passthrough")
model = make_pipeline(columns, Ridge()).fit(frame, frame["visits"] * 2 + frame["age"])
signature = infer_signature(frame, model.predict(frame))
mlflow.sklearn.save_model(model, "model", signature=signature, input_example=frame.head(20))
expect(prediction=mlflow.pyfunc.load_model("model").predict(frame))
"""
)

OWN = (
    START
    + """
class Scores(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.weights = json.loads(Path(context.artifacts["weights"]).read_text())

    def predict(self, context, model_input, params=None):
        score = model_input["age"] * self.weights["age"]
        return pd.DataFrame({"score": score, "tier": np.where(score > 60, "high", "low")})


Path("weights.json").write_text('{"age": 1.5}')
mlflow.pyfunc.save_model(
    "model",
    python_model=Scores(),
    artifacts={"weights": "weights.json"},
    signature=infer_signature(frame, pd.DataFrame({"score": [1.0], "tier": ["low"]})),
)
answers = mlflow.pyfunc.load_model("model").predict(frame)
expect(score=answers["score"], tier=answers["tier"])
"""
)

ARRAY = (
    START
    + """
import mlflow.sklearn
from sklearn.linear_model import LogisticRegression

X = frame[["age", "visits"]].to_numpy()
model = LogisticRegression().fit(X, X[:, 1] > 3)
mlflow.sklearn.save_model(model, "model", signature=infer_signature(X, model.predict(X)))
frame[["age", "visits"]].to_json("sample.json", orient="records")
expect(prediction=mlflow.pyfunc.load_model("model").predict(X))
"""
)

SKLEARN_PACKAGES = (MLFLOW, "scikit-learn==1.9.1", "skops==0.16.0", "pandas==3.1.1", "numpy==2.4.6")

CASES = [
    Case("mlflow sklearn", SKLEARN, "model", "mlflow", requirements=SKLEARN_PACKAGES, sample=None, heavy=True),
    Case("mlflow own", OWN, "model", "mlflow", requirements=(MLFLOW, "pandas==3.1.1", "numpy==2.4.6"), heavy=True),
    Case("mlflow array", ARRAY, "model", "mlflow", requirements=SKLEARN_PACKAGES, heavy=True),
]
