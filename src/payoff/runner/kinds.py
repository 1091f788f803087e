"""Where the code of a kind is: ours under `guest/kinds`, a stranger's in a file of its own.

Another package adds one with an entry point in the group `payoff.kinds`, whose value is the name of a module; the
module is never imported here, its file is read in the model's process: `from payoff_guest import tables`.
"""

from collections.abc import Iterator
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from payoff.errors import NotFound

_OWN = Path(__file__).parent / "guest" / "kinds"


def find(kind: str, kinds_path: Path | None = None) -> Path:
    """The file of a kind; one in `kinds_path` goes before all others."""
    files = dict(_files(kinds_path))
    if kind not in files:
        raise NotFound(f"no kind of model called {kind!r}; there are: {', '.join(sorted(files))}")
    return files[kind]


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
