"""Engines that can compute an ONNX graph, and which of them are worth a try on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass

# The most promising first. What is not here (a cloud's, a simulator's) is never taken.
_NAMES = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "migraphx": "MIGraphXExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
ONLY_IF_ASKED = ("tensorrt",)  # it builds an engine for each shape, which takes minutes


@dataclass(frozen=True, slots=True)
class Engine:
    """One of onnxruntime's execution providers; `threads` are of the CPU, none where something else computes."""

    name: str
    provider: str
    threads: int = 0

    def __str__(self) -> str:
        return self.name if self.name != CPU.name else f"cpu, {self.threads} thread{'s'[: self.threads > 1]}"


CPU = Engine("cpu", "CPUExecutionProvider", 1)


def others(available: Sequence[str], threads_max: int, asked: Sequence[str] = ()) -> list[Engine]:
    """What is worth a try beside one thread of the CPU: what onnxruntime says is here, then more threads."""
    found = [
        Engine(name, provider)
        for name, provider in _NAMES.items()
        if provider in available and (name not in ONLY_IF_ASKED or name in asked)
    ]
    return found + ([Engine(CPU.name, CPU.provider, threads_max)] if threads_max > 1 else [])
