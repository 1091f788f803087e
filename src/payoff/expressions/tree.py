"""The checked tree: every node has a type, and what may be NaN or infinite is marked until it is made null.

Arithmetic keeps IEEE's infinities and NaN inside (x / 0, overflow, ln(-1)), so that neither NumPy nor DuckDB pays for a
test per operation; `finite` turns them into null where a value is compared, tested, or leaves.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from payoff.records import Type

DATES = (Type.DATE, Type.TIMESTAMP)


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; None is null. Dates are np.datetime64. `type` is None for a null nobody has given a type yet."""

    value: Any
    type: Type | None


@dataclass(frozen=True, slots=True)
class Ref:
    """A column, or one element of a tensor column: `index` counts from 1. `type` None: not inferred yet."""

    source: str
    name: str
    type: Type | None
    index: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """An operation. `raw`: its floats may be NaN or infinite, which means null. `extra` is a constant of the op."""

    op: str
    args: tuple["Node", ...]
    type: Type | None
    raw: bool = False
    extra: Any = None


Node = Literal | Ref | Call


def finite(node: Node) -> Node:
    """The same value, with what is no number (NaN, infinity) or no date (outside the years 1 to 9999) as null."""
    raw = node.raw if isinstance(node, Call) else isinstance(node, Ref)
    return Call("finite", (node,), node.type) if raw and node.type in (Type.FLOAT64, *DATES) else node


def is_raw(node: Node) -> bool:
    """Whether `finite` still has something to do."""
    return finite(node) is not node


def common(types: set[Type]) -> Type | None:
    """The one type that values of all these types can take, or None: integers with floats become floats."""
    if len(types) == 1:
        return next(iter(types))
    if all(type.is_number for type in types):
        return Type.FLOAT64
    return Type.TIMESTAMP if types == set(DATES) else None


def widened(type: Type) -> Type:
    """The type in which a column takes part: int8 to uint32 as int64, float32 as float64, both exactly."""
    if type.is_integer:
        return Type.UINT64 if type is Type.UINT64 else Type.INT64
    return Type.FLOAT64 if type.is_float else type


def coerce(node: Node, type: Type) -> Node:
    """The node as `type`, which is its own or one `common` chose."""
    if node.type is type:
        return node
    if isinstance(node, Literal):
        return Literal(_converted(node.value, type), type)
    return Call("to_double" if type is Type.FLOAT64 else "to_timestamp", (finite(node),), type)


def _converted(value: Any, type: Type) -> Any:
    if value is None:
        return None
    return float(value) if type is Type.FLOAT64 else np.datetime64(value, "us")


def same(nodes: list[Node]) -> list[Node] | None:
    """All nodes in their common type; None if there is none. Nodes without a type are left as they are."""
    types = {node.type for node in nodes if node.type is not None}
    if types == {Type.INT64, Type.UINT64}:
        nodes = [_unsigned(node) for node in nodes]
        types = {node.type for node in nodes if node.type is not None}
    kind = common(types) if types else None
    if types and kind is None:
        return None
    return [node if kind is None or node.type is None else coerce(node, kind) for node in nodes]


def _unsigned(node: Node) -> Node:
    """A constant like 5 is as good a uint64 as an int64."""
    fits = isinstance(node, Literal) and node.type is Type.INT64 and (node.value is None or node.value >= 0)
    return Literal(node.value, Type.UINT64) if fits and isinstance(node, Literal) else node


def has_column(node: Node) -> bool:
    """Whether the value depends on any row at all."""
    return isinstance(node, Ref) or (isinstance(node, Call) and any(map(has_column, node.args)))
