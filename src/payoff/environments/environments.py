"""The environments there are: resolved to exact versions, built once, found again by the digest of what is in them.

ROOT/<digest>/           a virtual environment; complete when `environment.json` is there, which is written last and
                         whose time says when it was used last
ROOT/locks/<digest>      held by whoever builds or removes it
ROOT/resolved/<key>      what requirements came to, for an hour
ROOT/needed/<home>       the environments that a home's versions need, when it swept last
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from payoff.environments import pythons
from payoff.environments.bytecode import COMPILE, lend, site_packages
from payoff.environments.pythons import Python
from payoff.environments.resolve import resolved
from payoff.environments.uv import options, run
from payoff.environments.words import refusal
from payoff.errors import BadInput, NotFound, Unavailable

MARKER = "environment.json"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_BUILD_S_MAX, _WAIT_S_MAX = 1_800.0, 3_600.0
_NEEDED_S = 30 * 86_400.0  # a home that did not sweep for so long needs nothing any more


@dataclass(frozen=True, slots=True)
class Environment:
    """The packages of a model, installed for it."""

    digest: str  # sha256 over the version of Python, the platform and the packages with their versions
    python: Path  # its interpreter
    packages: dict[str, str]  # name -> version


@dataclass(frozen=True, slots=True)
class Facts:
    """What a folder of environments holds."""

    count: int
    size_bytes: int
    unfinished: int


class Environments:
    """A folder of environments; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @classmethod
    def of(cls, home: Path) -> Environments:
        """The environments of a home, or those in PAYOFF_ENVIRONMENTS, which several homes share."""
        return cls(Path(os.environ.get("PAYOFF_ENVIRONMENTS") or home / "environments"))

    def build(self, requirements: Sequence[str], python: str | None = None) -> Environment:
        """The environment that meets the requirements, built unless it is there.

        BadInput: they cannot be met; Unavailable: no index, no room, no time. Both have uv's words and the likely cure.
        """
        interpreter = pythons.find(python)
        with self._told():
            pins = resolved(requirements, interpreter, self.root / "resolved")
            digest = digest_of(pins, interpreter.version)
            if not self._is_complete(digest):
                with self._locked(digest) as lock:
                    if not self._is_complete(digest):
                        self._install(digest, pins, interpreter, lock)
        return self.find(digest)

    def find(self, digest: str) -> Environment:
        """The environment of that digest; NotFound if it is not there any more."""
        if not self._is_complete(digest):
            raise NotFound(
                f"environment {digest[:12]} is not in {self.root}; it was removed, or its Python was. "
                "Deploy the model again: that builds it"
            )
        with suppress(OSError):  # a worker may have no right to write here
            os.utime(self.root / digest / MARKER)
        return Environment(digest, self._python(digest), self._marker(digest)["packages"])

    def facts(self) -> Facts:
        """How many environments there are and how large they are together."""
        complete = [digest for digest in self._folders() if (self.root / digest / MARKER).is_file()]
        sizes = [int(self._marker(digest).get("size_bytes", 0)) for digest in complete]
        return Facts(len(complete), sum(sizes), len(self._folders()) - len(complete))

    def sweep(self, needed: Collection[str], home: Path, unused_s: float = 7 * 86_400.0) -> list[str]:
        """Remove what no version needs and nobody used for a week, and what was left half built; what was removed.

        `needed` are the environments that the versions of `home` need. Where several homes share a folder, each says
        so when it sweeps, and what any of them needs stays.
        """
        with self._told():
            kept = self._needed_by_all(needed, home)
            self._forget_resolved(unused_s)
            return [digest for digest in self._folders() if digest not in kept and self._remove(digest, unused_s)]

    def has(self, digest: str) -> bool:
        """Whether that environment is there."""
        return self._is_complete(digest)

    def _is_complete(self, digest: str) -> bool:
        return (
            _DIGEST.fullmatch(digest) is not None
            and (self.root / digest / MARKER).is_file()
            and self._python(digest).exists()  # the interpreter that it was made with may be gone
        )

    def _python(self, digest: str) -> Path:
        return self.root / digest / "bin" / "python"

    def _marker(self, digest: str) -> dict[str, Any]:
        marker: dict[str, Any] = json.loads((self.root / digest / MARKER).read_text())
        return marker

    def _folders(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return sorted(path.name for path in self.root.iterdir() if _DIGEST.fullmatch(path.name))

    def _install(self, digest: str, pins: Sequence[str], interpreter: Python, lock: int) -> None:
        """Build it in its place: it counts as soon as the marker is there, and what was half built goes."""
        folder = self.root / digest
        shutil.rmtree(folder, ignore_errors=True)
        try:
            self._call(["venv", "--quiet", "--clear", "--python", interpreter.path, str(folder)], interpreter, lock)
            into = ["--python", str(self._python(digest))]
            install = ["pip", "install", "--quiet", "--no-deps", "--requirement", "pins.txt"]
            self._call([*install, *into, *options()], interpreter, lock, pins)
            listed = self._call(["pip", "list", "--format", "json", *into], interpreter, lock)
            packages = {one["name"]: one["version"] for one in json.loads(listed)}
            lend(folder, packages, self._lenders(interpreter.version), interpreter.version)
            _compile(self._python(digest), site_packages(folder, interpreter.version), lock)
            _try_numpy(self._python(digest), packages)
            facts = {"python": interpreter.version, "packages": packages, "size_bytes": _size(folder)}
            (folder / "environment.new").write_text(json.dumps(facts, indent=1))
            (folder / "environment.new").replace(folder / MARKER)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _lenders(self, python: str) -> list[tuple[Path, dict[str, str]]]:
        """The environments of that Python, with their packages."""
        found = []
        for digest in self._folders():
            with suppress(OSError):  # removed meanwhile
                marker = self._marker(digest)
                if marker["python"] == python:
                    found.append((self.root / digest, marker["packages"]))
        return found

    def _call(self, arguments: Sequence[str], interpreter: Python, lock: int, pins: Sequence[str] = ()) -> str:
        done = run(arguments, files={"pins.txt": "\n".join(pins)}, seconds_max=_BUILD_S_MAX, holds=[lock])
        if done.status != 0:
            raise refusal(done, interpreter.version, "built", lambda name, release: "")
        return done.answered

    @contextmanager
    def _locked(self, digest: str, wait_s_max: float = _WAIT_S_MAX) -> Iterator[int]:
        """Alone with this environment; Unavailable if another process has it for too long. Yields the lock's file."""
        (self.root / "locks").mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + wait_s_max
        with (self.root / "locks" / digest).open("w") as file:
            while not _lock(file.fileno()):
                if time.monotonic() >= until:
                    raise Unavailable(
                        f"environment {digest[:12]} is being built by another process for "
                        f"{wait_s_max / 60:.0f} minutes; look at that one, then deploy again"
                    )
                time.sleep(0.1)
            yield file.fileno()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unavailable(
                f"environments cannot be kept in {self.root}: {error}; make room or give rights"
            ) from error

    def _needed_by_all(self, needed: Collection[str], home: Path) -> set[str]:
        notes = self.root / "needed"
        notes.mkdir(parents=True, exist_ok=True)
        own = notes / hashlib.sha256(str(home.absolute()).encode()).hexdigest()[:16]
        own.write_text("\n".join(needed))
        kept: set[str] = set()
        for note in notes.iterdir():
            if note.stat().st_mtime < time.time() - _NEEDED_S:
                note.unlink(missing_ok=True)
            else:
                kept.update(note.read_text().split())
        return kept

    def _remove(self, digest: str, unused_s: float) -> bool:
        """Whether it was removed: not if somebody builds it, or used it lately."""
        with suppress(Unavailable), self._locked(digest, wait_s_max=0.0):
            marker = self.root / digest / MARKER
            if marker.is_file() and marker.stat().st_mtime > time.time() - unused_s:
                return False
            marker.unlink(missing_ok=True)  # from here on it is half built
            shutil.rmtree(self.root / digest, ignore_errors=True)
            return True
        return False

    def _forget_resolved(self, older_than_s: float) -> None:
        for file in (self.root / "resolved").glob("*"):
            if file.stat().st_mtime < time.time() - older_than_s:
                file.unlink(missing_ok=True)


def facts(root: Path) -> Facts:
    """What a folder of environments holds: how many, how large, how many of them half built."""
    return Environments(root).facts()


def digest_of(pins: Sequence[str], python: str) -> str:
    """The name of an environment: the same packages for the same Python on the same kind of machine are the same."""
    made_of = [python, sysconfig.get_platform(), platform.libc_ver()[0], sorted(pins)]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _compile(python: Path, packages: Path, lock: int) -> None:
    """Packages hold files that do not compile, and do without; time is limited as for all of the build."""
    command: list[str | Path] = [python, *COMPILE, packages]
    try:
        subprocess.run(command, capture_output=True, timeout=_BUILD_S_MAX, env={}, pass_fds=[lock])  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"the environment was not compiled in {_BUILD_S_MAX:g} s; try again") from error


def _try_numpy(python: Path, packages: dict[str, str]) -> None:
    """Models exchange arrays with payoff, so NumPy must import; where it does not, hardly anything would."""
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter that was just made
            [python, "-I", "-c", "import numpy"], capture_output=True, text=True, timeout=120.0, env={}
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable("the environment was built, but NumPy was not imported in 120 s; try again") from error
    if done.returncode != 0:
        raise BadInput(
            f"the environment was built, but NumPy {packages.get('numpy', '')} does not import in it: "
            f"{done.stderr.strip()[-500:]}. Ask for another release of NumPy"
        )


def _size(folder: Path) -> int:
    return sum(entry.lstat().st_size for entry in folder.rglob("*"))
