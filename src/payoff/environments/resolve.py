"""From requirements to exact versions: uv resolves, and what it found is good for an hour."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from payoff.environments.eras import bounds
from payoff.environments.pythons import Python
from payoff.environments.requirements import checked
from payoff.environments.uv import options, run, variables
from payoff.environments.words import refusal
from payoff.errors import BadInput, Unavailable

NUMPY = "numpy>=1.21"  # a model's own process exchanges arrays with payoff
FRESH_S = 3_600.0
_S_MAX = 300.0
_COMPILE = ("pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--python")


def resolved(requirements: Sequence[str], python: Python, kept: Path) -> tuple[str, ...]:
    """Exact versions of everything that is to be installed, one per line, in order.

    `kept` is a folder for what was found before. It is asked for an hour, and for longer where no index answers.
    """
    wanted = (*checked(requirements), NUMPY)
    file = kept / _key(wanted, python)
    known = _read(file)
    if known and file.stat().st_mtime > time.time() - FRESH_S:
        return known
    try:
        pins = _bounded(wanted, python)
    except Unavailable:
        if known:
            return known
        raise
    _write(file, pins)
    return pins


def _bounded(wanted: Sequence[str], python: Python) -> tuple[str, ...]:
    """With the bounds of the releases that are named; without, where other requirements go against them."""
    extra = bounds(wanted[:-1])  # NumPy's own line names no release
    if extra:
        with suppress(BadInput):
            return _ask(wanted, python, extra)
    return _ask(wanted, python)


def _ask(wanted: Sequence[str], python: Python, extra: Sequence[str] = ()) -> tuple[str, ...]:
    files = {"wanted.txt": "\n".join(wanted), "bounds.txt": "\n".join(extra)}
    constraints = ["bounds.txt", *variables(os.environ).get("UV_CONSTRAINT", "").split()]
    bounded = [word for name in constraints for word in ("--constraint", name)]
    command = [*_COMPILE, python.path, *options(), *bounded, "wanted.txt"]
    done = run(command, files=files, seconds_max=_S_MAX)
    if done.status != 0:
        raise refusal(done, python.version, "resolved", lambda name, release: _nearest(name, release, python))
    lines = (line.strip() for line in done.answered.splitlines())
    return tuple(sorted(line for line in lines if line and not line.startswith(("#", "-"))))


def _nearest(name: str, release: str, python: Python) -> str:
    """In words, the releases on both sides of one that there is not."""
    found = []
    for bound, highest in ((f"{name}<{release}", "highest"), (f"{name}>{release}", "lowest")):
        command = [*_COMPILE, python.path, *options(), "--no-deps", "--resolution", highest, "wanted.txt"]
        found += run(command, files={"wanted.txt": bound}, seconds_max=60.0).answered.split()
    near = [line.partition("==")[2] for line in found if "==" in line]
    return f"; the nearest there are: {' and '.join(near)}" if near else ""


def _key(wanted: Sequence[str], python: Python) -> str:
    """By what was asked, and by where uv looks: another pip.conf is another question."""
    told = {name: value for name, value in variables(os.environ).items() if name.startswith("UV_")}
    return hashlib.sha256(json.dumps([wanted, python.version, python.path, options(), told]).encode()).hexdigest()


def _read(file: Path) -> tuple[str, ...]:
    try:
        return tuple(file.read_text().splitlines())
    except FileNotFoundError:
        return ()


def _write(file: Path, pins: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(f".{os.getpid()}")
    new.write_text("\n".join(pins))
    new.replace(file)
