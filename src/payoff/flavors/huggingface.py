"""Hugging Face: a folder from save_pretrained, served from its own files, none of which is run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.sampled import columns_of
from payoff.flavors.scan import refuse_dangerous, scan

_CONFIG, _SENTENCES = "config.json", "modules.json"
_WEIGHTS = ("model*.safetensors", "model.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json")
_JSON_BYTES_MAX = 64 << 20
_ELSEWHERE = (  # what else lies in such folders, and the way out
    (
        "adapter_config.json",
        "an adapter and not the model",
        "save both as one: model.merge_and_unload().save_pretrained()",
    ),
    (
        "model_index.json",
        "a diffusers pipeline, which is not served yet",
        "deploy a folder with model.py that loads it",
    ),
    ("*.gguf", "weights for llama.cpp", "deploy the folder from save_pretrained that they were made of"),
    ("tf_model.h5", "weights for TensorFlow", "save them for PyTorch: AutoModel.from_pretrained(..., from_tf=True)"),
    ("flax_model.msgpack", "weights for Flax", "save them for PyTorch: AutoModel.from_pretrained(..., from_flax=True)"),
)


class HuggingFace:
    """Models of transformers and sentence-transformers."""

    name = "huggingface"
    takes = "a Hugging Face folder (config.json, weights, tokenizer), also of sentence-transformers"

    def recognises(self, path: Path, head: bytes) -> bool:
        if not path.is_dir() or (path / "MLmodel").exists() or (path / "model.py").exists():
            return False
        if (path / _SENTENCES).is_file() or any(
            (path / name).is_file() for name in ("adapter_config.json", "model_index.json")
        ):
            return True
        config = _json(path / _CONFIG, strict=False)
        return "model_type" in config or "architectures" in config

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served with transformers, asked as its task says."""
        path = arrival.path
        _check(path)
        with arrival.step("scan"):
            refuse_dangerous(scan(path), path.name)
        said = _versions(path)
        is_sentences = (path / _SENTENCES).is_file()
        needs = [_at_least("sentence-transformers", said.get("sentence_transformers"))] if is_sentences else []
        return prepare_native(
            arrival,
            "huggingface",
            [*needs, _at_least("transformers", said.get("transformers")), "torch", *_readers(path)],
            options=columns_of(arrival),
            provenance={"architecture": _json(path / _CONFIG, strict=False).get("architectures")},
        )


def _check(path: Path) -> None:
    """Nothing that needs code of the folder's own, and weights that transformers reads."""
    for name in (_CONFIG, "tokenizer_config.json", "preprocessor_config.json", "processor_config.json"):
        if "auto_map" in _json(path / name, strict=(path / name).is_file()):
            raise BadInput(
                f"{path.name} was not opened: {name} has auto_map, so it runs Python code from the folder, which "
                "payoff does not; use an architecture that transformers has, or deploy a folder with model.py"
            )
    for module in _modules(path):
        if not module.startswith("sentence_transformers."):
            raise BadInput(
                f"{path.name} was not opened: {_SENTENCES} asks for {module}, which is no part of sentence-"
                "transformers; use its own modules, or deploy a folder with model.py"
            )
    if any(next(path.glob(pattern), None) for pattern in _WEIGHTS):
        return
    for pattern, what, out in _ELSEWHERE:
        if next(path.glob(pattern), None):
            raise BadInput(f"{path.name} holds {what}; {out}")
    if not _modules(path):
        raise BadInput(
            f"{path.name} has no weights (model.safetensors); save the model with model.save_pretrained(folder)"
        )


def _modules(path: Path) -> list[str]:
    """The classes that a sentence-transformers folder asks for."""
    if not (path / _SENTENCES).is_file():
        return []
    found = _load(path / _SENTENCES)
    if not isinstance(found, list):
        raise BadInput(f"{_SENTENCES} in {path.name} is no list of modules; save the model again")
    return [str(one.get("type", "")) if isinstance(one, dict) else "" for one in found]


def _json(file: Path, strict: bool) -> dict[str, Any]:
    """An object in a file; none where there is no such file, or, unless `strict`, where it cannot be read."""
    if not file.is_file():
        return {}
    try:
        found = _load(file)
    except BadInput:
        if strict:
            raise
        return {}
    return found if isinstance(found, dict) else {}


def _load(file: Path) -> Any:
    try:
        if file.stat().st_size > _JSON_BYTES_MAX:
            raise ValueError("it is too large")
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{file.name} cannot be read: {error}; save the model again") from error


def _versions(path: Path) -> dict[str, str]:
    """What the folder says it was written with."""
    said = {"transformers": _json(path / _CONFIG, strict=True).get("transformers_version")}
    told = _json(path / "config_sentence_transformers.json", strict=False).get("__version__")
    both = {**said, **(told if isinstance(told, dict) else {})}
    return {name: str(version) for name, version in both.items() if version}


def _at_least(package: str, version: str | None) -> str:
    """A release that is as new, of the same generation; a development version counts as the release before it."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)$", version or "")
    if found is None:
        return package
    return f"{package}>={version},<{int(found[1]) + 1}"


def _readers(path: Path) -> list[str]:
    """What reads texts and images before the model does."""
    is_vision = (path / "preprocessor_config.json").is_file() or (path / "processor_config.json").is_file()
    has_pieces = any((path / name).is_file() for name in ("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"))
    pieces = ["sentencepiece", "protobuf"] if has_pieces and not (path / "tokenizer.json").is_file() else []
    return [*(["pillow"] if is_vision else []), *pieces]


FLAVOR = HuggingFace()
