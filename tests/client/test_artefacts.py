"""A model becomes a file that can be sent, or a sentence that says why not."""

from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import LogisticRegression

from payoff.client.artefacts import as_file
from payoff.errors import BadInput, NotFound, PayoffError


def test_a_fitted_estimator_is_dumped_and_gone_afterwards() -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with as_file(model) as path:
        assert joblib.load(path).coef_ == pytest.approx(model.coef_)
    assert not path.exists()


def test_a_path_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x")
    with as_file(str(path)) as found:
        assert found == path
    assert path.exists()


@pytest.mark.parametrize(("name", "content", "error", "words"), [
    pytest.param("folder", None, BadInput, "is a directory", id="a directory"),
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
    with pytest.raises(error, match=words), as_file(path):
        pass


def test_what_is_no_model_is_named_with_what_is_taken() -> None:
    with pytest.raises(BadInput, match=r"cannot deploy a builtins.dict.*scikit-learn.*ONNX"), as_file({}):
        pass
