"""Several answers to the same rows made one: mean, median, smallest, largest, or a vote. Nulls do not count."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.errors import BadInput
from payoff.records.columns import Column
from payoff.records.merge import common
from payoff.records.signature import Field, Type

_PLAIN: dict[str, Any] = {"mean": np.mean, "median": np.median, "min": np.min, "max": np.max}
WAYS = (*_PLAIN, "vote")


def joined(way: str, name: str, given: Sequence[Field]) -> Field:
    """The field that a way of joining makes of these; BadInput if they cannot be joined so."""
    first = given[0]
    if any(field.shape != first.shape for field in given):
        raise BadInput(f"{way} takes answers of one shape, and {name} is {', '.join(map(str, given))}")
    nullable = all(field.nullable for field in given)
    kind = first.type
    for field in given[1:]:
        wide = common(kind, field.type)
        if wide is None:
            raise BadInput(f"{way} takes answers of one kind, and {name} is {', '.join(map(str, given))}")
        kind = wide
    if way == "vote":
        if kind.is_float or first.shape:
            raise BadInput(f"vote takes labels (text, bool, whole numbers), and {name} is {first}; take mean or median")
        return Field(name, kind, (), nullable)
    if not kind.is_number:
        raise BadInput(f"{way} takes numbers, and {name} is {first}; take vote")
    return Field(name, Type.FLOAT64 if way in ("mean", "median") else kind, first.shape, nullable)


def join(way: str, field: Field, columns: Sequence[Column]) -> Column:
    """The answers joined; a row is null only where every answer is."""
    known = np.array([np.ones(len(column), bool) if column.valid is None else column.valid for column in columns])
    valid: NDArray[np.bool_] | None = None if known.all() else np.asarray(known.any(axis=0), bool)
    if way == "vote":
        return Column(_vote(field.type, columns, known), valid)
    values = np.array([column.values.astype(field.type.dtype) for column in columns])
    if known.all():
        return Column(_PLAIN[way](values, axis=0).astype(field.type.dtype, copy=False))
    there = known.reshape(*known.shape, *(1,) * (values.ndim - 2))
    return Column(_with_nulls(way, values, there).astype(field.type.dtype, copy=False), valid)


def _with_nulls(way: str, values: NDArray[Any], there: NDArray[Any]) -> NDArray[Any]:
    if way in ("min", "max"):
        pick = np.minimum if way == "min" else np.maximum
        pairs = zip(values, np.broadcast_to(there, values.shape), strict=True)
        least: NDArray[Any] = reduce(lambda a, b: _either(pick, a, b), pairs)[0]
        return least
    sunk = np.where(there, values, np.nan)
    rows = np.broadcast_to(there, values.shape).any(axis=0)
    sunk[:, ~rows] = 0.0  # nobody answered: what stands at a null means nothing
    found: NDArray[Any] = np.nanmean(sunk, axis=0) if way == "mean" else np.nanmedian(sunk, axis=0)
    return found


def _either(pick: Any, one: tuple[NDArray[Any], Any], other: tuple[NDArray[Any], Any]) -> tuple[NDArray[Any], Any]:
    (a, a_known), (b, b_known) = one, other
    both = a_known & b_known
    return np.where(both, pick(a, b), np.where(a_known, a, b)), a_known | b_known


def _vote(kind: Type, columns: Sequence[Column], known: NDArray[np.bool_]) -> NDArray[Any]:
    """The label with the most votes; of several, the one that is named first."""
    values = [column.values.astype(kind.dtype) for column in columns]
    votes = np.zeros(known.shape, np.int64)
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            votes[i] += np.asarray(one == other, bool) & known[i] & known[j]
    first = votes.argmax(axis=0)
    picked: NDArray[Any] = np.array(values, kind.dtype)[first, np.arange(len(first))]
    return picked
