"""An onnxruntime session as payoff opens it, and its inputs and outputs as plain facts."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.engine import CPU, Engine
from payoff.flavors.port import Port
from payoff.records.signature import Type

_TYPES = {
    "string": Type.TEXT, "bool": Type.BOOL, "float": Type.FLOAT32, "double": Type.FLOAT64, "float16": Type.FLOAT32,
    "int8": Type.INT8, "int16": Type.INT16, "int32": Type.INT32, "int64": Type.INT64,
    "uint8": Type.UINT8, "uint16": Type.UINT16, "uint32": Type.UINT32, "uint64": Type.UINT64,
}  # fmt: skip
_MAPS = re.compile(r"seq\(map\((int64|string),tensor\(float\)\)\)")


def open_session(path: Path, engine: Engine = CPU) -> ort.InferenceSession:
    """No custom operators, errors only as exceptions; ModelFailed says why it cannot be loaded on this engine."""
    if engine.provider not in ort.get_available_providers():  # onnxruntime would warn, and take the CPU
        raise ModelFailed(f"onnxruntime {ort.__version__} has no {engine.provider} here")
    try:
        session = ort.InferenceSession(str(path), options_of(engine), providers=_providers(engine))
    except Exception as error:
        raise ModelFailed(
            f"onnxruntime {ort.__version__} cannot load the model: {reason(error)}{_cure(error)}"
        ) from error
    if session.get_providers()[0] != engine.provider:
        raise ModelFailed(f"onnxruntime {ort.__version__} cannot start {engine.provider} here")
    return session


def options_of(engine: Engine) -> ort.SessionOptions:
    """How payoff runs a graph; each of these was measured (decision 28)."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = max(1, engine.threads)
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads burn no core of others
    options.enable_cpu_mem_arena = False  # an arena never gives back what the largest batch once needed
    options.enable_mem_pattern = False  # remembers every number of rows it ever met, and makes small calls no cheaper
    options.log_severity_level = 4  # what matters comes as an exception
    return options


def _providers(engine: Engine) -> list[str]:
    """What the engine cannot do of a graph, the CPU does."""
    return list(dict.fromkeys((engine.provider, CPU.provider)))


def reason(error: Exception) -> str:
    """What onnxruntime says, without its prefixes, source paths and length."""
    text = re.sub(r"\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error))
    text = re.sub(r"Load model from .*? failed:", "", text)
    text = re.sub(r"\S*onnxruntime/\S+:\d+ ", "", text)
    text = " ".join(text.split())
    return text if len(text) <= 400 else f"{text[:397]}..."


def _cure(error: Exception) -> str:
    text = str(error)
    if "is not a registered function/op" in text or "No Op registered" in text or "custom" in text.lower():
        return "; payoff loads no custom operators: export the model with standard ONNX operators"
    if "opset" in text or "IR version" in text:
        return "; export it for an older opset"
    return ""


def inputs_of(session: ort.InferenceSession) -> tuple[Port, ...]:
    """The graph's inputs; BadInput for a kind that has no column."""
    return tuple(_port(one, "input") for one in session.get_inputs())


def outputs_of(session: ort.InferenceSession) -> tuple[Port, ...]:
    """The graph's outputs; BadInput for a kind that has no column."""
    return tuple(_port(one, "output") for one in session.get_outputs())


def _port(one: Any, what: str) -> Port:
    if what == "output" and _MAPS.fullmatch(one.type):
        return Port(one.name, Type.FLOAT32, np.dtype(np.float32), (None,), None, maps=True)
    inner = re.fullmatch(r"tensor\((\w+)\)", one.type)
    kind = _TYPES.get(inner[1]) if inner else None
    if inner is None or kind is None:
        raise BadInput(
            f"{what} {one.name!r} of the model is a {one.type}; columns can be tensors of {', '.join(_TYPES)}. "
            "Export the model with such tensors only (for scikit-learn: options={'zipmap': False})"
        )
    if not one.shape:
        raise BadInput(
            f"{what} {one.name!r} of the model has no dimension for rows; export it with shape [N] or [N, ...], "
            "where N is free (dynamic_axes)"
        )
    dims = tuple(dim if isinstance(dim, int) and dim >= 0 else None for dim in one.shape)
    dtype = np.dtype(np.float16) if inner[1] == "float16" else kind.dtype
    return Port(one.name, kind, dtype, dims[1:], dims[0])
