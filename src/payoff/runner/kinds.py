"""Where the code of a kind is: ours under `guest/kinds`, a stranger's in a file of its own.

Another package adds one with an entry point in the group `payoff.kinds`, whose value is the name of a module; the
module is never imported here, its file is read in the model's process: `from payoff_guest import tables`.
"""

import ast
import threading
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from payoff.errors import NotFound

_PARSING = threading.Lock()  # Python 3.11 miscounts when two threads parse at once: "AST constructor recursion depth"
_OWN = Path(__file__).parent / "guest" / "kinds"


def find(kind: str, kinds_path: Path | None = None) -> Path:
    """The file of a kind; one in `kinds_path` goes before all others."""
    files = dict(_files(kinds_path))
    if kind not in files:
        raise NotFound(f"no kind of model called {kind!r}; there are: {', '.join(sorted(files))}")
    return files[kind]


def preload(file: Path) -> tuple[str, ...] | None:
    """What a process may import before it knows which model of this kind it will serve; None if it must not fork.

    Read from the text of the file, which is never run here.
    """
    with _PARSING:
        return _preload(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _preload(file: Path, _: int) -> tuple[str, ...] | None:
    said: dict[str, Any] = {"PRELOAD": (), "FORK": True}
    for line in ast.parse(file.read_bytes()).body:
        target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
        if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and target.id in said:
            said[target.id] = ast.literal_eval(line.value) if line.value else ()
    return tuple(map(str, said["PRELOAD"])) if said["FORK"] else None


def is_own(file: Path) -> bool:
    """Whether it is one of payoff's, which may import its neighbours."""
    return file.parent == _OWN


def _files(kinds_path: Path | None) -> Iterator[tuple[str, Path]]:
    for point in entry_points(group="payoff.kinds"):
        spec = find_spec(point.module)
        if spec is not None and spec.origin is not None:
            yield point.name, Path(spec.origin)
    for folder in (_OWN, kinds_path):
        if folder is not None:
            yield from ((file.stem, file.resolve()) for file in folder.glob("[!_]*.py"))
