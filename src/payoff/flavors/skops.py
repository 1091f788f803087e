"""skops files: scikit-learn models with a list of their parts, which is read before anything is opened.

What the list names is held to the same rules as what a pickle names (`scan_names.py`).
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.pickle import prepared, refuse_absent
from payoff.flavors.scan import Scanned, refuse_dangerous

_LIST, _BYTES_MAX = "schema.json", 256 << 20
_VERSION = re.compile(r'"_sklearn_version":\s*\{[^{}]*"content":\s*"\\"([\w.]+)\\""')


class Skops:
    """Recognised by the list in the archive; then as a pickle of the same names would be."""

    name = "skops"
    takes = "a skops file of a fitted scikit-learn model"

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(b"PK\x03\x04") and is_skops(path)

    def prepare(self, arrival: Arrival) -> Prepared:
        """On the quick road, or with the release of scikit-learn that the file records."""
        scanned = listed(arrival.path)
        refuse_dangerous(scanned, arrival.path.name)
        refuse_absent(scanned, arrival)
        return prepared(arrival, scanned, "skops")


FLAVOR = Skops()


def is_skops(path: Path) -> bool:
    """A zip archive with skops' list in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _LIST in archive.namelist()


def listed(path: Path) -> Scanned:
    """The names of all parts, which of them are dangerous, and the release of scikit-learn that wrote them."""
    from payoff.flavors.scan_names import refused

    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(_LIST).file_size > _BYTES_MAX:
                raise BadInput(
                    f"{path.name} has a list of parts of more than {_BYTES_MAX:,} bytes; save it as a pickle"
                )
            text = archive.read(_LIST).decode("utf-8")
        names = set(_names(json.loads(text)))
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, RecursionError) as error:
        raise BadInput(f"{path.name} cannot be read as a skops file ({error}); save the model again") from error
    found = _VERSION.search(text)
    versions = {"scikit-learn": found[1]} if found else {}
    dangerous = tuple(f"{module}.{name}" for module, name in refused(names))
    return Scanned(dangerous, tuple(sorted(f"{module}.{name}" for module, name in names)), versions)


def _names(part: Any) -> Iterator[tuple[str, str]]:
    waiting = [part]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("__module__"), str) and isinstance(one.get("__class__"), str):
                yield one["__module__"], one["__class__"]
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
