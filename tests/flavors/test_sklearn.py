"""scikit-learn models: converted, compared with home, and taken only if both agree."""

import datetime
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.apart import GOLDEN, MODEL, SAMPLE, Job, Report
from payoff.flavors.golden import check
from payoff.flavors.rowfile import write_rows
from payoff.flavors.running import load
from payoff.flavors.sample import rows_of
from payoff.flavors.sklearn_child import work
from payoff.records.columns import Column
from payoff.records.signature import Field, Signature, Type
from tests.flavors.arrivals import prepared as arrived
from tests.flavors.models import bank, table

CUSTOMERS, YES = bank()
TEXTS = ["job", "contact"]
NUMBERS = ["age", "balance", "campaign"]
SIZE = CUSTOMERS.balance.to_numpy() * 2 + CUSTOMERS.age.to_numpy()
MOOD = np.array(["bad", "fair", "good"])[np.clip(CUSTOMERS.age.to_numpy() // 30, 0, 2)]


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """What the child process does, in this one: two seconds of imports less per model."""
    monkeypatch.chdir(tmp_path)

    def run(model: Any, sample: pa.Table) -> Report:
        path = tmp_path / "model.pkl"
        path.write_bytes(model if isinstance(model, bytes) else pickle.dumps(model))
        write_rows(tmp_path / SAMPLE, {"inputs": rows_of(sample)})
        report = work(Job(path, tmp_path, path.name, tmp_path / SAMPLE))
        assert report.signature is not None
        check(load(tmp_path / MODEL, report.signature), tmp_path / GOLDEN, report.signature)
        return report

    return run


def mixed(last: Any, dense: bool = False) -> Any:
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=not dense)
    first = make_column_transformer(
        (encoder, TEXTS), (StandardScaler(), NUMBERS), remainder="passthrough", sparse_threshold=0 if dense else 0.3
    )
    return make_pipeline(first, last)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return mixed(LogisticRegression(max_iter=500)).fit(CUSTOMERS, YES)


def dump_pickle(model: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(model))


@pytest.mark.parametrize(
    "dump",
    [
        joblib.dump,
        pytest.param(dump_pickle, marks=pytest.mark.slow),
        pytest.param(skops.io.dump, marks=pytest.mark.slow),
    ],
)
def test_a_pipeline_over_mixed_columns_comes_out_as_one_onnx_file(tmp_path: Path, pipeline: Any, dump: Any) -> None:
    dump(pipeline, tmp_path / "model")
    sample = table(CUSTOMERS.assign(subscribed=YES))
    prepared = arrived(tmp_path / "model", sample)
    assert prepared.flavor == "sklearn"
    types = (Type.INT64, Type.TEXT, Type.FLOAT64, Type.BOOL, Type.TEXT, Type.INT64)
    assert prepared.signature.inputs == tuple(map(Field, CUSTOMERS.columns, types))
    assert [(field.name, field.type.is_float) for field in prepared.signature.outputs] == [
        ("label", False), ("probability", True),
    ]  # fmt: skip
    assert prepared.signature.outputs[0].type is Type.BOOL
    assert prepared.served_flavor == "onnx"
    assert prepared.provenance["estimator"] == "Pipeline ending in LogisticRegression"
    assert prepared.provenance["tolerance"] == "0.0001 + 0.0001 of the size"
    assert prepared.provenance["worst difference"] < 1e-6
    assert prepared.provenance["compared rows"] > 280
    assert prepared.provenance["ignored sample columns"] == ["subscribed"]
    assert set(prepared.environment) == {"scikit-learn", "skl2onnx", "onnx", "onnxruntime", "numpy"}
    run = load(prepared.served_path, prepared.signature)
    assert prepared.golden_path is not None
    check(run, prepared.golden_path, prepared.signature)
    got = run(rows_of(table(CUSTOMERS, 300)).columns)
    assert got["label"].values.tolist() == pipeline.predict(CUSTOMERS).tolist()
    assert np.abs(got["probability"].values - pipeline.predict_proba(CUSTOMERS)[:, 1]).max() < 1e-6


CLASSIFIERS = {
    "logistic": LogisticRegression(max_iter=500),
    "boosting": GradientBoostingClassifier(n_estimators=15, random_state=1),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=15),
    "forest": RandomForestClassifier(15, random_state=1),
    "extra trees": ExtraTreesClassifier(10, random_state=1),
    "tree": DecisionTreeClassifier(random_state=1),
    "support vectors": SVC(),
    "linear support vectors": LinearSVC(),
    "gradient descent": SGDClassifier(random_state=1),
    "neighbours": KNeighborsClassifier(),
    "network": MLPClassifier((6,), max_iter=30, random_state=1),
    "calibrated": CalibratedClassifierCV(LinearSVC()),
    "voting": VotingClassifier(
        [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3, random_state=1))], voting="soft"
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_of_two_classes_convert(convert: Callable[..., Report], name: str) -> None:
    model = mixed(CLASSIFIERS[name], dense=True).fit(CUSTOMERS, YES)
    report = convert(model, table(CUSTOMERS))
    assert report.signature is not None
    sure = "probability" if hasattr(model, "predict_proba") else "score"
    assert [field.name for field in report.signature.outputs] == ["label", sure]
    assert report.provenance["worst difference"] < 1e-4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["logistic", "boosting", "histogram boosting", "forest", "support vectors", "network"])
