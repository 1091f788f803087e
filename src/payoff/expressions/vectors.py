"""A checked tree, compiled once into closures over NumPy columns: the hot path.

A closure answers (values, valid): arrays over the rows, or zero-dimensional where no column takes part; valid None is
"no null". Nulls hold any value of the dtype. Nothing here raises or warns, whatever the data.
"""

import math
import threading
from collections.abc import Callable
from contextvars import Context
from datetime import date
from typing import Any, cast

import numpy as np

from payoff.expressions.forms import FORMS, Batch, Run, Vector, both
from payoff.expressions.operators import OPERATORS
from payoff.expressions.tree import Call, Literal, Node, Ref, has_column
from payoff.records import Column, Type

_DOT_ROWS_MAX = 4_096  # over this BLAS may start threads
_EPOCH = {Type.DATE: np.datetime64(0, "D"), Type.TIMESTAMP: np.datetime64(0, "us")}
_RANGE = {
    Type.DATE: (np.datetime64(date.min, "D"), np.datetime64(date.max, "D")),
    Type.TIMESTAMP: (np.datetime64("0001-01-01", "us"), np.datetime64("9999-12-31T23:59:59.999999", "us")),
}


class _Quiet(threading.local):
    """A context per thread in which NumPy warns of nothing; entering it costs a tenth of np.errstate."""

    def __init__(self) -> None:
        self.context = Context()
        self.context.run(np.seterr, all="ignore")


_quiet = _Quiet()


def evaluate(run: Run, dtype: np.dtype[Any], batch: Batch) -> Column:
    """The expression's value for every row."""
    values, valid = _quiet.context.run(run, batch)
    if values.ndim == 0 or (valid is not None and valid.ndim == 0):
        values, valid = _spread(values, valid, _rows(batch), dtype)
    return Column(values, None if valid is None or valid.all() else valid)


def _spread(values: Any, valid: Any, rows: int, dtype: np.dtype[Any]) -> Vector:
    wide = np.empty(rows, dtype)
    wide[...] = values
    return wide, None if valid is None else np.broadcast_to(valid, (rows,)).copy()


def _rows(batch: Batch) -> int:
    for source in batch.values():
        if isinstance(source, Column):
            return len(source)
        if source:
            return len(next(iter(source.values())))
    return 0


def compiled(node: Node) -> Run:
    """The closure of a tree; what depends on no column is evaluated here and now."""
    run = _compiled(node)
    if has_column(node):
        return run
    values, valid = _quiet.context.run(run, {})
    constant = (np.asarray(values, cast(Type, node.type).dtype), None if valid is None else np.asarray(valid))
    return lambda batch: constant


def _compiled(node: Node) -> Run:
    if isinstance(node, Literal):
        return _literal(node)
    if isinstance(node, Ref):
        return _ref(node)
    args = [compiled(arg) for arg in node.args]
    if node.op == "finite":
        return _finite(node, args)
    return FORMS[node.op](node, args) if node.op in FORMS else _strict(node, args)


def _scalar(value: Any, type: Type) -> Any:
    scalar = np.empty((), type.dtype)
    scalar[()] = value
    return scalar


def zero(type: Type) -> Any:
    """What stands at a null: any value of the type would do."""
    return _scalar("" if type is Type.TEXT else _EPOCH.get(type, 0), type)


def _literal(node: Literal) -> Run:
    type = cast(Type, node.type)
    null = node.value is None
    constant = (zero(type) if null else _scalar(node.value, type), np.asarray(False) if null else None)
    return lambda batch: constant


def _ref(node: Ref) -> Run:
    source, name, dtype = node.source, node.name, cast(Type, node.type).dtype
    element = (slice(None), *(i - 1 for i in node.index))
    absent = (zero(cast(Type, node.type)), np.asarray(False))
    text, plain = node.type is Type.TEXT, not node.index

    def run(batch: Batch) -> Vector:
        found: Any = batch[source]
        column = found if source == "decision" else found[name]
        if column is None:
            return absent
        values, valid = column.values, column.valid
        if not plain:
            values = values[element]
        if values.dtype != dtype:
            values = values.astype(dtype)
        if text and valid is not None:
            values = np.where(valid, values, "")  # at a null there may be None, which has no order and no length
        return values, valid

    return run


def _strict(node: Call, args: list[Run]) -> Run:
    operator = OPERATORS[node.op]
    extra = () if node.extra is None else (node.extra,)
    function: Callable[..., Any] = operator.values
    if operator.partial:
        return _partial(function, args[0])
    if len(args) == 2:
        return _binary(function, *args)
    first = args[0]

    def run(batch: Batch) -> Vector:
        values, valid = first(batch)
        return function(values, *extra), valid

    return run


def _binary(function: Callable[..., Any], left: Run, right: Run) -> Run:
    def run(batch: Batch) -> Vector:
        values, valid = left(batch)
        others, known = right(batch)
        return function(values, others), both(valid, known)

    return run


def _partial(function: Callable[..., Any], inner: Run) -> Run:
    def run(batch: Batch) -> Vector:
        values, valid = inner(batch)
        results, known = function(values)
        return results, both(valid, known)

    return run


def _finite(node: Call, args: list[Run]) -> Run:
    return _finite_floats(args[0]) if node.type is Type.FLOAT64 else _finite_dates(cast(Type, node.type), args[0])


def _finite_floats(inner: Run) -> Run:
    def run(batch: Batch) -> Vector:
        values, valid = inner(batch)
        # The sum of squares is finite only if every value is: one pass and a tenth of the cost, for small batches.
        if values.ndim and values.size <= _DOT_ROWS_MAX and math.isfinite(values.dot(values)):
            return values, valid
        known = np.isfinite(values)
        return values, valid if known.all() else both(valid, known)

    return run


def _finite_dates(type: Type, inner: Run) -> Run:
    first, last = _RANGE[type]

    def run(batch: Batch) -> Vector:
        values, valid = inner(batch)
        known = (values >= first) & (values <= last)
        return (values, valid) if known.all() else (np.where(known, values, _EPOCH[type]), both(valid, known))

    return run
