"""Keras: models saved whole, as `.keras` (a zip archive) or `.h5` (HDF5)."""

from __future__ import annotations

import json
import mmap
import re
import zipfile
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.sampled import columns_of
from payoff.flavors.scan import refuse_dangerous, scan
from payoff.flavors.tensorflow import CONVERT
from payoff.flavors.tensorflow import requirements as tensorflow

_ZIP, _HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
_JSON_BYTES_MAX = 64 << 20
_BACKENDS = {"tensorflow": tensorflow(), "jax": ["jax"], "torch": ["torch"]}


class Keras:
    """What model.save writes."""

    name = "keras"
    takes = "a Keras model from model.save (.keras or .h5)"

    def recognises(self, path: Path, head: bytes) -> bool:
        if head.startswith(_HDF5):
            return _mentions(path, b"keras_version") or _is_weights(path)
        return head.startswith(_ZIP) and _names(path) >= _MEMBERS

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served with Keras on its backend, or as ONNX where that answers the same."""
        path = arrival.path
        is_zip = zipfile.is_zipfile(path)
        if not is_zip and not _mentions(path, b"model_config"):
            raise BadInput(
                f"{path.name} holds weights only, not the layers that they belong to; save the whole model: "
                'model.save("model.keras")'
            )
        with arrival.step("scan"):
            refuse_dangerous(scan(path), path.name)
        backend = str(arrival.said.options.get("backend", "tensorflow"))
        if backend not in _BACKENDS:
            raise BadInput(f"Keras has no backend {backend!r} here; choose one of {', '.join(_BACKENDS)}")
        return prepare_native(
            arrival,
            "keras",
            [_keras(path) if is_zip else "keras>=3", "h5py", *_BACKENDS[backend]],
            options={**columns_of(arrival), "backend": backend},
            convert=CONVERT if backend == "tensorflow" else (),
            provenance={"format": ".keras" if is_zip else "HDF5", "backend": backend},
        )


def _names(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return set(archive.namelist()[:10_000])
    except (zipfile.BadZipFile, OSError):
        return set()


def _read(path: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            return file.read(_JSON_BYTES_MAX)
    except (KeyError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path.name} has no {name}, so it is no Keras model; save it with model.save") from error


def _mentions(path: Path, word: bytes) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(word) >= 0


def _is_weights(path: Path) -> bool:
    """What model.save_weights writes names its groups so."""
    return _mentions(path, b"layers\0") and _mentions(path, b"vars\0")


def _keras(path: Path) -> str:
    """Keras at least as new as the one that wrote the file, of a generation that runs on any backend."""
    try:
        said = str(json.loads(_read(path, "metadata.json")).get("keras_version", ""))
    except (ValueError, AttributeError):
        said = ""
    return f"keras>={said}" if re.fullmatch(r"3\.\d+\.\d+", said) else "keras>=3"


FLAVOR = Keras()