def test_more_classes_with_text_labels_answer_all_probabilities(convert: Callable[..., Report], name: str) -> None:
    model = CLASSIFIERS[name].fit(CUSTOMERS[NUMBERS], MOOD)
    report = convert(model, table(CUSTOMERS[NUMBERS]))
    assert report.signature is not None
    label, scores = report.signature.outputs
    assert label == Field("label", Type.TEXT)
    assert (scores.name, scores.shape) == ("probabilities" if hasattr(model, "predict_proba") else "scores", (3,))


REGRESSORS = {
    "linear": LinearRegression(),
    "ridge": Ridge(),
    "forest": RandomForestRegressor(10, random_state=1),
    "boosting": GradientBoostingRegressor(n_estimators=15, random_state=1),
    "histogram boosting": HistGradientBoostingRegressor(max_iter=15),
}


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_answer_a_prediction(convert: Callable[..., Report], name: str) -> None:
    report = convert(mixed(REGRESSORS[name], dense=True).fit(CUSTOMERS, SIZE), table(CUSTOMERS))
    assert report.signature is not None
    assert [field.name for field in report.signature.outputs] == ["prediction"]


def test_a_regressor_of_two_numbers_answers_both(convert: Callable[..., Report]) -> None:
    report = convert(LinearRegression().fit(CUSTOMERS[NUMBERS], np.c_[SIZE, -SIZE]), table(CUSTOMERS[NUMBERS]))
    assert report.signature is not None
    assert report.signature.outputs == (Field("prediction", Type.FLOAT64, (2,)),)


def test_outlier_detectors_answer_a_label(convert: Callable[..., Report]) -> None:
    report = convert(
        IsolationForest(n_estimators=10, random_state=1).fit(CUSTOMERS[NUMBERS].to_numpy()), table(CUSTOMERS[NUMBERS])
    )
    assert report.signature is not None
    assert report.signature.outputs == (Field("label", Type.INT64),)


def test_a_search_with_a_scorer_converts_its_best(convert: Callable[..., Report]) -> None:
    search = GridSearchCV(mixed(LogisticRegression()), {"logisticregression__C": [0.1, 1]}, scoring="roc_auc", cv=2)
    assert convert(search.fit(CUSTOMERS, YES), table(CUSTOMERS)).provenance["worst difference"] < 1e-6


