"""A model becomes a file that can be sent, or a sentence that says why not."""

import tarfile
from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import LogisticRegression

from payoff.client.artefacts import as_artefact
from payoff.errors import BadInput, NotFound, PayoffError


def test_a_fitted_estimator_is_dumped_with_what_is_installed_here_and_gone_afterwards() -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with as_artefact(model) as made:
        assert joblib.load(made.path).coef_ == pytest.approx(model.coef_)
        assert made.requirements is not None
        assert {one.partition("==")[0] for one in made.requirements} >= {"scikit-learn", "numpy", "joblib"}
    assert not made.path.exists()


def test_a_path_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x")
    with as_artefact(str(path)) as made:
        assert (made.path, made.name, made.is_folder, made.requirements) == (path, "model.onnx", False, None)
    assert path.exists()


def test_a_folder_is_packed_under_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    (folder / "data").mkdir(parents=True)
    (folder / "model.py").write_text("class Model: ...")
    (folder / "data" / "weights").write_bytes(b"w")
    with as_artefact(folder) as made:
        assert (made.name, made.is_folder) == ("churn", True)
        with tarfile.open(made.path) as tar:
            assert sorted(tar.getnames()) == ["data/weights", "model.py"]


@pytest.mark.parametrize(("name", "content", "error", "words"), [
    pytest.param("folder", None, BadInput, "is an empty folder", id="an empty folder"),
    pytest.param("empty.onnx", b"", BadInput, "is empty", id="an empty file"),
    pytest.param("no/such.onnx", b"-", NotFound, "there is no", id="no file"),
])  # fmt: skip
def test_a_path_that_cannot_be_a_model_is_refused_before_anything_is_sent(
    tmp_path: Path, name: str, content: bytes | None, error: type[PayoffError], words: str
) -> None:
    path = tmp_path / name
    if content is None:
        path.mkdir()
    elif path.parent.exists():
        path.write_bytes(content)
    with pytest.raises(error, match=words), as_artefact(path):
        pass


def test_a_folder_with_a_link_out_of_it_is_refused_with_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "keys").symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="churn cannot be sent: keys is a link out of churn"), as_artefact(folder):
        pass


def test_what_is_no_model_is_named_with_what_is_taken() -> None:
    with pytest.raises(BadInput, match=r"cannot deploy a builtins.dict.*scikit-learn.*ONNX"), as_artefact({}):
        pass


def test_a_model_of_a_tracking_server_goes_as_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with as_artefact("mlflow:models:/churn@champion", tracking="http://127.0.0.1:5000") as made:
        assert made.path.read_text() == "mlflow: models:/churn@champion\ntracking: http://127.0.0.1:5000\n"
        assert made.name == "churn.mlflow"
    with as_artefact("mlflow:models:/churn/3") as made:
        assert made.path.read_text() == "mlflow: models:/churn/3\n"
    with pytest.raises(BadInput, match="--tracking"), as_artefact("mlflow:models:/churn/3", tracking="a b"):
        pass
    with pytest.raises(BadInput, match="names no model"), as_artefact("mlflow:churn", tracking="http://127.0.0.1:1"):
        pass
