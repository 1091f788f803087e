"""Which flavor an artefact is, by what is in the file; its name does not count, and nothing of it is run."""

import re
import zipfile
from pathlib import Path

from payoff.errors import BadInput, NotFound
from payoff.flavors.flavor import FLAVORS, Flavor

HEAD_BYTES = 64 * 1024

# What people hand in by mistake, by the first bytes.
_LOOKS = (
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF", "an HDF5 file (Keras?)"),
    (b"PK\x03\x04", "a zip archive"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "an image"),
    (b"\x7fELF", "a program"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"GGUF", "a GGUF language model"),
    (b"SQLite format 3", "an SQLite database"),
)


_CODE = re.compile(r'\s*("""|#!|import |from \w[\w.]* import |def |class |@)')


def recognise(path: Path, flavor: str | None = None) -> Flavor:
    """The flavor of the file or folder at `path`; `flavor` overrules the look at its content.

    NotFound: no such file, no such flavor. BadInput: what it looks like instead, and what is taken.
    """
    _check_file(path)
    if flavor is not None:
        return FLAVORS.take(flavor)
    found = _recognised(path)
    if found is not None:
        return found
    if path.is_dir():
        raise BadInput(
            f"{path.name} is a folder that holds no model payoff knows; folders that are taken: {taken(folders=True)}. "
            f"A model that is one file is deployed as that file (here are {_some(path)})"
        )
    head = _head(path)
    raise BadInput(
        f"{path.name} looks like {looks_like(path, head)}, not like a model; taken are: {taken()}. "
        "If it is one of these all the same, say so with --flavor NAME"
    )


def lone(path: Path) -> Path:
    """The file itself where a folder holds nothing but one file that is a model; else the path as it is."""
    if not path.is_dir():
        return path
    inside = [one for one in path.iterdir() if not one.name.startswith(".")]
    if len(inside) != 1 or not inside[0].is_file() or not inside[0].resolve().is_relative_to(path.resolve()):
        return path
    return inside[0] if inside[0].stat().st_size and _recognised(inside[0]) is not None else path


def taken(folders: bool = False) -> str:
    """Every flavor by name, or those that take a folder in the user's words, for messages."""
    known = {name: takes for name in FLAVORS.names() if (takes := FLAVORS.take(name).takes)}
    if folders:
        return "; ".join(f"{name}: {takes}" for name, takes in known.items() if "folder" in takes)
    return ", ".join(known)


def _recognised(path: Path) -> Flavor | None:
    head = b"" if path.is_dir() else _head(path)
    for name in FLAVORS.names():
        candidate = FLAVORS.take(name)
        if candidate.recognises(path, head):
            return candidate
    return None


def _some(folder: Path) -> str:
    names = sorted(one.name for one in folder.iterdir())
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def looks_like(path: Path, head: bytes) -> str:
    """A guess, in words, at a file that no flavor recognises."""
    for magic, words in _LOOKS:
        if head.startswith(magic):
            return _archive(path) if words == "a zip archive" else words
    text = head.decode("utf-8", errors="replace" if len(head) < HEAD_BYTES else "ignore")
    if "\ufffd" in text or any(mark < " " and mark not in "\t\r\n\f" for mark in text):
        return f"an unknown binary file (it begins with {head[:8].hex(' ')})"
    first = text.lstrip().partition("\n")[0].strip()
    if first.startswith(("{", "[")):
        return "JSON"
    if _CODE.match(text):
        return "Python code (put it into a folder as model.py, with a requirements.txt, and deploy the folder)"
    kind = "text with columns (CSV?)" if any(mark in first for mark in ",;\t") else "text"
    return f"{kind}: {first[:60]!r}"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    if path.is_dir():
        if not any(path.iterdir()):
            raise BadInput(f"{path} is an empty folder; taken are: {taken()}")
        return
    if not path.is_file():
        raise BadInput(f"{path} is no plain file, and one is expected; taken are: {taken()}")
    if path.stat().st_size == 0:
        raise BadInput(f"{path} is empty; save the model again. Taken are: {taken()}")


def _archive(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return "a zip archive that is cut short; save or copy it again"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()[:10_000]
    if any(name.endswith("/data.pkl") for name in names):
        return "a PyTorch checkpoint (export it: torch.export.save)"
    if "config.json" in names and "model.weights.h5" in names:
        return "a Keras model"
    return f"a zip archive with {', '.join(names[:3]) or 'nothing'} in it"
