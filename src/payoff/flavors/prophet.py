"""Prophet's own JSON (prophet.serialize.model_to_json); a pickled Prophet is a pickle."""

from __future__ import annotations

import os
import re
from pathlib import Path

from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native

_TAIL_BYTES = 4096
_VERSION = re.compile(rb'"__prophet_version":\s*"(\d+(?:\.\d+)*)"')


class Prophet:
    """A forecast that says itself what it takes: a moment, and its regressors."""

    name = "prophet"
    takes = "a Prophet model as JSON (prophet.serialize.model_to_json)"

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(b'{"growth":') and b'"n_changepoints":' in head

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served by the Prophet that wrote it."""
        version = _version(arrival.path)
        return prepare_native(arrival, "prophet", (f"prophet=={version}" if version else "prophet", "pandas"))


def _version(path: Path) -> str:
    """What the end of the file says."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        found = _VERSION.search(file.read())
    return found[1].decode() if found else ""


FLAVOR = Prophet()
