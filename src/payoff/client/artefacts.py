"""A model in the user's own process becomes a file that can be sent."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from payoff.errors import BadInput, NotFound


@contextmanager
def as_file(model: Any) -> Iterator[Path]:
    """The path of an artefact: the user's own file, or a temporary one for an ONNX ModelProto or a fitted estimator."""
    if isinstance(model, str | Path):
        yield existing(Path(model), "model file")
        return
    with tempfile.TemporaryDirectory(prefix="payoff-") as folder:
        yield _write(model, Path(folder))


def existing(path: Path, what: str) -> Path:
    """The path, if a file with something in it is there."""
    if path.is_dir():
        raise BadInput(f"{path} is a directory; give the path of the {what} itself")
    if not path.exists():
        raise NotFound(f"there is no {what} at {path}")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty; it cannot be a {what}")
    return path


def _write(model: Any, folder: Path) -> Path:
    if isinstance(model, bytes | bytearray):
        path = folder / "model.bin"
        path.write_bytes(model)
        return path
    if hasattr(model, "SerializeToString") and hasattr(model, "graph"):
        path = folder / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return path
    if hasattr(model, "predict") and hasattr(model, "get_params"):
        return _dump(model, folder / "model.joblib")
    raise BadInput(
        f"cannot deploy a {type(model).__module__}.{type(model).__qualname__}; "
        "give a fitted scikit-learn estimator, an ONNX model or the path of a file"
    )


def _dump(model: Any, path: Path) -> Path:
    try:
        import joblib
    except ImportError as error:
        raise BadInput("sending an estimator takes joblib: pip install 'payoff[sklearn]'") from error
    try:
        joblib.dump(model, path)
    except Exception as error:
        raise BadInput(f"this {type(model).__name__} cannot be saved with joblib: {error}") from error
    return path
