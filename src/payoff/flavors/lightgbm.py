"""LightGBM model files: the text that `save_model` writes. Pickles of its models are `pickle.py`'s.

The text says which layout it has (v3, v4) and not which release wrote it; releases read the layouts before their own.
"""

from __future__ import annotations

from pathlib import Path

from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.native import prepare_native
from payoff.flavors.pickle import TREES


class LightGBM:
    """Recognised here, asked in its own framework, served as ONNX where that agrees."""

    name = "lightgbm"
    takes = "a LightGBM model (text, from Booster.save_model)"

    def recognises(self, path: Path, head: bytes) -> bool:
        lines = head[:64].splitlines()
        return len(lines) > 1 and lines[0] == b"tree" and lines[1].startswith(b"version=v")

    def prepare(self, arrival: Arrival) -> Prepared:
        """In an environment with LightGBM as it is now."""
        return prepare_native(arrival, "lightgbm", ["lightgbm>=4"], convert=TREES)


FLAVOR = LightGBM()
