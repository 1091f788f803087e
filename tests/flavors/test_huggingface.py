"""Hugging Face folders by what is in them, and what is refused before anything is installed."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from payoff.errors import BadInput
from payoff.flavors.recognise import recognise
from tests.flavors.arrivals import prepared

BERT = {"architectures": ["BertForSequenceClassification"], "model_type": "bert", "transformers_version": "5.23.0"}
WEIGHTS = struct.pack("<Q", 16) + b'{"__metadata__":{}}'[:16]


def folder(path: Path, config: dict[str, Any], *files: str, **more: Any) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    for name in files:
        (path / name).write_bytes(WEIGHTS)
    for stem, content in more.items():
        (path / f"{stem}.json").write_text(json.dumps(content))
    return path


def test_a_folder_is_recognised_by_its_config_or_its_modules(tmp_path: Path) -> None:
    assert recognise(folder(tmp_path / "bert", BERT, "model.safetensors")).name == "huggingface"
    modules = [{"type": "sentence_transformers.models.Transformer"}]
    assert recognise(folder(tmp_path / "sentences", {}, modules=modules)).name == "huggingface"


def test_a_config_of_something_else_is_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no model payoff knows"):
        recognise(folder(tmp_path / "thing", {"debug": True}))


def test_code_in_the_folder_is_not_run(tmp_path: Path) -> None:
    config = {**BERT, "auto_map": {"AutoModel": "modeling.Own"}}
    with pytest.raises(BadInput, match=r"was not opened: config.json has auto_map.*model\.py"):
        prepared(folder(tmp_path / "own", config, "model.safetensors"))


def test_modules_from_elsewhere_are_not_imported(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"asks for subprocess\.Popen"):
        prepared(folder(tmp_path / "own", BERT, "model.safetensors", modules=[{"type": "subprocess.Popen"}]))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        pytest.param("config.md", "no weights.*save_pretrained", id="nothing"),
        pytest.param("adapter_config.json", "an adapter.*merge_and_unload", id="an adapter"),
        pytest.param("tf_model.h5", "weights for TensorFlow.*from_tf", id="TensorFlow"),
        pytest.param("model.gguf", "llama.cpp", id="gguf"),
    ],
)
def test_a_folder_without_weights_that_are_read_is_refused(file: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=words):
        prepared(folder(tmp_path / "bert", BERT, file))


def test_weights_alone_are_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(WEIGHTS)
    assert recognise(path).name == "safetensors"
    with pytest.raises(BadInput, match=r"weights and no architecture.*payoff deploy FOLDER"):
        prepared(path)
