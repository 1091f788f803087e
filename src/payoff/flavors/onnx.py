"""ONNX: recognised by its first bytes, looked through without running, tried out in a child process, run by workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from payoff.flavors.apart import Job, prepare_apart
from payoff.flavors.flavor import Prepared, Run
from payoff.flavors.wire import begins_like_onnx, check
from payoff.records.signature import Signature

if TYPE_CHECKING:
    import pyarrow as pa


class Onnx:
    """The flavor that workers run; others are converted to it."""

    name = "onnx"
    takes = "an ONNX file (from torch.onnx, tf2onnx, skl2onnx and the like)"

    def recognises(self, path: Path, head: bytes) -> bool:
        return begins_like_onnx(head)

    def prepare(self, path: Path, sample: pa.Table | None, into: Path) -> Prepared:
        """Served as it is. The signature is the graph's, with the sample's help where the graph leaves things open."""
        check(path)
        return prepare_apart("payoff.flavors.onnx_child", Job(path.resolve(), into.resolve(), path.name), sample)

    def load(self, path: Path, signature: Signature) -> Run:
        from payoff.flavors.running import load  # onnxruntime: 20 MB that only workers and children need

        return load(path, signature)


FLAVOR = Onnx()
