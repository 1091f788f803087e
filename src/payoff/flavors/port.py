"""One input or output of a model that works on tensors: a graph's, or a server's."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from payoff.records.signature import Type


@dataclass(frozen=True, slots=True)
class Port:
    """`dims` are those of one row; None where they are left open.

    `batch` is None where any number of rows goes, or the number of rows that a graph was fixed to.
    `maps`: not a tensor but one dictionary per row, class -> probability (skl2onnx's ZipMap).
    """

    name: str
    type: Type
    dtype: np.dtype[Any]  # as the model wants it: float16 where Type can only say float32
    dims: tuple[int | None, ...]
    batch: int | None = None
    maps: bool = False
