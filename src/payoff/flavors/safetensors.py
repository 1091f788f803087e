"""Safetensors: weights alone. With the config.json that belongs to them they are a model, so the folder is deployed."""

from __future__ import annotations

import struct
from pathlib import Path

from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared

_HEADER_BYTES_MAX = 100 << 20


class Safetensors:
    """One file of weights; recognised so that its owner learns what is missing."""

    name = "safetensors"
    takes = "safetensors, in the folder with their config.json"

    def recognises(self, path: Path, head: bytes) -> bool:
        if len(head) < 10:
            return False
        (size,) = struct.unpack_from("<Q", head)
        return 2 <= size <= _HEADER_BYTES_MAX and head[8:10] == b'{"' and size + 8 <= path.stat().st_size

    def prepare(self, arrival: Arrival) -> Prepared:
        """Refused: weights do not say what is computed with them."""
        raise BadInput(
            f"{arrival.path.name} holds weights and no architecture; deploy the folder that has config.json (and the "
            "tokenizer) beside it: payoff deploy FOLDER. For a network of your own export it with torch.export, or "
            "deploy a folder with model.py that builds it"
        )


FLAVOR = Safetensors()
