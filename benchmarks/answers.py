"""Whether a server answers what the model's own framework answers: asked before anything is measured."""

import json
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.artefacts import OUTPUTS
from benchmarks.servers import RIVALS, python_of

TOLERANCE = 1e-4
DTYPES = {"FP32": np.float32, "FP64": np.float64, "INT64": np.int64}


def check(url: str, body: bytes, headers: dict[str, str], model: str, right: NDArray[Any], grpc: bool) -> None:
    """Raises ValueError if the answer is another, OSError if there is none. `right` has the shape (rows, classes)."""
    if grpc:
        found = _ask_grpc(url, body)[OUTPUTS[model]]
    else:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as reply:
            head_bytes, content = reply.headers.get("inference-header-content-length"), reply.read()
        found = _read(content, int(head_bytes) if head_bytes else None, model)
    wanted = right[:, 1] if np.size(found) == len(right) else right
    if np.size(found) != wanted.size or not np.allclose(np.ravel(found), wanted.ravel(), atol=TOLERANCE):
        raise ValueError(f"{url} answers {np.ravel(found)[:4]} ..., not {wanted.ravel()[:4]} ...")


def _read(content: bytes, head_bytes: int | None, model: str) -> Any:
    """The output's values; of records the probability of the second class."""
    said = json.loads(content if head_bytes is None else content[:head_bytes])
    if "predictions" in said:
        return [row["probability"] for row in said["predictions"]]
    at = head_bytes or 0
    for tensor in said["outputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if tensor["name"] == OUTPUTS[model]:
            raw = None if size is None else content[at : at + size]
            return tensor["data"] if raw is None else np.frombuffer(raw, DTYPES[tensor["datatype"]])
        at += size or 0
    raise ValueError(f"no output {OUTPUTS[model]} in {content[:300]!r}")


def _ask_grpc(url: str, body: bytes) -> dict[str, Any]:
    """By grpcio, which is nobody's own client."""
    command = [str(python_of("floors")), str(Path(RIVALS) / "ask_grpc.py"), url.rpartition(":")[2]]
    done = subprocess.run(command, input=body, capture_output=True, timeout=60)
    if done.returncode:
        raise ConnectionError(done.stderr.decode(errors="replace")[-300:])
    found: dict[str, Any] = json.loads(done.stdout)
    return found
