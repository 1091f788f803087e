"""An expression: checked once, then a fast function over columns and a piece of SQL that mean the same."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal as OneOf

from sqlglot import exp

from payoff.expressions.check import Checker
from payoff.expressions.forms import Batch, Run
from payoff.expressions.kinds import HANDLERS
from payoff.expressions.nulls import may_be_null
from payoff.expressions.render import rendered
from payoff.expressions.scope import Scope
from payoff.expressions.syntax import read
from payoff.expressions.tree import Node
from payoff.expressions.vectors import compiled, evaluate
from payoff.records import Column, Field, Type

_EXPECTED = {"boolean": Type.BOOL, "number": Type.FLOAT64, None: None}


@dataclass(frozen=True, slots=True)
class Expression:
    """What a text means in a scope.

    `type` is bool, int64, uint64, float64, text, date or timestamp. `names` are the (source, name) it reads, the
    decision as ("decision", "decision"); `outcome` the outcome columns among them, declared or inferred. It is null
    for no row unless `nullable`.
    """

    text: str
    type: Type
    names: frozenset[tuple[str, str]]
    outcome: tuple[Field, ...]
    _tree: Node = field(repr=False, compare=False)
    _run: Run = field(repr=False, compare=False)
    nullable: bool = True

    def evaluate(self, batch: Batch) -> Column:
        """The value for every row; raises and warns of nothing, whatever the data. Floats are finite or null."""
        return evaluate(self._run, self.type.dtype, batch)

    def duckdb(self, prefix: Mapping[str, str] | None = None) -> str:
        """The same as DuckDB SQL over struct columns inputs, outputs, outcome and a column decision.

        `prefix` says where a source is instead, in SQL the caller vouches for:
        {"decision": "true", "outcome": "o.outcome"}.
        """
        return rendered(self._tree, prefix or {})


def parse(text: str, scope: Scope, expects: OneOf["boolean", "number"] | None = None) -> Expression:
    """The expression, or BadInput that says where and what is wrong and what would be right."""
    checker = Checker(text, scope, HANDLERS)
    tree = checker.whole(read(text), _EXPECTED[expects])
    declared = scope.fields("outcome")
    used = sorted(name for source, name in checker.names if source == "outcome")
    fields = tuple(declared.get(name) or Field(name, checker.outcome[name]) for name in used)
    assert tree.type is not None  # noqa: S101 - `whole` refused what has none
    run = compiled(tree)
    return Expression(text, tree.type, frozenset(checker.names), fields, tree, run, may_be_null(tree, scope))


def named(text: str) -> tuple[tuple[str, str], ...]:
    """The (source, name) that a text writes, in order and each once, whatever columns there are; "" for a bare name."""
    columns = read(text).find_all(exp.Column, bfs=False)
    return tuple(dict.fromkeys((column.table, column.name) for column in columns))
