"""Keras files and SavedModel folders by what is in them, made by hand: neither Keras nor TensorFlow is needed."""

import json
from pathlib import Path
from typing import Any

import pytest

from payoff.errors import BadInput
from payoff.flavors.recognise import recognise
from tests.flavors.arrivals import prepared
from tests.flavors.test_torch import archive

DENSE = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense"}]}}
LAMBDA = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda"}]}}
HDF5 = b"\x89HDF\r\n\x1a\n" + b"\0" * 64


def keras(path: Path, config: dict[str, Any]) -> Path:
    metadata = {"keras_version": "3.15.1"}
    members = {"config.json": json.dumps(config), "metadata.json": json.dumps(metadata), "model.weights.h5": ""}
    return archive(path, {name: text.encode() for name, text in members.items()})


def test_a_keras_file_is_recognised_whatever_it_is_called(tmp_path: Path) -> None:
    assert recognise(keras(tmp_path / "thing.bin", DENSE)).name == "keras"
    (tmp_path / "other.bin").write_bytes(HDF5 + b"keras_version model_config")
    assert recognise(tmp_path / "other.bin").name == "keras"


def test_a_layer_with_code_in_it_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"was not opened.*Lambda"):
        prepared(keras(tmp_path / "model.keras", LAMBDA))


def test_weights_without_layers_are_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "model.weights.h5").write_bytes(HDF5 + b"layers\0vars\0")
    with pytest.raises(BadInput, match=r"weights only.*model.save"):
        prepared(tmp_path / "model.weights.h5")


def test_another_hdf5_file_is_none_of_keras(tmp_path: Path) -> None:
    (tmp_path / "table.h5").write_bytes(HDF5 + b"pandas_type frame")
    with pytest.raises(BadInput, match="HDF5"):
        recognise(tmp_path / "table.h5")


def test_a_saved_model_is_recognised_by_its_graph(tmp_path: Path) -> None:
    (tmp_path / "model" / "variables").mkdir(parents=True)
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"\x08\x01")
    assert recognise(tmp_path / "model").name == "tensorflow"


def test_tensorflow_lite_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"\x1c\0\0\0TFL3" + b"\0" * 64)
    with pytest.raises(BadInput, match=r"no SavedModel folder.*tf.saved_model.save"):
        prepared(tmp_path / "model.tflite")