def test_a_model_without_column_names_takes_those_of_the_sample(convert: Callable[..., Report]) -> None:
    report = convert(LogisticRegression().fit(CUSTOMERS[NUMBERS].to_numpy(), YES), table(CUSTOMERS[NUMBERS]))
    assert report.signature is not None
    assert [(field.name, field.type) for field in report.signature.inputs] == [
        ("age", Type.INT64), ("balance", Type.FLOAT64), ("campaign", Type.INT64),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "last", [HistGradientBoostingClassifier(max_iter=10), RandomForestClassifier(10, random_state=1)]
)
def test_missing_numbers_go_where_they_went_in_training(convert: Callable[..., Report], last: Any) -> None:
    holes = CUSTOMERS[NUMBERS].assign(balance=CUSTOMERS.balance.where(CUSTOMERS.index % 5 > 0))
    for model in (last, make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())):
        report = convert(model.fit(holes, YES), table(holes))
        assert report.signature is not None
        assert [field.nullable for field in report.signature.inputs] == [False, True, False]


def test_trees_agree_to_the_last_bit_of_a_threshold(convert: Callable[..., Report], tmp_path: Path) -> None:
    """Inputs on both sides of every threshold, one step of a 64-bit and of a 32-bit float away."""
    random = np.random.default_rng(3)
    frame = pd.DataFrame({"a": random.normal(0, 1, 400), "b": random.normal(1e6, 1, 400)})
    target = frame.a * frame.b > 0
    forest = RandomForestClassifier(5, random_state=1).fit(frame, target)
    boosted = HistGradientBoostingClassifier(max_iter=5).fit(frame, target)
    cuts = np.concatenate([tree.tree_.threshold[tree.tree_.feature == 0] for tree in forest.estimators_])
    cuts = np.concatenate([cuts, *(trees[0].nodes["num_threshold"] for trees in boosted._predictors)])
    edges = np.concatenate([np.nextafter(cuts, way) for way in (-np.inf, np.inf)])
    steps = np.concatenate([np.nextafter(cuts.astype(np.float32), np.float32(way)) for way in (-np.inf, np.inf)])
    values = np.concatenate([cuts, edges, steps.astype(np.float64)])
    rows = pd.DataFrame({"a": values, "b": np.resize(frame.b, len(values))})
    for model in (forest, boosted):
        signature = convert(model, table(frame)).signature
        assert signature is not None
        got = load(tmp_path / MODEL, signature)(rows_of(table(rows, 1_000)).columns)["probability"].values
        assert np.abs(got - model.predict_proba(rows.head(1_000))[:, 1]).max() < 1e-6


def test_columns_keep_odd_names_even_those_of_answers(convert: Callable[..., Report]) -> None:
    names = {"age": "Age (years)", "balance": "label", "campaign": "probability", "job": "Beruf. größe"}
    odd = CUSTOMERS.rename(columns=names)
    first = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["Beruf. größe"]),
        (StandardScaler(), ["Age (years)", "label", "probability"]),
        remainder="drop",
    )
    report = convert(make_pipeline(first, LogisticRegression()).fit(odd, YES), table(odd))
    assert report.signature is not None
    assert [field.name for field in report.signature.inputs] == list(odd.columns)
    assert [field.name for field in report.signature.outputs] == ["label", "probability"]


def test_words_that_home_refuses_are_told(convert: Callable[..., Report]) -> None:
    first = make_column_transformer((OneHotEncoder(), TEXTS), remainder="passthrough")
    report = convert(make_pipeline(first, LogisticRegression(max_iter=500)).fit(CUSTOMERS, YES), table(CUSTOMERS))
    assert report.provenance["notes"][0].startswith(
        "unknown words: scikit-learn refuses such rows (ValueError: Found unknown"
    )


