"""Requirements as people write them: a requirements.txt or a pyproject.toml; what no server can follow is refused."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator

from payoff.errors import BadInput

LINES_MAX, LINE_CHARS_MAX = 2_000, 2_000
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?")
_SOURCE = re.compile(r"(git\+)?https://")
_WAYS_OUT = {
    "-r": "put the lines of that file in its place",
    "-c": "put its versions into the requirements themselves",
    "-e": "build a wheel of it and put that on an index, or name a release",
    "--index-url": "where packages come from is set on the server, in its pip.conf (index-url, extra-index-url)",
    "--find-links": "where packages come from is set on the server, in its pip.conf (find-links)",
}
_SAME = {
    "--requirement": "-r",
    "--constraint": "-c",
    "--editable": "-e",
    "-i": "--index-url",
    "--extra-index-url": "--index-url",
    "--trusted-host": "--index-url",
    "--no-index": "--index-url",
    "-f": "--find-links",
}


def checked(lines: Iterable[str], name: str = "the requirements") -> tuple[str, ...]:
    """One requirement per line, without comments, hashes and empty lines; BadInput: a line that cannot be followed."""
    wanted = []
    for line in _joined(lines):
        plain = re.sub(r"(^|\s)#.*$", "", line)
        plain = re.sub(r"\s--hash[= ]\S+", "", plain).strip()
        if plain:
            wanted.append(_followed(plain, name))
    if len(wanted) > LINES_MAX:
        raise BadInput(f"{name}: {len(wanted):,} lines; at most {LINES_MAX:,} are read")
    return tuple(wanted)


def of_project(text: str, name: str = "pyproject.toml") -> tuple[str, ...]:
    """The dependencies of a pyproject.toml."""
    try:
        project = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{name} cannot be read: {error}") from error
    lines = project.get("dependencies") if isinstance(project, dict) else None
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise BadInput(
            f"{name} has no list [project] dependencies; write them there, "
            "or put a requirements.txt beside it (poetry export and pdm export make one)"
        )
    return checked(lines, name)


def package(requirement: str) -> str:
    """The name of the package that a requirement asks for, as indexes spell it: "scikit-learn"."""
    found = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Lines as pip sees them: a backslash at the end goes on."""
    begun = ""
    for line in lines:
        begun += line.rstrip("\r\n")
        if begun.endswith("\\") and not begun.lstrip().startswith("#"):
            begun = begun[:-1] + " "
            continue
        yield from begun.splitlines()
        begun = ""
    if begun:
        yield begun


def _followed(line: str, name: str) -> str:
    """The line, if a server can follow it."""
    if len(line) > LINE_CHARS_MAX:
        raise BadInput(f"{name}: a line of {len(line):,} characters; at most {LINE_CHARS_MAX:,} are read")
    if "${" in line:
        raise BadInput(f"{name}: a variable (${{...}}) is not followed here; write what it stands for")
    if line.startswith("-"):
        option = re.split(r"[\s=]", line, maxsplit=1)[0]
        option = option if option.startswith("--") else option[:2]
        way_out = _WAYS_OUT.get(_SAME.get(option, option), "leave it out")
        raise BadInput(f"{name}: an option ({option}) is not followed here; {way_out}")
    address = line.partition("@")[2].strip() if re.match(rf"{_NAME.pattern}\s*@", line) else ""
    if address or "://" in line:
        return _sourced(line, address, name)
    if line.startswith((".", "/", "~")) or re.search(r"[/\\]|\.(whl|zip|tar\.gz)$", line.partition(";")[0]):
        raise BadInput(
            f"{name}: {line[:200]!r} is a place on a disk, which the server does not have; name the package and its "
            "version, or put a wheel of it where the server's pip.conf finds it (find-links)"
        )
    if re.fullmatch(r"[\w.-]+=[\w.*]+(=\w+)?", line):
        raise BadInput(f"{name}: {line!r} is written as for conda; for pip it is {line.replace('=', '==', 1)!r}")
    return line


def _sourced(line: str, address: str, name: str) -> str:
    """A requirement that says where from."""
    if re.search(r"://[^/\s]*@", line):
        raise BadInput(
            f"{name}: an address with a name or a password in it; versions record their requirements, so leave it out "
            "and put it into the server's .netrc or pip.conf"
        )
    if not address:
        raise BadInput(f"{name}: {line[:200]!r} does not say which package it is; write NAME @ {line[:200]}")
    if not _SOURCE.match(address):
        raise BadInput(
            f"{name}: {line[:200]!r} cannot be fetched by a server; an address begins with https:// or git+https://"
        )
    return line
