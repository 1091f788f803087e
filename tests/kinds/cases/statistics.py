"""Statistics: results of statsmodels, Prophet in both of its forms, sktime; a forecast takes `steps` or `ds`."""

from tests.kinds.case import Case

START = """
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
rng = np.random.default_rng(7)
frame = pd.DataFrame(
    {"age": rng.uniform(20, 60, 120).round(2), "zone": rng.choice(["north", "south"], 120), "visits": range(120)}
)
frame["spent"] = frame["age"] * 0.3 + (frame["zone"] == "south") * 4 + rng.normal(size=120)
frame["bought"] = (frame["spent"] > frame["spent"].median()).astype(int)
series = pd.Series(
    np.arange(72) * 0.5 + 3 * np.sin(np.arange(72) / 2), index=pd.period_range("2020-01", periods=72, freq="M")
)


def write(sample, **expected):
    pd.DataFrame(sample).to_json("sample.json", orient="records", date_format="iso")
    Path("expected.json").write_text(json.dumps({name: np.asarray(v).tolist() for name, v in expected.items()}))

"""

FORMULA = (
    START
    + """
import statsmodels.formula.api as smf

results = smf.logit("bought ~ np.log(age) + C(zone)", frame).fit(disp=0)
results.save("model.pickle")
write(frame[["age", "zone"]], probability=results.predict(frame))
"""
)

DESIGN = (
    START
    + """
import statsmodels.api as sm

results = sm.GLM(frame["visits"] + 1, sm.add_constant(frame[["age", "bought"]]), family=sm.families.Poisson()).fit()
results.save("model.pickle")
write(frame[["age", "bought"]], prediction=results.predict(sm.add_constant(frame[["age", "bought"]])))
"""
)

SERIES = (
    START
    + """
from statsmodels.tsa.arima.model import ARIMA

results = ARIMA(series, order=(1, 1, 0)).fit()
results.save("model.pickle")
found = results.get_forecast(12)
bounds = found.conf_int(alpha=0.05).to_numpy()
write({"steps": range(1, 13)}, prediction=found.predicted_mean, lower=bounds[:, 0], upper=bounds[:, 1])
"""
)

PROPHET = (
    START
    + """
import pickle

from prophet import Prophet
from prophet.serialize import model_to_json

history = pd.DataFrame({"ds": pd.date_range("2023-01-01", periods=200)})
history["promo"] = (np.arange(200) % 9 == 0) * 1.0
history["y"] = np.arange(200) * 0.1 + history["promo"] * 3
model = Prophet()
model.add_regressor("promo")
model.fit(history)
Path("model.json").write_text(model_to_json(model))
Path("model.pkl").write_bytes(pickle.dumps(model))
rows = pd.DataFrame({"ds": pd.date_range("2023-07-20", periods=20), "promo": [0.0, 1.0] * 10})
expected = model.predict(rows)["yhat"].to_numpy()[::-1]
write(rows.iloc[::-1], yhat=expected)
"""
)

SKTIME = (
    START
    + """
from sktime.forecasting.trend import PolynomialTrendForecaster

model = PolynomialTrendForecaster(degree=2).fit(series)
model.save("model")
write({"steps": range(1, 13)}, prediction=np.ravel(model.predict(fh=range(1, 13))))
"""
)

TEMPORAL = (
    START
    + """
import pickle

from sktime.classification.distance_based import KNeighborsTimeSeriesClassifier

signals = rng.normal(size=(40, 1, 24))
signals[20:] += 2 * np.sin(np.arange(24))
model = KNeighborsTimeSeriesClassifier(distance="euclidean").fit(signals, np.array(["calm"] * 20 + ["waves"] * 20))
Path("model.pkl").write_bytes(pickle.dumps(model))
write({"signal": signals[:, 0].tolist()}, label=model.predict(signals))
"""
)

STATSMODELS = ("statsmodels==0.15.0", "pandas", "joblib")
PROPHETS = ("prophet==1.5.0", "pandas", "joblib")
SKTIMES = ("sktime==1.2.0", "scikit-learn==1.9.1", "pandas==3.0.6", "numpy==2.4.6")

CASES = [
    Case("statsmodels formula", FORMULA, "model.pickle", "statsmodels", requirements=STATSMODELS),
    Case("statsmodels design", DESIGN, "model.pickle", "statsmodels", requirements=STATSMODELS),
    Case("statsmodels series", SERIES, "model.pickle", "statsmodels", requirements=STATSMODELS, sample=None),
    Case("prophet json", PROPHET, "model.json", "prophet", requirements=PROPHETS, sample=None, heavy=True),
    Case("prophet pickle", PROPHET, "model.pkl", "prophet", requirements=PROPHETS, heavy=True),
    Case("sktime zip", SKTIME, "model.zip", "sktime", requirements=SKTIMES, sample=None, heavy=True),
    Case("sktime pickle", TEMPORAL, "model.pkl", "sktime", requirements=SKTIMES, heavy=True),
]
