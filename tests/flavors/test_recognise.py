"""Artefacts are known by what is in them; what is no model is refused with what it looks like."""

import bz2
import gzip
import lzma
import pickle
import zipfile
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from payoff.errors import BadInput, NotFound
from payoff.flavors.pickle import is_pickle
from payoff.flavors.recognise import lone, recognise
from payoff.flavors.wire import begins_like_onnx
from tests.flavors.models import row_sums, save

MODEL = LinearRegression().fit(np.array([[0.0], [1.0]]), np.array([0.0, 2.0]))


def test_an_onnx_file_is_known_under_any_name(tmp_path: Path) -> None:
    assert recognise(save(row_sums(), tmp_path / "model.pkl")).name == "onnx"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_are_known(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(pickle.dumps(MODEL, protocol))
    assert recognise(path).name == "pickle"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_a_compressed_pickle_is_known_by_what_is_inside(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "model"
    path.write_bytes(compress(pickle.dumps(MODEL)))  # type: ignore[operator]
    assert recognise(path).name == "pickle"


def test_joblib_and_skops_files_are_known(tmp_path: Path) -> None:
    joblib.dump(MODEL, tmp_path / "a", compress=("zlib", 3))
    skops.io.dump(MODEL, tmp_path / "b")
    assert [recognise(tmp_path / name).name for name in "ab"] == ["pickle", "skops"]


def test_an_empty_folder_an_empty_file_and_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is an empty folder"):
        recognise(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(BadInput, match="is empty; save the model again"):
        recognise(tmp_path / "empty")
    with pytest.raises(NotFound, match="there is no file"):
        recognise(tmp_path / "absent")


def test_a_folder_that_is_no_model_is_told_which_folders_are(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadInput) as caught:
        recognise(tmp_path)
    assert "mlflow: an MLflow model (the folder" in str(caught.value)
    assert "lightgbm" not in str(caught.value)
    assert "(here are notes.txt)" in str(caught.value)


def test_a_folder_with_nothing_but_one_model_in_it_is_that_model(tmp_path: Path) -> None:
    path = save(row_sums(), tmp_path / "model.onnx")
    assert lone(tmp_path) == path
    assert lone(path) == path
    (tmp_path / ".hidden").touch()
    assert lone(tmp_path) == path
    (tmp_path / "README.md").touch()
    assert lone(tmp_path) == tmp_path
    path.unlink()
    assert lone(tmp_path) == tmp_path


@pytest.mark.parametrize(
    ("content", "looks_like"),
    [
        pytest.param(b"age,job\n1,x\n", r"text with columns \(CSV\?\): 'age,job'", id="csv"),
        pytest.param(b"hello\n", "text: 'hello'", id="text"),
        pytest.param(b'{"a": 1}', "JSON", id="json"),
        pytest.param(b"PAR1....", "a Parquet file", id="parquet"),
        pytest.param(
            bytes([0, 159, 146, 150]) * 9, r"an unknown binary file \(it begins with 00 9f 92 96", id="binary"
        ),
        pytest.param(gzip.compress(b"a,b\n"), "an unknown binary file", id="a compressed text"),
        pytest.param(b"PK\x03\x04 and no more", "a zip archive that is cut short", id="a cut zip"),
        pytest.param(b"\x08\x01\x12\x02abcd", "an unknown binary file", id="another protobuf"),
    ],
)
def test_what_is_no_model_is_refused_with_what_it_looks_like(tmp_path: Path, content: bytes, looks_like: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"looks like {looks_like}.*taken are: .*onnx, .*--flavor NAME"):
        recognise(path)


def test_a_pytorch_checkpoint_is_told_what_to_do(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"")
    with pytest.raises(BadInput, match=r"a PyTorch checkpoint \(export it: torch.export.save\)"):
        recognise(tmp_path / "model.pt")


def test_a_flavor_by_name_overrules_and_a_wrong_name_is_answered_with_the_right_ones(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    assert recognise(tmp_path / "x", "sklearn").name == "sklearn"
    with pytest.raises(NotFound, match=r"no flavors called 'sklern'; there are: .*onnx, .*sklearn"):
        recognise(tmp_path / "x", "sklern")


@given(st.binary(max_size=64))
def test_looking_at_any_bytes_never_fails(head: bytes) -> None:
    assert isinstance(begins_like_onnx(head) or is_pickle(head), bool)
