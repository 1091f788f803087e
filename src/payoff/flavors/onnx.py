"""ONNX: recognised by its first bytes, looked through without running, tried out in a child process, run by workers."""

from __future__ import annotations

from pathlib import Path

from payoff.flavors.apart import Job, prepare_apart
from payoff.flavors.flavor import Arrival, Loaded, Prepared, Surroundings
from payoff.flavors.wire import begins_like_onnx, check
from payoff.records.model import Served


class Onnx:
    """The flavor that workers run; others are converted to it."""

    name = "onnx"
    takes = "an ONNX file (from torch.onnx, tf2onnx, skl2onnx and the like)"

    def recognises(self, path: Path, head: bytes) -> bool:
        return begins_like_onnx(head)  # a folder has none

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served as it is. The signature is the graph's, with the sample's help where the graph leaves things open."""
        path = arrival.path
        check(path)
        job = Job(path.resolve(), arrival.into.resolve(), path.name)
        with arrival.step("try out"):
            return prepare_apart("payoff.flavors.onnx_child", job, arrival.sample)

    def load(self, served: Served, around: Surroundings) -> Loaded:
        from payoff.flavors.running import load  # onnxruntime: 20 MB that only workers and children need

        return Loaded(load(around.artefact(served), served.signature))


FLAVOR = Onnx()
