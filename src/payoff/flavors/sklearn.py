"""`--flavor sklearn`: a scikit-learn model in whichever of its files, pickle, joblib or skops."""

from __future__ import annotations

from pathlib import Path

from payoff.flavors import pickle, skops
from payoff.flavors.flavor import Arrival, Prepared


class Sklearn:
    """Recognises nothing: the files are pickles or skops files, and are known as such."""

    name = "sklearn"
    takes = ""

    def recognises(self, path: Path, head: bytes) -> bool:
        return False

    def prepare(self, arrival: Arrival) -> Prepared:
        """As the file that it is."""
        return (skops.FLAVOR if skops.is_skops(arrival.path) else pickle.FLAVOR).prepare(arrival)


FLAVOR = Sklearn()
