"""A checked tree as DuckDB SQL. Only our own tree is rendered: every name and constant is quoted here.

Nothing in the SQL can throw, whatever the data: casts are TRY_CAST, domain errors are IEEE's NaN and infinity, which
`finite` makes null. It expects DuckDB's default `ieee_floating_point_ops`.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from payoff.expressions.operators import OPERATORS
from payoff.expressions.tree import Call, Literal, Node, Ref
from payoff.records import Type

_COPY_MAX = 300  # characters; a longer text is named by a lambda instead of written twice, so that SQL grows linearly
_TYPES = {
    Type.BOOL: "BOOLEAN",
    Type.INT64: "BIGINT",
    Type.UINT64: "UBIGINT",
    Type.FLOAT64: "DOUBLE",
    Type.TEXT: "VARCHAR",
    Type.DATE: "DATE",
    Type.TIMESTAMP: "TIMESTAMP",
}
_WHOLE = (Type.INT64, Type.UINT64)


def rendered(node: Node, prefix: Mapping[str, str]) -> str:
    """The SQL, of the type that `Type` says: whole numbers as BIGINT or UBIGINT, floats as DOUBLE."""
    text = _Renderer(prefix).sql(node)
    return f"TRY_CAST({text} AS {_TYPES[node.type]})" if node.type in _WHOLE else text


class _Renderer:
    def __init__(self, prefix: Mapping[str, str]) -> None:
        self.prefix = prefix
        self._named = 0

    def sql(self, node: Node) -> str:
        if isinstance(node, Literal):
            return literal(node)
        if isinstance(node, Ref):
            return self._ref(node)
        if node.op in _FORMS:
            return _FORMS[node.op](self, node)
        args = [self.sql(arg) for arg in node.args]
        return OPERATORS[node.op].sql.format(*args, extra=_extra(node.extra))

    def let(self, text: str, body: Callable[[str], str]) -> str:
        """`body` of a value it names more than once."""
        if len(text) <= _COPY_MAX:
            return body(text)
        self._named += 1
        name = f"payoff_{self._named}"
        return f"list_transform([{text}], lambda {name}: {body(name)})[1]"

    def _ref(self, node: Ref) -> str:
        column = self._column(node) + "".join(f"[{i}]" for i in node.index)
        if node.type is Type.UINT64:
            return f"TRY_CAST({column} AS UBIGINT)"
        # a timestamp may be stored with or without a time zone; its microseconds are UTC either way
        return f"make_timestamp({_epoch(column)})" if node.type is Type.TIMESTAMP else column

    def _column(self, node: Ref) -> str:
        if node.source == "decision":
            replaced = self.prefix.get("decision")
            return "decision" if replaced is None else f"TRY_CAST(({replaced}) AS {_TYPES[cast(Type, node.type)]})"
        return f"{self.prefix.get(node.source, node.source)}.{identifier(node.name)}"

    def finite(self, node: Call) -> str:
        inner = self.sql(node.args[0])
        if node.type is Type.FLOAT64:
            return self.let(inner, lambda it: f"CASE WHEN isfinite({it}) THEN {it} END")
        if node.type is Type.TIMESTAMP:
            return inner  # its range is in `_epoch`
        return self.let(
            inner, lambda it: f"CASE WHEN {it} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31' THEN {it} END"
        )

    def sum(self, node: Call) -> str:
        first, *rest = [self.sql(arg) for arg in node.args]
        signs = [" - " if minus else " + " for minus in node.extra[1:]]
        return f"({first}{''.join(sign + term for sign, term in zip(signs, rest, strict=True))})"

    def logic(self, node: Call) -> str:
        return f"({f' {node.op.upper()} '.join(self.sql(arg) for arg in node.args)})"

    def between(self, node: Call) -> str:
        subject, low, high = [self.sql(arg) for arg in node.args]
        return f"({subject} BETWEEN {low} AND {high})"

    def is_null(self, node: Call) -> str:
        return f"({self.sql(node.args[0])} IS NULL)"

    def in_list(self, node: Call) -> str:
        subject, *items = [self.sql(arg) for arg in node.args]
        return f"({subject} IN ({', '.join(items)}))"

    def case(self, node: Call) -> str:
        *pairs, otherwise = [self.sql(arg) for arg in node.args]
        return f"CASE {_whens(pairs)} ELSE {otherwise} END"

    def switch(self, node: Call) -> str:
        subject, *pairs, otherwise = [self.sql(arg) for arg in node.args]
        return self.let(subject, lambda it: f"CASE {it} {_whens(pairs)} ELSE {otherwise} END")

    def nullif(self, node: Call) -> str:
        value, other = [self.sql(arg) for arg in node.args]
        return self.let(value, lambda it: f"CASE WHEN {it} = {other} THEN NULL ELSE {it} END")

    def function(self, node: Call) -> str:
        return f"{node.op}({', '.join(self.sql(arg) for arg in node.args)})"


_FORMS: dict[str, Callable[[_Renderer, Call], str]] = {
    "finite": _Renderer.finite,
    "sum": _Renderer.sum,
    "and": _Renderer.logic,
    "or": _Renderer.logic,
    "between": _Renderer.between,
    "is null": _Renderer.is_null,
    "in": _Renderer.in_list,
    "case": _Renderer.case,
    "switch": _Renderer.switch,
    "nullif": _Renderer.nullif,
    "coalesce": _Renderer.function,
    "least": _Renderer.function,
    "greatest": _Renderer.function,
}


def _whens(pairs: list[str]) -> str:
    return " ".join(f"WHEN {test} THEN {value}" for test, value in zip(pairs[::2], pairs[1::2], strict=True))


def _epoch(column: str) -> str:
    """Microseconds since 1970, where they are of the years 1 to 9999."""
    first, last = -62_135_596_800_000_000, 253_402_300_799_999_999
    return f"CASE WHEN epoch_us({column}) BETWEEN {first} AND {last} THEN epoch_us({column}) END"


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def quoted(text: str) -> str:
    """A text, quoted; DuckDB knows no escapes in it but the doubled quote."""
    return "'" + text.replace("'", "''") + "'"


def literal(node: Literal) -> str:
    """A constant of exactly its type: 0.07 alone would be a decimal, 0.07e0 is a double."""
    value = node.value
    if value is None:
        return f"CAST(NULL AS {_TYPES[cast(Type, node.type)]})"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, np.datetime64):
        return f"{_TYPES[cast(Type, node.type)]} {quoted(str(value).replace('T', ' '))}"
    text = repr(value) if isinstance(value, int) or "e" in repr(value) else f"{value!r}e0"
    return f"({text})" if text.startswith("-") else text


def _extra(extra: Any) -> str:
    return quoted(extra) if isinstance(extra, str) else str(extra)
