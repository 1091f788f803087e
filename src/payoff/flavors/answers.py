"""Tensors that a graph gives, into named columns.

Names. A classifier made by skl2onnx and its relatives (two outputs, `label` or `output_label`, then `probabilities`,
`output_probability` or `probability`, as [N, k] or as ZipMap's dictionaries) answers `label` and `probability` (of the
second class) where k is 2, else `label` and `probabilities`. A regressor of theirs (one output, `variable`) answers
`prediction`. Every other graph keeps its own names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.port import Port
from payoff.records.columns import Column
from payoff.records.signature import Field

_LABELS = ("label", "output_label")
_SCORES = ("probabilities", "output_probability", "probability")

OWN_PREFIX = "payoff."  # before a name of ours in a converted graph, where the plain name was taken

Reader = Callable[[Sequence[Any], int], dict[str, Column]]


class How(Enum):
    """What is done with one output."""

    AS_IS = "as it is"
    SECOND = "the second column of it"


@dataclass(frozen=True, slots=True)
class Give:
    """One output column: what it is called, and which port it comes from."""

    name: str
    port: Port
    how: How = How.AS_IS


def gives(ports: Sequence[Port], classes: int | None) -> tuple[Give, ...]:
    """The columns that a graph's outputs become; `classes` is the width of the second output, where it has one."""
    if _is_classifier(ports):
        label, scores = ports
        second = Give("probability", scores, How.SECOND) if classes == 2 else Give("probabilities", scores)
        return Give("label", label), second
    if [port.name for port in ports] == ["variable"]:
        return (Give("prediction", ports[0]),)
    return tuple(Give(_plain(port.name), port) for port in ports)


def _plain(name: str) -> str:
    while name.startswith(OWN_PREFIX):
        name = name.removeprefix(OWN_PREFIX)
    return name


def fields_of(given: Sequence[Give], results: Sequence[Any], n: int) -> tuple[Field, ...]:
    """The output fields, with the shapes that a run over `n` rows really had."""
    return tuple(_field(give, result, n) for give, result in zip(given, results, strict=True))


def width(ports: Sequence[Port], results: Sequence[Any]) -> int | None:
    """How many columns a classifier's second output has, learned from a run."""
    if not _is_classifier(ports):
        return None
    scores = results[1]
    return len(scores[0]) if ports[1].maps else int(scores.shape[1])


def reader(given: Sequence[Give], fields: Sequence[Field]) -> Reader:
    """How results of a run become columns; ModelFailed if the signature is of another graph."""
    if [give.name for give in given] != [field.name for field in fields]:
        raise ModelFailed(
            f"the graph answers {', '.join(give.name for give in given)}, "
            f"and the signature has {', '.join(field.name for field in fields)}; deploy the model again"
        )
    plan = [(field.name, _taker(give, field)) for give, field in zip(given, fields, strict=True)]

    def read(results: Sequence[Any], n: int) -> dict[str, Column]:
        return {name: take(result, n) for (name, take), result in zip(plan, results, strict=True)}

    return read


def empty(fields: Sequence[Field]) -> dict[str, Column]:
    """The answer to no rows."""
    return {field.name: Column(np.empty((0, *field.shape), field.type.dtype)) for field in fields}


def _is_classifier(ports: Sequence[Port]) -> bool:
    if len(ports) != 2 or ports[0].name not in _LABELS or ports[1].name not in _SCORES:
        return False
    return ports[1].maps or (ports[1].type.is_float and len(ports[1].dims) == 1)


def _taker(give: Give, field: Field) -> Callable[[Any, int], Column]:
    name, shape, dtype, size = field.name, field.shape, field.type.dtype, prod(field.shape)
    cast, second, maps = give.port.dtype != dtype, give.how is How.SECOND, give.port.maps

    def take(result: Any, n: int) -> Column:
        values = _from_maps(result) if maps else result
        if len(values) != n:
            raise ModelFailed(f"the model got {n} rows and answered {len(values)} in {name!r}")
        if second:
            values = values[:, 1]
        if values.shape[1:] != shape:
            if values.size != n * size:
                raise ModelFailed(f"{name!r} came as {_shape(values)} per row; the signature says {_text(shape)}")
            values = values.reshape(n, *shape)
        return Column(values.astype(dtype) if cast else values)

    return take


def _field(give: Give, result: Any, n: int) -> Field:
    values = _from_maps(result) if give.port.maps else np.asarray(result)
    if values.ndim == 0 or len(values) != n:
        got = "a single value" if values.ndim == 0 else f"{len(values)} rows"
        raise ModelFailed(f"the model got {n} rows and answered {got} in {give.name!r}; it must answer row by row")
    shape = values.shape[2:] if give.how is How.SECOND else values.shape[1:]
    if 0 in shape:
        raise BadInput(f"output {give.name!r} of the model is empty: {_shape(values)} per row")
    return Field(give.name, give.port.type, () if shape == (1,) else shape)


def _from_maps(result: Any) -> NDArray[Any]:
    """One dictionary per row, keys in order of class, as a matrix."""
    return np.array([list(row.values()) for row in result], np.float32)


def _shape(values: NDArray[Any]) -> str:
    return _text(values.shape[1:])


def _text(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
