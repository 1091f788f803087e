"""Large weights, laid out once for this machine's processor and mapped from then on: workers share one copy in memory.

onnxruntime packs the weights of matrix products anew in every process that loads a model, which takes time and memory
in each. Here the graph is written down as onnxruntime would run it, with its weights packed, beside it in a file; a
session of that file maps the pages that others have mapped already.
"""

import hashlib
import logging
import platform
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import onnxruntime as ort

from payoff.flavors.engine import CPU
from payoff.flavors.session import options_of, reason
from payoff.store.files import folder

_MODEL, _WEIGHTS = "model.onnx", "weights.bin"
log = logging.getLogger("payoff.flavors")


def laid_out(model: Path, digest: str, shared: Path) -> Path:
    """The model with its weights laid out, made now if it was not before; the model itself if it cannot be made.

    `digest` is that of the artefact, `shared` a folder of all workers. Safe between processes. What is made is as large
    as the model and its weights once more, and of no use to another onnxruntime or processor, which make their own.
    """
    made = shared / f"{digest}-{_mark()}"
    if not made.is_dir():
        try:
            _make(model, made)
            _sweep(made, digest)
        except Exception as error:  # a full disk, a graph that cannot be written: it can be run as it is
            log.warning("the weights of %s are not shared between workers: %s", digest[:12], reason(error))
            return model
    return made / _MODEL


def _make(model: Path, made: Path) -> None:
    room = Path(tempfile.mkdtemp(dir=folder(made.parent), prefix="."))
    options = options_of(CPU)
    options.optimized_model_filepath = str(room / _MODEL)
    for key, value in {
        "session.optimized_model_external_initializers_file_name": _WEIGHTS,
        "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
        "session.save_external_prepacked_constant_initializers": "1",
    }.items():
        options.add_session_config_entry(key, value)
    try:
        ort.InferenceSession(str(model), options, providers=[CPU.provider])
        with suppress(OSError):  # another worker may have been faster
            room.rename(made)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _sweep(made: Path, digest: str) -> None:
    """What another onnxruntime made is of no use any more; who has mapped it keeps what is mapped."""
    for old in made.parent.glob(f"{digest}-*"):
        if old != made:
            shutil.rmtree(old, ignore_errors=True)


def _mark() -> str:
    """Of this onnxruntime on this processor: how weights are packed depends on both."""
    try:
        about = re.findall(r"^(?:model name|flags|Features)\s*:.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        about = [platform.processor()]
    told = "\n".join([ort.__version__, platform.machine(), *sorted(set(about))])
    return hashlib.sha256(told.encode()).hexdigest()[:16]
