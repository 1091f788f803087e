"""Which Python an environment is made with: payoff's own, or another one that is installed; none is ever downloaded."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass

from payoff.environments.uv import run
from payoff.errors import BadInput

OLDEST = (3, 9)  # what a model's own process runs on


@dataclass(frozen=True, slots=True)
class Python:
    """An interpreter and its version without the patch, which environments do not depend on."""

    version: str  # "3.11"
    path: str


def find(said: str | None) -> Python:
    """The interpreter of a version ("3.11", "3.11.7"); None means payoff's own. BadInput says which there are."""
    own = Python(f"{sys.version_info.major}.{sys.version_info.minor}", sys.executable)
    version = own.version if said is None else _minor(said)
    if version == own.version:
        return own
    done = run(["python", "find", "--no-project", "--system", version], seconds_max=60.0)
    if done.status == 0 and done.answered.strip():
        return Python(version, done.answered.strip())
    there = ", ".join(installed()) or own.version
    raise BadInput(
        f"the server has no Python {version}; it has {there}. "
        f"Install it there (uv python install {version}, pyenv or the system's packages), or choose another: --python"
    )


def installed() -> list[str]:
    """The versions that environments can be made with, oldest first."""
    done = run(["python", "list", "--only-installed", "--output-format", "json"], seconds_max=60.0)
    try:
        found = json.loads(done.answered or "[]")
    except json.JSONDecodeError:
        found = []
    parts = [one["version_parts"] for one in found if one.get("implementation") == "cpython"]
    versions = {(part["major"], part["minor"]) for part in parts} | {sys.version_info[:2]}
    return [f"{major}.{minor}" for major, minor in sorted(versions) if (major, minor) >= OLDEST]


def _minor(said: str) -> str:
    found = re.fullmatch(r"(?:python)?\s*(\d+)\.(\d+)(\.\d+)?\s*", said.strip().lower())
    if not found:
        raise BadInput(f"{said[:40]!r} is no version of Python; write it as 3.11")
    if (int(found[1]), int(found[2])) < OLDEST or found[1] != "3":
        raise BadInput(
            f"models run on Python 3.{OLDEST[1]} or newer, and {said} was asked for; save the model with one of those"
        )
    return f"{found[1]}.{found[2]}"
