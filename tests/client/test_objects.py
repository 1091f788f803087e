"""Objects of a notebook become artefacts that open elsewhere, with the packages they need and the code they lack."""

import json
import subprocess
import sys
import tarfile
import threading
import types
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from payoff.client import packages
from payoff.client.artefacts import Artefact
from payoff.client.objects import save
from payoff.errors import BadInput

X = pd.DataFrame({"age": range(20, 60), "visits": [n % 7 for n in range(40)]})
CODE = """
from sklearn.base import BaseEstimator, ClassifierMixin
import numpy as np

def clip(frame):
    return np.clip(frame, 0, 50)

class Loud:
    def predict(self, age: int) -> float:
        return clip(age) * 2.0

class Own(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self
    def predict(self, X):
        return np.full(len(X), self.classes_[0])
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A module of the user's own, which no index has."""
    (tmp_path / "mine_alone.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield packages.module("mine_alone")
    sys.modules.pop("mine_alone")


def needs(artefact: Artefact) -> dict[str, str]:
    return dict(one.split("==") for one in artefact.requirements or ())


def opened(path: Path, then: str) -> str:
    """What a fresh interpreter prints that has only the file and installed packages."""
    code = f"import pickle, joblib; model = joblib.load({str(path)!r}); print({then})"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_an_estimator_takes_its_packages_along_and_pandas_if_it_was_tried_with_it(tmp_path: Path) -> None:
    made = save(LogisticRegression().fit(X, X["visits"] > 3), tmp_path, X)
    assert set(needs(made)) >= {"scikit-learn", "numpy", "joblib", "pandas"}
    assert needs(made)["scikit-learn"] == metadata.version("scikit-learn")
    assert "pytest" not in needs(made)
    assert made.python is None


def test_a_function_of_ones_own_inside_a_pipeline_goes_along(tmp_path: Path, mine: types.ModuleType) -> None:
    model = make_pipeline(FunctionTransformer(mine.clip), LogisticRegression()).fit(X, X["visits"] > 3)
    made = save(model, tmp_path, X)
    assert "cloudpickle" in needs(made)
    assert made.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert opened(made.path, "model.predict([[33, 5]]).tolist()") == str(model.predict(X[-1:] * 0 + [33, 5]).tolist())


def test_an_estimator_of_ones_own_goes_along(tmp_path: Path, mine: types.ModuleType) -> None:
    made = save(mine.Own().fit(X, X["visits"]), tmp_path)
    assert opened(made.path, "model.predict([[1, 2]]).tolist()") == "[0]"


def test_a_module_that_the_code_uses_goes_along_without_what_loaded_it(tmp_path: Path, mine: types.ModuleType) -> None:
    model = mine.Own().fit(X, X["visits"])
    model.code = mine
    made = save(model, tmp_path)
    assert b"SourceFileLoader" not in made.path.read_bytes()
    assert float(opened(made.path, "model.code.clip(70)")) == 50


def test_code_that_went_by_value_goes_by_name_again_afterwards(tmp_path: Path, mine: types.ModuleType) -> None:
    save(mine.Own(), tmp_path)
    import cloudpickle

    assert b"mine_alone" in cloudpickle.dumps(mine.clip)
    assert len(cloudpickle.dumps(mine.clip)) < 100


@pytest.mark.parametrize("form", ["a function", "an object", "a class"])
def test_functions_objects_and_classes_are_folders_that_open_without_their_module(
    tmp_path: Path, mine: types.ModuleType, form: str
) -> None:
    model: Any = {"a function": mine.clip, "an object": mine.Loud(), "a class": mine.Loud}[form]
    made = save(model, tmp_path)
    assert (made.is_folder, made.name) == (True, "clip" if form == "a function" else "Loud")
    with tarfile.open(made.path) as tar:
        tar.extractall(tmp_path / "there", filter="data")
    about = json.loads((tmp_path / "there" / "payoff.json").read_text())
    assert about == {"name": made.name, "python": packages.python()}
    listed = (tmp_path / "there" / "requirements.txt").read_text().splitlines()
    assert {one.partition("==")[0] for one in listed} == {"cloudpickle", "numpy"}
    ask = "model(70)" if form == "a function" else "model.predict(70)"
    assert float(opened(tmp_path / "there" / "function.pkl", ask)) == (50 if form == "a function" else 100)


def test_a_function_of_the_notebook_names_what_it_reaches() -> None:
    scope: dict[str, Any] = {"np": np, "frame": X, "__name__": "__main__"}
    exec("def score(age):\n import joblib\n return (lambda x: np.log1p(x))(age) + len(frame)", scope)
    found = packages.modules_of(scope["score"])
    assert {"numpy", "pandas", "joblib"} <= {one.partition(".")[0] for one in found}


@pytest.mark.parametrize(("model", "words"), [
    pytest.param({"a": 1}, "cannot deploy a builtins.dict; give a fitted estimator", id="a dict"),
    pytest.param(3, "cannot deploy a builtins.int", id="a number"),
    pytest.param(type("Needs", (), {"predict": 1, "__init__": lambda self, x: None}), "give an object of it",
                 id="a class that needs arguments"),
])  # fmt: skip
def test_what_cannot_be_deployed_is_told_what_can(tmp_path: Path, model: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        save(model, tmp_path)


def test_what_cannot_be_pickled_says_why(tmp_path: Path) -> None:
    class Holds(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        def predict(self, rows: Any) -> Any:
            return rows

    model = Holds()
    model.lock = threading.Lock()
    with pytest.raises(BadInput, match="cannot be saved: TypeError: cannot pickle"):
        save(model, tmp_path)


def test_versions_of_one_machine_only_lose_what_others_cannot_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "2.13.0+cpu")
    assert packages.requirements({"numpy.linalg", "json", "no_such_module"}) == ["numpy==2.13.0"]
