"""Which road a pickle takes: refused, opened with payoff's own scikit-learn, or in an environment of its own."""

import pickle
import sys
from pathlib import Path
from types import ModuleType

import joblib
import pytest
import skops.io
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from payoff.environments.environments import Environments
from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Said
from payoff.flavors.pickle import TREES, converters, library
from payoff.flavors.quick import Quick, quick
from payoff.flavors.scan import Scanned
from payoff.flavors.skops import listed
from tests.flavors.arrivals import prepared
from tests.flavors.models import bank, table

CUSTOMERS, YES = bank()
NUMBERS = ["age", "balance", "campaign"]
SKLEARN = Scanned(globals=("sklearn.linear_model._logistic.LogisticRegression", "numpy.ndarray"))


def arrival(folder: Path, said: Said | None = None) -> Arrival:
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression().fit(CUSTOMERS[NUMBERS], YES)))
    return Arrival(path, folder / "into", Environments(folder / "environments"), table(CUSTOMERS), said or Said())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(["sklearn.pipeline.Pipeline", "xgboost.sklearn.XGBClassifier"], "sklearn", id="a pipeline"),
        pytest.param(
            ["xgboost.sklearn.XGBClassifier", "sklearn.preprocessing._label.LabelEncoder"], "xgboost", id="one"
        ),
        pytest.param(["lightgbm.sklearn.LGBMClassifier"], "lightgbm", id="lightgbm"),
        pytest.param(["sktime.forecasting.naive.NaiveForecaster", "sklearn.base.X"], "sktime", id="sktime"),
        pytest.param(["builtins.dict", "numpy.ndarray"], "pickle", id="nobody's"),
    ],
)
def test_a_pickle_is_called_by_the_library_of_what_it_holds(names: list[str], expected: str) -> None:
    assert library(Scanned(globals=tuple(names))) == expected


def test_converters_are_installed_only_where_they_may_be_of_use() -> None:
    assert converters(Scanned(globals=("xgboost.core.Booster",)), "xgboost") == TREES
    assert "skl2onnx>=1.14" in converters(SKLEARN, "sklearn")
    assert converters(Scanned(globals=("feature_engine.encoding.X", *SKLEARN.globals)), "sklearn") == ()
    assert converters(Scanned(globals=SKLEARN.globals, code=True), "sklearn") == ()


@pytest.mark.parametrize(
    "scanned",
    [
        pytest.param(Scanned(globals=SKLEARN.globals, versions={"scikit-learn": "1.2.2"}), id="another release"),
        pytest.param(Scanned(globals=(*SKLEARN.globals, "xgboost.core.Booster")), id="another library"),
    ],
)
def test_another_release_or_library_leaves_the_quick_road(tmp_path: Path, scanned: Scanned) -> None:
    assert quick(arrival(tmp_path), scanned) == Quick()


@pytest.mark.parametrize("said", [Said(native=True), Said(requirements=("scikit-learn",)), Said(python="3.11")])
def test_what_a_user_says_of_the_environment_leaves_the_quick_road(tmp_path: Path, said: Said) -> None:
    assert quick(arrival(tmp_path, said), SKLEARN) == Quick()


def test_what_does_not_convert_is_told_in_words(tmp_path: Path) -> None:
    came = arrival(tmp_path)
    came.path.write_bytes(pickle.dumps(make_pipeline(FunctionTransformer(sum), LogisticRegression())))
    assert "was not opened with payoff's own scikit-learn" in quick(came, SKLEARN).words


def test_a_class_of_the_notebook_is_refused_with_the_ways_to_bring_it_along(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"c__main__\nMine\n)R.")
    with pytest.raises(
        BadInput, match=r"names __main__\.Mine, which was defined in the program .* client\.deploy\(model\)"
    ):
        prepared(tmp_path / "model.pkl", table(CUSTOMERS), "pickle")


def test_a_package_that_is_not_known_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("ourown")
    exec("class Model:\n    def predict(self, rows): ...", module.__dict__)
    monkeypatch.setitem(sys.modules, "ourown", module)
    module.Model.__module__ = "ourown"
    joblib.dump(module.Model(), tmp_path / "model.joblib")
    with pytest.raises(BadInput, match=r"needs ourown, and which package has that is not known here.*--requirements"):
        prepared(tmp_path / "model.joblib", table(CUSTOMERS))


def test_a_model_that_predicts_nothing_is_refused_without_building_anything(tmp_path: Path) -> None:
    joblib.dump(PCA().fit(CUSTOMERS[NUMBERS]), tmp_path / "model.joblib")
    with pytest.raises(BadInput, match="it holds a PCA, which predicts nothing; save a fitted model"):
        prepared(tmp_path / "model.joblib", table(CUSTOMERS))
    assert not (tmp_path / "environments").exists()


def test_a_skops_file_lists_its_parts_and_its_release(tmp_path: Path) -> None:
    import sklearn

    skops.io.dump(make_pipeline(FunctionTransformer(eval), LogisticRegression()), tmp_path / "model.skops")
    found = listed(tmp_path / "model.skops")
    assert found.dangerous == ("builtins.eval",)
    assert found.versions == {"scikit-learn": sklearn.__version__}
    with pytest.raises(BadInput, match=r"model\.skops was not opened: it holds builtins\.eval"):
        prepared(tmp_path / "model.skops", table(CUSTOMERS))
