"""What a user says of a deploy, as the texts of a form: one place for Python's values, the server reads the texts."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from payoff.client.artefacts import existing
from payoff.errors import BadInput

LISTED = (".txt", ".in", ".lock", ".toml")  # what a text ends with that must be the path of a file


def fields(given: Mapping[str, Any]) -> dict[str, str]:
    """The texts by name; what is None, or an empty mapping, says nothing."""
    return {name: _text(name, value) for name, value in given.items() if value is not None and value != {}}


def requirements(said: Any) -> str | None:
    """The lines of a requirements file: its path (or a pyproject.toml's), "a==1, b>=2", or a list of such."""
    if said is None:
        return None
    if isinstance(said, str | Path):
        return _listed(said)
    if isinstance(said, Sequence) and all(isinstance(one, str) for one in said):
        return "\n".join(said)
    raise BadInput(f"requirements are a {type(said).__name__}; give the path of a file, a text or a list of texts")


def _listed(said: str | Path) -> str:
    path = Path(said)
    if isinstance(said, str) and ("\n" in said or not (said.endswith(LISTED) or path.is_file())):
        return said
    text = existing(path, "requirements file").read_text("utf-8")
    return _of_project(path, text) if path.suffix == ".toml" else text


def _of_project(path: Path, text: str) -> str:
    try:
        found = tomllib.loads(text).get("project", {}).get("dependencies")
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is no TOML: {error}") from error
    if not found:
        raise BadInput(f"{path} has no dependencies under [project]; give a requirements file or name the packages")
    return "\n".join(found)


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _json(name, value)
    if isinstance(value, Real):
        return f"{value:.9g}" if isinstance(value, float) else str(value)
    raise BadInput(f"{name} is a {type(value).__name__}; give a text or a number")


def _json(name: str, value: Mapping[Any, Any]) -> str:
    """Numbers of NumPy's count as numbers."""
    try:
        return json.dumps(dict(value), default=_plain)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name} cannot be written as JSON: {error}") from error


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is none of text, number, yes or no, list, object")
