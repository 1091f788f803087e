"""Old artefacts: pickles of releases that nothing of today reads, made and opened in environments of their time."""

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

OLD_SKLEARN = ("scikit-learn==1.2.2", "pandas", "joblib")
OLD_XGBOOST = ("xgboost==1.7.6", "scikit-learn", "pandas", "joblib")

CASES = [
    Case("old scikit-learn", PIPELINE, "model.joblib", "sklearn", "onnx", OLD_SKLEARN),
    Case("old xgboost", BOOSTER, "model.pkl", "xgboost", "onnx", OLD_XGBOOST),
]
