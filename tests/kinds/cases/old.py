"""Old artefacts: pickles of releases that nothing of today reads, opened in environments of their time."""

from tests.kinds.case import Case
from tests.kinds.cases.sklearn import START as SKLEARN
from tests.kinds.cases.xgboost import START as XGBOOST

PIPELINE = (
    SKLEARN
    + """
model = mixed(RandomForestClassifier(15, random_state=1)).fit(frame, bought)
joblib.dump(model, "model.joblib")
sure(model, frame)
"""
)

BOOSTER = (
    XGBOOST
    + """
import pickle

model = xgboost.XGBClassifier(n_estimators=20).fit(frame, bought)
Path("model.pkl").write_bytes(pickle.dumps(model))
write(frame, label=model.predict(frame), probability=model.predict_proba(frame)[:, 1])
"""
)

CASES = [
    Case(
        "old scikit-learn",
        PIPELINE,
        "model.joblib",
        "sklearn",
        "onnx",
        ("scikit-learn==1.2.2", "pandas<2.1", "numpy<1.27", "scipy<1.11", "joblib"),
    ),
    Case(
        "old xgboost",
        BOOSTER,
        "model.pkl",
        "xgboost",
        "onnx",
        ("xgboost==1.7.6", "scikit-learn==1.2.2", "pandas<2.1", "numpy<1.27", "scipy<1.11"),
    ),
]
