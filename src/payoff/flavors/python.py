"""Plain Python: a folder with model.py and what it needs, or a function that came from a notebook.

The code is only looked at here; it runs in a runner.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.needs import Needs, needs_of, on_python

FILE, FUNCTION, ABOUT = "model.py", "function.pkl", "payoff.json"
_OTHERS = ("MLmodel", "saved_model.pb", "modules.json")  # folders of other kinds, which may hold a model.py too
_ABOUT_BYTES_MAX = 64 << 10


class Python:
    """Code of the user's own."""

    name = "python"
    takes = "a folder with model.py (a class with predict), requirements.txt and whatever it loads"

    def recognises(self, path: Path, head: bytes) -> bool:
        if not path.is_dir() or any((path / other).exists() for other in _OTHERS):
            return False
        return (path / FILE).is_file() or ((path / FUNCTION).is_file() and (path / ABOUT).is_file())

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served in its own environment; the signature is what the type hints say, else the sample's."""
        path = arrival.path
        is_function = (path / FUNCTION).is_file()
        if not is_function:
            _check_code(path)
        needs = needs_of(path)
        if needs is None and arrival.said.requirements is None:
            raise BadInput(
                f"{path.name} has no requirements.txt (nor a pyproject.toml); write one with the packages that the "
                "code imports, or give them with --requirements FILE. An empty file says that NumPy is enough"
            )
        needs = needs or Needs()
        said = _about(path) if is_function else {}
        kind = "a function" if is_function else "a folder with model.py"
        return prepare_native(
            on_python(arrival, said.get("python") or needs.python),
            "python",
            needs.requirements,
            provenance={"code": kind, **({"function": said["name"]} if "name" in said else {})},
        )


def _check_code(path: Path) -> None:
    """What can be seen of model.py without running it; newer syntax than ours is left to the runner."""
    if not (path / FILE).is_file():
        raise BadInput(f"{path.name} has no {FILE}; write one with a class that has predict(self, columns)")
    try:
        code = ast.parse((path / FILE).read_bytes())
    except (SyntaxError, ValueError):
        return
    classes = [node for node in ast.walk(code) if isinstance(node, ast.ClassDef)]
    if not classes and not any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.walk(code)):
        raise BadInput(
            f"{FILE} in {path.name} has no class; write one: class Model with predict(self, columns), "
            "and load(cls, path) if there is something to load"
        )


def _about(path: Path) -> dict[str, str]:
    """What the client wrote beside a function: its name, and the Python that it was made in."""
    file = path / ABOUT
    try:
        if file.stat().st_size > _ABOUT_BYTES_MAX:
            raise ValueError("it is too large")
        found = json.loads(file.read_bytes())
        return {key: str(found[key]) for key in ("name", "python") if found.get(key)}
    except (OSError, ValueError, AttributeError) as error:
        raise BadInput(f"{ABOUT} in {path.name} cannot be read: {error}; deploy the function again") from error


FLAVOR = Python()
