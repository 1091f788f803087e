"""Operations that do more with nulls than pass them on: three-valued logic, case, in, coalesce and their kind.

Each takes the closures of its arguments and gives its own; see `vectors` for what a closure answers.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from payoff.expressions.operators import each
from payoff.expressions.tree import Call, Literal
from payoff.records import Column, Columns, Type

Batch = Mapping[str, Columns | Column | None]
Vector = tuple[Any, Any]  # values, valid
Run = Callable[[Batch], Vector]

_SET_MIN = 8  # constants in a list worth a set


def both(valid: Any, known: Any) -> Any:
    """Valid where both are; None is everywhere."""
    if valid is None:
        return known
    return valid if known is None else valid & known


def _sum(node: Call, args: list[Run]) -> Run:
    first, *rest = args
    steps = list(zip((np.subtract if minus else np.add for minus in node.extra[1:]), rest, strict=True))

    def run(batch: Batch) -> Vector:
        values, valid = first(batch)
        for step, term in steps:
            others, known = term(batch)
            values, valid = step(values, others), both(valid, known)
        return values, valid

    return run


def _and(node: Call, args: list[Run]) -> Run:
    first, *rest = args

    def run(batch: Batch) -> Vector:
        state = first(batch)
        for part in rest:
            state = conjunction(state, part(batch))
        return state

    return run


def conjunction(left: Vector, right: Vector) -> Vector:
    """False if either is false, else null if either is null."""
    (a, a_known), (b, b_known) = left, right
    if a_known is None and b_known is None:
        return a & b, None
    a_known, b_known = (True if known is None else known for known in (a_known, b_known))
    return a & b, (a_known & b_known) | (a_known & ~a) | (b_known & ~b)


def _or(node: Call, args: list[Run]) -> Run:
    first, *rest = args

    def run(batch: Batch) -> Vector:
        state = first(batch)
        for part in rest:
            state = _disjunction(state, part(batch))
        return state

    return run


def _disjunction(left: Vector, right: Vector) -> Vector:
    (a, a_known), (b, b_known) = left, right
    if a_known is None and b_known is None:
        return a | b, None
    values, known = conjunction((~a, a_known), (~b, b_known))
    return ~values, known


def _between(node: Call, args: list[Run]) -> Run:
    subject, low, high = args

    def run(batch: Batch) -> Vector:
        values, valid = subject(batch)
        lowest, low_known = low(batch)
        highest, high_known = high(batch)
        return conjunction(
            (np.greater_equal(values, lowest), both(valid, low_known)),
            (np.less_equal(values, highest), both(valid, high_known)),
        )

    return run


def _is_null(node: Call, args: list[Run]) -> Run:
    inner = args[0]

    def run(batch: Batch) -> Vector:
        values, valid = inner(batch)
        return np.zeros(np.shape(values), bool) if valid is None else ~valid, None

    return run


def _in(node: Call, args: list[Run]) -> Run:
    if len(args) > _SET_MIN and all(isinstance(item, Literal) and item.value is not None for item in node.args[1:]):
        return _in_set(node, args[0])
    subject, *items = args

    def run(batch: Batch) -> Vector:
        values, valid = subject(batch)
        state: Vector = (np.asarray(False), None)
        for item in items:
            others, known = item(batch)
            state = _disjunction(state, (np.equal(values, others), both(valid, known)))
        return state

    return run


def _in_set(node: Call, subject: Run) -> Run:
    constants = [item.value for item in node.args[1:] if isinstance(item, Literal)]
    if node.args[0].type is Type.TEXT:
        return _strict_one(each(frozenset(constants).__contains__, bool), subject)
    sought = np.array(constants, cast(Type, node.args[1].type).dtype)
    return _strict_one(lambda values: np.isin(values, sought), subject)


def _strict_one(function: Callable[[Any], Any], inner: Run) -> Run:
    def run(batch: Batch) -> Vector:
        values, valid = inner(batch)
        return function(values), valid

    return run


def _case(node: Call, args: list[Run]) -> Run:
    """The arguments are condition, value, condition, value, ..., otherwise."""
    *pairs, otherwise = args
    cases = list(zip(pairs[-2::-2], pairs[::-2], strict=True))  # from the last to the first, which wins

    def run(batch: Batch) -> Vector:
        state = otherwise(batch)
        for condition, value in cases:
            met, known = condition(batch)
            state = chosen(met if known is None else met & known, value(batch), state)
        return state

    return run


def chosen(met: Any, then: Vector, otherwise: Vector) -> Vector:
    """The one where `met`, the other elsewhere."""
    (a, a_known), (b, b_known) = then, otherwise
    values = np.where(met, a, b)
    if a_known is None and b_known is None:
        return values, None
    return values, np.where(met, True if a_known is None else a_known, True if b_known is None else b_known)


def _switch(node: Call, args: list[Run]) -> Run:
    """The arguments are subject, value, result, value, result, ..., otherwise."""
    subject, *pairs, otherwise = args
    cases = list(zip(pairs[-2::-2], pairs[::-2], strict=True))

    def run(batch: Batch) -> Vector:
        values, valid = subject(batch)
        state = otherwise(batch)
        for value, result in cases:
            others, known = value(batch)
            known = both(valid, known)
            same = np.equal(values, others)
            state = chosen(same if known is None else same & known, result(batch), state)
        return state

    return run


def _coalesce(node: Call, args: list[Run]) -> Run:
    first, *rest = args

    def run(batch: Batch) -> Vector:
        state = first(batch)
        for other in rest:
            if state[1] is None:
                return state
            state = chosen(state[1], (state[0], None), other(batch))
        return state

    return run


def _nullif(node: Call, args: list[Run]) -> Run:
    def run(batch: Batch) -> Vector:
        values, valid = args[0](batch)
        others, known = args[1](batch)
        same = np.equal(values, others)
        differs = ~same if known is None else ~(same & known)
        return values, both(valid, differs)

    return run


def _extreme(better: Callable[[Any, Any], Any]) -> Callable[[Call, list[Run]], Run]:
    """least and greatest: nulls do not take part, unless all are null."""

    def form(node: Call, args: list[Run]) -> Run:
        first, *rest = args

        def run(batch: Batch) -> Vector:
            state = first(batch)
            for other in rest:
                state = _better(better, state, other(batch))
            return state

        return run

    return form


def _better(better: Callable[[Any, Any], Any], best: Vector, other: Vector) -> Vector:
    (a, a_known), (b, b_known) = best, other
    wins = better(b, a)
    if b_known is not None:
        wins = wins & b_known
    if a_known is not None:
        wins = wins | ~a_known
    values, known = chosen(wins, other, best)
    return values, known


FORMS: dict[str, Callable[[Call, list[Run]], Run]] = {
    "sum": _sum,
    "and": _and,
    "or": _or,
    "between": _between,
    "is null": _is_null,
    "in": _in,
    "case": _case,
    "switch": _switch,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "least": _extreme(np.less),
    "greatest": _extreme(np.greater),
}
