"""What a folder says it needs to run: requirements.txt or pyproject.toml, and a version of Python."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from payoff.environments.requirements import checked, of_project
from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival

_FILES_MAX, _BYTES_MAX = 20, 1 << 20
_NEWEST_MINOR = 14
_INCLUDED = re.compile(r"\s*(?:-r|--requirement)[\s=]+([^\s#]+)\s*(?:#.*)?$")
_ORDER = re.compile(r"(>=|<=|==|!=|~=|>|<)\s*(\d+)(?:\.(\d+))?[\w.*]*$")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True)
class Needs:
    """Packages as requirement lines, and a version of Python ("3.11") where one is asked for."""

    requirements: tuple[str, ...] = ()
    python: str | None = None
    notes: tuple[str, ...] = ()


def needs_of(folder: Path) -> Needs | None:
    """What requirements.txt says, else pyproject.toml; None where neither is there."""
    file, project = folder / "requirements.txt", folder / "pyproject.toml"
    text = _text(project) if project.is_file() else None
    if file.is_file():
        return Needs(requirements(file), _python(text))
    return None if text is None else Needs(of_project(text), _python(text))


def on_python(arrival: Arrival, python: str | None) -> Arrival:
    """The arrival, to be run on the version of Python that its folder asks for, unless the user said one."""
    if arrival.said.python is not None or python in (None, HERE):
        return arrival
    return replace(arrival, said=replace(arrival.said, python=python))


def requirements(file: Path) -> tuple[str, ...]:
    """The packages named in a requirements file and the files that it includes; BadInput for what is no package."""
    return tuple(dict.fromkeys(checked(_lines(file, file.parent.resolve(), []), file.name)))


def _lines(file: Path, root: Path, seen: list[Path]) -> list[str]:
    """The lines of a file, those of an included file in the place of its -r."""
    seen.append(file)
    if len(seen) > _FILES_MAX:
        raise BadInput(f"{file.name}: requirement files include each other; write one that names the packages")
    found: list[str] = []
    for line in _text(file).splitlines():
        included = _INCLUDED.match(line)
        found += _lines(_inside(file.parent / included[1], root, file), root, seen) if included else [line]
    return found


def _inside(path: Path, root: Path, file: Path) -> Path:
    if not path.resolve().is_relative_to(root) or not path.is_file():
        raise BadInput(f"{file.name} includes {path.name}, which is not in the folder; put it there")
    return path


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        content = opened.read(_BYTES_MAX + 1)
    if len(content) > _BYTES_MAX:
        raise BadInput(f"{file.name} is larger than {_BYTES_MAX:,} bytes; it should only name packages")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"{file.name} is not UTF-8 text: {error}; save it as such") from error


def _python(project: str | None) -> str | None:
    """The version of Python for `requires-python`: the one payoff runs on if it will do, else the newest that does."""
    found = re.search(r"""^requires-python\s*=\s*["']([^"']*)["']""", project or "", re.MULTILINE)
    if found is None:
        return None
    minors = [int(HERE.partition(".")[2]), *range(_NEWEST_MINOR, 8, -1)]
    return next((f"3.{minor}" for minor in minors if _suits(minor, found[1])), None)


def _suits(minor: int, asked: str) -> bool:
    return all(_meets(minor, clause.strip()) for clause in asked.split(",") if clause.strip())


def _meets(minor: int, clause: str) -> bool:
    """Whether 3.`minor` meets one clause; patch releases are left aside."""
    match = _ORDER.match(clause)
    if match is None:
        return True
    order, ours, theirs = match[1], (3, minor), (int(match[2]), int(match[3] or 0))
    if order in ("==", "~="):
        alike = match[3] is None or ours == theirs
        return ours[0] == theirs[0] and (alike or (order == "~=" and clause.count(".") == 1 and ours >= theirs))
    return {">=": ours >= theirs, "<=": ours <= theirs, ">": ours >= theirs, "<": ours < theirs, "!=": True}[order]