def test_a_file_of_another_version_is_told(convert: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr("sklearn.base.__version__", "1.8.0")
        saved = pickle.dumps(LogisticRegression().fit(CUSTOMERS[NUMBERS], YES))
    report = convert(saved, table(CUSTOMERS[NUMBERS]))
    assert "from version 1.8.0 when using version" in report.provenance["notes"][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(
            lambda t: t.drop_columns(["job", "age"]),
            "takes the columns age, job, balance, housing, contact, campaign; the sample lacks age, job",
            id="missing columns",
        ),
        pytest.param(
            lambda t: t.set_column(2, "balance", pa.array(["much"] * t.num_rows)),
            r"fails on the sample rows in scikit-learn itself \(ValueError: .*rows of the kind that it was trained on",
            id="text for numbers",
        ),
        pytest.param(lambda t: t.slice(0, 0), "the sample has no rows", id="no rows"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused(
    convert: Callable[..., Report], pipeline: Any, change: Callable[[pa.Table], pa.Table], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        convert(pipeline, change(table(CUSTOMERS)))


@pytest.mark.parametrize("value", [datetime.date(2008, 5, 5), [1.0, 2.0]])
def test_dates_and_lists_are_left_to_the_model_in_its_own_environment(
    convert: Callable[..., Report], pipeline: Any, value: Any
) -> None:
    sample = table(CUSTOMERS)
    with pytest.raises(ModelFailed, match=r"column 'age' is a (date|float64\[2\]), which no converted"):
        convert(pipeline, sample.set_column(0, "age", pa.array([value] * sample.num_rows)))


def test_a_sample_of_another_width_is_refused_where_names_are_unknown(convert: Callable[..., Report]) -> None:
    model = LogisticRegression().fit(CUSTOMERS[NUMBERS].to_numpy(), YES)
    with pytest.raises(BadInput, match=r"takes 3 columns \(it was fitted without their names\), and 6 are given"):
        convert(model, table(CUSTOMERS))


def test_without_a_sample_the_way_to_give_one_is_told(tmp_path: Path) -> None:
    joblib.dump(LogisticRegression().fit(CUSTOMERS[NUMBERS], YES), tmp_path / "model.pkl")
    with pytest.raises(
        BadInput, match=r"give some 100 rows of them, features only, with --sample FILE \(CSV or Parquet\)"
    ):
        arrived(tmp_path / "model.pkl")


UNCONVERTED = {
    "dummy": (DummyClassifier(), YES, r"\(DummyClassifier\) does not convert to ONNX: .*Unable to find"),
    "several labels": (MultiOutputClassifier(LogisticRegression()), np.c_[YES, YES], "several labels per row"),
}


@pytest.mark.parametrize("name", UNCONVERTED)
def test_what_does_not_convert_is_left_to_an_environment_of_its_own(convert: Callable[..., Report], name: str) -> None:
    model, target, says = UNCONVERTED[name]
    with pytest.raises(ModelFailed, match=says):
        convert(model.fit(CUSTOMERS[NUMBERS], target), table(CUSTOMERS[NUMBERS]))


def test_what_converts_to_something_else_is_told_with_the_differences(convert: Callable[..., Report]) -> None:
    isotonic = CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=5, random_state=1), method="isotonic")
    with pytest.raises(ModelFailed) as caught:
        convert(isotonic.fit(CUSTOMERS[NUMBERS], YES), table(CUSTOMERS[NUMBERS]))
    text = str(caught.value)
    assert "model.pkl (CalibratedClassifierCV) was converted to ONNX" in text
    assert "differ there; a number may be off by 0.0001 + 0.0001 of the size:\nrow" in text


@pytest.mark.parametrize(
    ("model", "says"),
    [
        pytest.param(StandardScaler().fit(CUSTOMERS[NUMBERS]), "StandardScaler, which predicts nothing", id="scaler"),
        pytest.param(LogisticRegression(), "LogisticRegression that was never fitted", id="not fitted"),
    ],
)
def test_models_that_cannot_be_served_are_refused(convert: Callable[..., Report], model: Any, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        convert(model, table(CUSTOMERS[NUMBERS]))


def test_a_converted_model_takes_whole_numbers_as_such(convert: Callable[..., Report], tmp_path: Path) -> None:
    report = convert(LogisticRegression().fit(CUSTOMERS[["age"]], YES), table(CUSTOMERS[["age"]]))
    assert report.signature == Signature(
        (Field("age", Type.INT64),), (Field("label", Type.BOOL), Field("probability", Type.FLOAT64))
    )
    run = load(tmp_path / MODEL, report.signature)
    assert len(run({"age": Column(np.array([30, 60]))})["probability"]) == 2
