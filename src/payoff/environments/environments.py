"""The environments there are: resolved to exact versions, built once, found again by the digest of what is in them.

ROOT/<digest>/           a virtual environment; complete when `environment.json` is there, which is written last
ROOT/locks/<digest>      held by whoever builds it

"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from payoff.environments.uv import Done, run
from payoff.errors import BadInput, NotFound

MARKER = "environment.json"
RESOLVE_S_MAX, BUILD_S_MAX = 300.0, 1800.0


@dataclass(frozen=True, slots=True)
class Environment:
    """The packages of a model, installed for it."""

    digest: str  # sha256 over the version of Python, the platform and the packages with their versions
    python: Path  # its interpreter
    packages: dict[str, str]  # name -> version


class Environments:
    """A folder of environments; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @classmethod
    def of(cls, home: Path) -> Environments:
        """The environments of a home, or those in PAYOFF_ENVIRONMENTS, which several homes share."""
        return cls(Path(os.environ.get("PAYOFF_ENVIRONMENTS") or home / "environments"))

    def build(self, requirements: Sequence[str], python: str | None = None) -> Environment:
        """The environment that meets the requirements, built unless it is there; BadInput has the resolver's words."""
        interpreter = python or sys.executable
        lock = resolve([*requirements, "numpy>=1.21"], interpreter)
        packages = dict(line.split(";")[0].strip().split("==", 1) for line in _pins(lock))
        digest = _digest(python or f"{sys.version_info.major}.{sys.version_info.minor}", packages)
        with self._building(digest):
            if not self._is_complete(digest):
                self._install(digest, lock, interpreter, packages)
        return self.find(digest)

    def find(self, digest: str) -> Environment:
        """The environment of that digest; NotFound if it is not there any more."""
        if not self._is_complete(digest):
            raise NotFound(f"environment {digest[:12]} is gone from {self.root}; deploy the model again to build it")
        packages = json.loads((self.root / digest / MARKER).read_text())["packages"]
        return Environment(digest, self.root / digest / "bin" / "python", packages)

    def _is_complete(self, digest: str) -> bool:
        folder = self.root / digest
        return (folder / MARKER).is_file() and (folder / "bin" / "python").exists()

    @contextmanager
    def _building(self, digest: str) -> Iterator[None]:
        (self.root / "locks").mkdir(parents=True, exist_ok=True)
        with (self.root / "locks" / digest).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _install(self, digest: str, lock: str, interpreter: str, packages: Mapping[str, str]) -> None:
        folder = self.root / digest
        shutil.rmtree(folder, ignore_errors=True)
        _must(run(["venv", "--quiet", "--python", interpreter, str(folder)], seconds_max=60.0), "create")
        arguments = ["pip", "install", "--quiet", "--compile-bytecode", "--no-deps", "--requirement", "given.txt"]
        done = run([*arguments, "--python", str(folder / "bin" / "python")], given=lock, seconds_max=BUILD_S_MAX)
        _must(done, "build")
        (folder / "environment.new").write_text(json.dumps({"packages": dict(packages)}))
        (folder / "environment.new").replace(folder / MARKER)


def resolve(requirements: Sequence[str], interpreter: str) -> str:
    """The lines of a lock file: exact versions of everything."""
    arguments = ["pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--python"]
    done = run([*arguments, interpreter, "given.txt"], given="\n".join(requirements), seconds_max=RESOLVE_S_MAX)
    return _must(done, "resolve").answered


def _must(done: Done, what: str) -> Done:
    if done.status == 0:
        return done
    raise BadInput(f"the environment could not be {what}d as asked for; uv says: {done.said[-2000:]}")


def _pins(lock: str) -> list[str]:
    return [line for line in lock.splitlines() if line and not line.startswith(("#", " "))]


def _digest(python: str, packages: Mapping[str, str]) -> str:
    facts = [python, sysconfig.get_platform(), *platform.libc_ver()[:1], sorted(packages.items())]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
