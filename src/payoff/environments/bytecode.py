"""Bytecode, so that no model's start compiles: of each release once for all environments, and of no package's tests.

To compile what scikit-learn needs takes some 14 s of computing, to install it a fraction of one. An environment has
the same releases as others mostly, and uv links their files to one place: where source and Python are the same, so is
the bytecode, and it is linked too. Python itself looks whether the source is the one that it was compiled from.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

# No model runs the tests of the packages that it needs, which are a third to a half of their code.
_TESTS = r"/site-packages/(.*/)?tests?/"
COMPILE = ("-I", "-m", "compileall", "-qq", "-j", "0", "-x", _TESTS)


def lend(
    ours: Path, packages: Mapping[str, str], lenders: Sequence[tuple[Path, Mapping[str, str]]], python: str
) -> None:
    """Link the bytecode that other environments have of these packages (name -> version) into the one in `ours`.

    `lenders` are environments of the same Python (`python`, its version), each with its packages. What cannot be linked
    is left to be compiled.
    """
    into, tag = site_packages(ours, python), "cpython-" + "".join(python.split(".")[:2])
    for package in packages.items():
        lender = next((folder for folder, theirs in lenders if package in theirs.items()), None)
        if lender is not None:
            lent = site_packages(lender, python)
            for source in _sources(into, *package):
                with suppress(OSError):  # it has none, is being removed, or is on another disk
                    _link(into / source, lent / source, tag)


def site_packages(environment: Path, python: str) -> Path:
    """Where the packages of an environment of this version of Python are."""
    return environment / "lib" / f"python{'.'.join(python.split('.')[:2])}" / "site-packages"


def _sources(into: Path, name: str, version: str) -> Iterator[str]:
    """The Python files of a package, as it lists them itself."""
    record = into / f"{name.replace('-', '_')}-{version}.dist-info" / "RECORD"
    with suppress(OSError), record.open(newline="") as lines:
        files = (row[0] for row in csv.reader(lines) if row)
        yield from (file for file in files if file.endswith(".py") and not re.search(_TESTS, f"/site-packages/{file}"))


def _link(ours: Path, theirs: Path, tag: str) -> None:
    """Only where both sources are one file, or the bytecode could be of another."""
    if ours.samefile(theirs):
        compiled = f"__pycache__/{theirs.stem}.{tag}.pyc"
        (ours.parent / "__pycache__").mkdir(exist_ok=True)
        os.link(theirs.parent / compiled, ours.parent / compiled)
