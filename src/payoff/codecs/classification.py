"""The classification extension of Triton: the highest elements of each row of an output, as "score:index" texts.

https://github.com/triton-inference-server/server, extension_classification: the output becomes BYTES of the shape
[n, k]. A score is written as C's `%f` writes it, with six digits, or as a whole number where the output is one.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.codecs.checks import shorten
from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.signature import Field, Type


def classes(asked: Any, name: str) -> int:
    """How many classes an output's parameter asks for; BadInput if it is no number of them."""
    if type(asked) is not int or asked < 1:
        raise BadInput(f"output {shorten(name)}: classification is {shorten(asked)}; expected how many classes, from 1")
    return asked


def classified(field: Field, most: int) -> Field:
    """The field that an output becomes; BadInput if its values have no order of height."""
    if not field.type.is_number:
        raise BadInput(f"output {field.name!r} is {field}; only numbers can be classified: ask for the output itself")
    return Field(field.name, Type.TEXT, (min(most, prod(field.shape)),), field.nullable)


def classify(field: Field, column: Column, most: int) -> Column:
    """For each row the `most` highest elements, the highest first; of equal ones the first first, and NaN last."""
    size = prod(field.shape)
    flat = column.values.reshape(len(column), size)
    order = _descending(flat)[:, :most]
    scores = np.take_along_axis(flat, order, axis=1)
    form = "%f:%d" if field.type.is_float else "%d:%d"
    texts = np.empty(order.size, object)
    texts[:] = [form % pair for pair in zip(scores.reshape(-1).tolist(), order.reshape(-1).tolist(), strict=True)]
    return Column(texts.reshape(order.shape), column.valid)


def _descending(flat: NDArray[Any]) -> NDArray[np.intp]:
    """The places of each row's elements, the highest first. Whole numbers are turned round twice: the lowest has no
    negative of its type, and NumPy's sort ascends."""
    if flat.dtype.kind == "f":
        return np.argsort(-flat, axis=1, kind="stable")
    places: NDArray[np.intp] = flat.shape[1] - 1 - np.argsort(flat[:, ::-1], axis=1, kind="stable")[:, ::-1]
    return places
