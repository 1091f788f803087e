"""CatBoost model files (.cbm), as `save_model` writes them. Pickles of its models are `pickle.py`'s."""

from __future__ import annotations

import re
from pathlib import Path

from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.pickle import TREES

_RELEASE = re.compile(rb"(?:CatBoost release |tags/v)(\d+\.\d+(?:\.\d+)*)")


class CatBoost:
    """Recognised here, asked in its own framework, served as ONNX where that agrees."""

    name = "catboost"
    takes = "a CatBoost model (.cbm, from save_model)"

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(b"CBM1")

    def prepare(self, arrival: Arrival) -> Prepared:
        """In an environment with the release of CatBoost that wrote the file, where the file tells."""
        found = _RELEASE.search(arrival.path.read_bytes())
        wanted = f"catboost=={found[1].decode()}" if found else "catboost"
        return prepare_native(arrival, "catboost", [wanted], convert=TREES)


FLAVOR = CatBoost()
