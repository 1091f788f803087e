"""What a user hands over (a path, a text such as mlflow:models:/NAME/3, an object) becomes a file that can be sent."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from payoff.errors import BadInput, NotFound, PayoffError

MLFLOW = "mlflow:"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A file to send, and what is known of it beside its bytes."""

    path: Path
    name: str  # what its owner calls it
    is_folder: bool = False  # the file is a folder, packed as tar
    requirements: tuple[str, ...] | None = None  # what is installed where the object was, and it needs
    python: str | None = None  # where it holds code of the user's own
    options: dict[str, Any] = field(default_factory=dict)  # for the flavor


@contextmanager
def as_artefact(model: Any, sample: Any = None, tracking: str | None = None) -> Iterator[Artefact]:
    """The artefact: the user's own file, or a temporary one. `sample` are rows as the model takes them.

    `tracking` is the MLflow server that mlflow:... is asked of; without it MLFLOW_TRACKING_URI, here or at the server.
    """
    with tempfile.TemporaryDirectory(prefix="payoff-") as folder:
        if isinstance(model, str) and model.startswith(MLFLOW):
            yield _pointer(model, tracking, Path(folder))
        elif isinstance(model, str | Path):
            yield _found(Path(model), Path(folder))
        else:
            from payoff.client.objects import save

            yield save(model, Path(folder), sample)


def existing(path: Path, what: str) -> Path:
    """The path, if a file with something in it is there."""
    if path.is_dir():
        raise BadInput(f"{path} is a directory; give the path of the {what} itself")
    if not path.exists():
        raise NotFound(f"there is no {what} at {path}")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty, so it is no {what}; look at how it was written")
    return path


def packed(folder: Path, target: Path) -> Path:
    """The folder in one file."""
    from payoff.store.folders import pack

    if not any(folder.iterdir()):
        raise BadInput(f"{folder} is an empty folder; give the one that the model was saved in")
    try:
        pack(folder, target)
    except PayoffError as error:
        raise type(error)(f"{folder} cannot be sent: {error}") from error
    return target


def _found(path: Path, room: Path) -> Artefact:
    if path.is_dir():
        return Artefact(packed(path, room / "folder.tar"), path.resolve().name or "model", is_folder=True)
    return Artefact(existing(path, "model file"), path.name)


def _pointer(text: str, tracking: str | None, room: Path) -> Artefact:
    """A small file that says where the model is; the server fetches it from there."""
    where = text.removeprefix(MLFLOW)
    if not where.startswith(("models:/", "runs:/")) or any(one in where for one in " \n\r\t"):
        raise BadInput(
            f"{text!r} names no model of a tracking server; write mlflow:models:/NAME/VERSION, "
            "mlflow:models:/NAME@ALIAS or mlflow:runs:/RUN/PATH"
        )
    server = tracking or os.environ.get("MLFLOW_TRACKING_URI") or ""
    if any(one in server for one in " \n\r\t"):
        raise BadInput(f"{server!r} is no address of a tracking server; write --tracking http://HOST:PORT")
    path = room / "model.mlflow"
    path.write_text(f"mlflow: {where}\n" + (f"tracking: {server}\n" if server else ""))
    return Artefact(path, f"{_plain_name(where)}.mlflow")


def _plain_name(where: str) -> str:
    """models:/churn/3 and models:/churn@champion are churn."""
    return where.partition(":/")[2].strip("/").partition("/")[0].partition("@")[0] or "model"
