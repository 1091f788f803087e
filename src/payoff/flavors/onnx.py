"""ONNX: recognised by its first bytes, looked through without running, tried out in a child process, run by workers.

A model whose weights lie in files beside it is a folder: one ONNX file and what it points at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.apart import Job, prepare_apart
from payoff.flavors.engine import CPU, Engine, others
from payoff.flavors.flavor import Arrival, Loaded, Prepared, Surroundings
from payoff.flavors.wire import begins_like_onnx, check, check_folder
from payoff.records.model import Served

_HEAD_BYTES = 64
BYTES_MIN = 16 << 20  # of a model whose weights the workers share: below it there is little to gain
_OTHERS = {"MLmodel", "model.py", "modules.json", "pytorch_model.bin"}  # a folder with one of these is of another kind


class Onnx:
    """The flavor that workers run; others are converted to it."""

    name = "onnx"
    takes = "an ONNX file (from torch.onnx, tf2onnx, skl2onnx and the like), or the folder with its external data"

    def recognises(self, path: Path, head: bytes) -> bool:
        return begins_like_onnx(head) or (path.is_dir() and _model_in(path) is not None)

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served as it is. The signature is the graph's, with the sample's help where the graph leaves things open."""
        path = arrival.path.resolve()
        into, name = arrival.into.resolve(), arrival.path.name
        if not path.is_dir():
            check(arrival.path)
            with arrival.step("try out"):
                return prepare_apart("payoff.flavors.onnx_child", Job(path, into, name), arrival.sample)
        model = _model_in(path)
        if model is None:
            raise BadInput(f"{name} holds no ONNX model, or more than one; deploy a folder with one and its weights")
        check_folder(model, path)
        with arrival.step("try out"):
            made = prepare_apart("payoff.flavors.onnx_child", Job(model, into, name), arrival.sample)
        return replace(made, served_path=arrival.path)

    def load(self, served: Served, around: Surroundings) -> Loaded:
        """The graph, ready to be called."""
        return self.load_on(served, around, CPU)

    def engines(self, threads_max: int, asked: Sequence[str]) -> Sequence[Engine]:
        """What this onnxruntime has beside one thread of the CPU."""
        from onnxruntime import get_available_providers

        return others(get_available_providers(), threads_max, asked)

    def load_on(self, served: Served, around: Surroundings, engine: Engine) -> Loaded:
        """The graph on this engine."""
        from payoff.flavors.running import load  # onnxruntime: 20 MB that only workers and children need

        path = around.artefact(served)
        model = _model_in(path) if served.folder else path
        if model is None:
            raise ModelFailed("the folder of this version holds no ONNX model; deploy it again")
        if around.shared is not None and engine.provider == CPU.provider and _bytes(path) >= BYTES_MIN:
            from payoff.flavors.laidout import laid_out

            model = laid_out(model, served.digest, around.shared)
        run = load(model, served.signature, engine)
        return Loaded(run, engine=str(engine), threads=engine.threads, frees_lock=True)


def _bytes(path: Path) -> int:
    return sum(one.stat().st_size for one in path.iterdir()) if path.is_dir() else path.stat().st_size


def _model_in(folder: Path) -> Path | None:
    """The one ONNX file of a folder that is of no other kind."""
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    if any(path.name in _OTHERS or path.suffix == ".safetensors" for path in files):
        return None
    models = [path for path in files if begins_like_onnx(_head(path))]
    return models[0] if len(models) == 1 else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


FLAVOR = Onnx()
