"""scikit-learn and its kin: pipelines of its own steps, with NumPy's and one's own functions, estimators of others."""

from tests.kinds.case import Case

START = """
import json
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

rng = np.random.default_rng(7)
frame = pd.DataFrame(
    {
        "age": rng.integers(18, 90, 150),
        "job": rng.choice(["admin", "services", "retired"], 150),
        "balance": rng.normal(1_000, 3_000, 150).round(2),
        "visits": rng.integers(1, 9, 150),
    }
)
numbers = frame[["age", "balance", "visits"]]
spent = frame["balance"] * 0.3 + frame["age"]
bought = (frame["age"] / 90 + (frame["job"] == "admin") + rng.normal(0, 0.3, 150) > 0.9).astype(int)


def mixed(last):
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["job"]), (StandardScaler(), ["age", "balance", "visits"])
    )
    return make_pipeline(columns, last)


def write(sample, **expected):
    sample.to_json("sample.json", orient="records")
    Path("expected.json").write_text(json.dumps({name: np.asarray(v).tolist() for name, v in expected.items()}))


def sure(model, sample):
    write(sample, label=model.predict(sample), probability=model.predict_proba(sample)[:, 1])

"""

QUICK = (
    START
    + """
model = mixed(LogisticRegression(max_iter=500)).fit(frame, bought)
joblib.dump(model, "model.joblib")
sure(model, frame)
"""
)

SKOPS = (
    START
    + """
import skops.io

model = StackingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(5))]).fit(numbers, bought)
skops.io.dump(model, "model.skops")
sure(model, numbers)
"""
)

SKOPS_LOG = (
    START
    + """
import skops.io

few = frame[["age", "visits"]]
model = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(few, bought)
skops.io.dump(model, "model.skops")
sure(model, few)
"""
)

LOG = (
    START
    + """
few = frame[["age", "visits"]]
model = GridSearchCV(
    make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2
).fit(few, bought)
joblib.dump(model, "model.joblib")
sure(model, few)
"""
)

OWN = (
    START
    + """
import cloudpickle


def per_visit(rows):
    return rows.assign(per_visit=rows["balance"] / rows["visits"])


class Cautious(LogisticRegression):
    def predict(self, rows):
        return (self.predict_proba(rows)[:, 1] > 0.8).astype(int)


model = make_pipeline(FunctionTransformer(per_visit), StandardScaler(), Cautious()).fit(numbers, bought)
Path("model.pkl").write_bytes(cloudpickle.dumps(model))
sure(model, numbers)
"""
)

LABELS = (
    START
    + """
both = np.c_[bought, frame["visits"] > 4]
model = MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(numbers, both)
joblib.dump(model, "model.joblib")
sure = np.stack([one[:, 1] for one in model.predict_proba(numbers)], axis=1)
write(numbers, label=model.predict(numbers), probabilities=sure)
"""
)

IMBALANCED = (
    START
    + """
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imbalanced

model = make_imbalanced(RandomOverSampler(random_state=1), StandardScaler(), LogisticRegression()).fit(numbers, bought)
joblib.dump(model, "model.joblib")
sure(model, numbers)
"""
)

ENGINE = (
    START
    + """
from feature_engine.encoding import OrdinalEncoder

model = make_pipeline(OrdinalEncoder(encoding_method="arbitrary"), LinearRegression()).fit(frame, spent)
joblib.dump(model, "model.joblib")
write(frame, prediction=model.predict(frame))
"""
)

LEGO = (
    START
    + """
from sklego.linear_model import LADRegression

model = LADRegression().fit(numbers, spent)
joblib.dump(model, "model.joblib")
write(numbers, prediction=model.predict(numbers))
"""
)

SKLEARN = ("scikit-learn==1.9.1", "pandas==3.1.1", "joblib")
WITH_LEGO = [*SKLEARN, "scikit-lego==0.9.10"]

CASES = [
    Case("sklearn joblib", QUICK, "model.joblib", "sklearn", "onnx", SKLEARN),
    Case("sklearn skops", SKOPS, "model.skops", "sklearn", "onnx", (*SKLEARN, "skops")),
    Case("sklearn skops log1p", SKOPS_LOG, "model.skops", "sklearn", "native", (*SKLEARN, "skops")),
    Case("sklearn log1p", LOG, "model.joblib", "sklearn", "native", SKLEARN),
    Case("sklearn own code", OWN, "model.pkl", "sklearn", "native", (*SKLEARN, "cloudpickle")),
    Case("sklearn several labels", LABELS, "model.joblib", "sklearn", "native", SKLEARN),
    Case("sklearn imbalanced", IMBALANCED, "model.joblib", "sklearn", "onnx", (*SKLEARN, "imbalanced-learn")),
    Case("sklearn feature engine", ENGINE, "model.joblib", "sklearn", "native", (*SKLEARN, "feature-engine")),
    Case(
        "sklearn scikit-lego",
        LEGO,
        "model.joblib",
        "pickle",
        "native",
        (*SKLEARN, "scikit-lego==0.9.10"),
        said={"requirements": WITH_LEGO},
    ),
]
