"""Checking a parsed text against the columns there are: every name known, every type fitting.

The rules of each kind of node are in `kinds` and `leaves`; here is what they share. Nothing of sqlglot's tree goes
further than this.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from sqlglot import exp

from payoff.errors import BadInput
from payoff.expressions.scope import Scope
from payoff.expressions.syntax import refusal, written
from payoff.expressions.tree import Literal, Node, Ref, finite, same
from payoff.expressions.whitelist import ALLOWED, NAMES
from payoff.records import Type

NOUNS = {Type.BOOL: "a condition (bool)", Type.TEXT: "a text", Type.DATE: "a date", Type.TIMESTAMP: "a timestamp"}
INFERRED = (Type.FLOAT64, Type.BOOL, Type.TEXT)
_SILENT = ("typed", "safe", "ignore_nulls")  # what sqlglot notes about a dialect, not what the author wrote


class Checker:
    """One text against one scope. `names` are the columns it uses; `outcome` the types inferred for undeclared ones.

    An undeclared outcome column may get its type only after its first use, so the tree is walked until nothing new is
    learned (at most once more than there are such columns). `unknown` are those still without a type in this walk.
    """

    def __init__(self, text: str, scope: Scope, handlers: Mapping[type[exp.Expr], "Handler"]) -> None:
        self.text = text
        self.scope = scope
        self.names: set[tuple[str, str]] = set()
        self.outcome: dict[str, Type] = {}
        self.unknown: dict[str, exp.Expr] = {}
        self._handlers = handlers

    def whole(self, tree: exp.Expr, want: Type | None) -> Node:
        """The checked tree; `want` is BOOL, FLOAT64 for any number, or None."""
        while True:
            learned = len(self.outcome)
            self.unknown.clear()
            node = self.taken(tree, want, "this must yield") if want else self.typed(self.node(tree), tree)
            if len(self.outcome) == learned:
                break
        for name, place in self.unknown.items():
            raise self.refusal(
                place, f"cannot tell the type of outcome.{name}; declare it, or compare it with a constant"
            )
        return finite(node)

    def node(self, tree: exp.Expr, want: Type | None = None) -> Node:
        """Any part. `want` only helps to infer the type of an undeclared outcome column; it is not enforced."""
        handler = self._handlers.get(type(tree))
        if handler is None:
            raise self.not_allowed(tree)
        return handler(self, tree, want)

    def taken(self, tree: exp.Expr, want: Type, who: str) -> Node:
        """A part that must be of type `want`, where FLOAT64 is any number."""
        node = self.node(tree, want)
        if node.type is None:
            node = self.given(node, want, tree)
        if node.type is None or node.type is want or (want is Type.FLOAT64 and node.type.is_number):
            return node
        part = written(self.text, tree)
        raise self.refusal(tree, f"{who} {noun(want)}, but {part} is {noun(node.type)}{_hint(node, want)}")

    def given(self, node: Node, type: Type, tree: exp.Expr) -> Node:
        """A null or an undeclared outcome column gets its type from its neighbours."""
        if isinstance(node, Literal):
            return Literal(node.value, type)
        if not isinstance(node, Ref):
            return self.typed(node, tree)
        kind = Type.FLOAT64 if type.is_number else type
        if kind not in INFERRED:
            raise self.refusal(tree, f"outcome.{node.name} is used as {noun(kind)}; declare it under outcome")
        known = self.outcome.setdefault(node.name, kind)
        if known is not kind:
            uses = f"both as {noun(known)} and as {noun(kind)}"
            raise self.refusal(tree, f"outcome.{node.name} is used {uses}; declare it under outcome and cast it")
        return Ref(node.source, node.name, kind)

    def typed(self, node: Node, tree: exp.Expr) -> Node:
        """The node, unless it is null whatever the data; while a column has no type yet, nobody can know."""
        if node.type is None and not self.unknown:
            raise self.refusal(tree, "this is always null; write a condition or a value")
        return node

    def alike(self, trees: list[exp.Expr], want: Type | None, who: str) -> list[Node]:
        """Parts that must have one type together, in that type."""
        nodes = [self.node(tree, want) for tree in trees]
        kind = next((node.type for node in nodes if node.type is not None), None)
        if kind is None:
            return [self.typed(node, tree) for node, tree in zip(nodes, trees, strict=True)]
        pairs = zip(nodes, trees, strict=True)
        nodes = [self.given(node, kind, tree) if node.type is None else node for node, tree in pairs]
        return same(nodes) or self._refuse_mix(nodes, trees, who)

    def _refuse_mix(self, nodes: list[Node], trees: list[exp.Expr], who: str) -> list[Node]:
        first = nodes[0]
        i = next(i for i, node in enumerate(nodes) if same([first, node]) is None)
        one, other = (f"{written(self.text, trees[k])}, {noun(nodes[k].type)}" for k in (0, i))
        raise self.refusal(trees[i], f"{who} mixes {one}, with {other}{_hint(nodes[i], first.type)}")

    def only(self, tree: exp.Expr, *keys: str, plus: str = "") -> list[exp.Expr]:
        """The parts of these names. Any other that was written, but `plus`, is refused: nothing is dropped silently."""
        written_keys = {key for key, value in tree.args.items() if value and key not in _SILENT}
        parts = [tree.args.get(key) for key in keys]
        if written_keys - {*keys, plus} or not all(isinstance(part, exp.Expr) for part in parts):
            raise self.not_allowed(tree)
        return [part for part in parts if isinstance(part, exp.Expr)]

    def refuse_null(self, trees: list[exp.Expr], op: str) -> None:
        """x = null is a slip, not a question."""
        for tree in trees:
            if isinstance(tree.unnest(), exp.Null):
                raise self.refusal(tree, f"{op} null is always null; write `is null` or `is not null`")

    def refuse_bool(self, nodes: list[Node], tree: exp.Expr, op: str) -> None:
        """Conditions have no order."""
        if any(node.type is Type.BOOL for node in nodes):
            raise self.refusal(tree, f"{op} needs an order, and a condition (bool) has none; use = or <>")

    def refusal(self, tree: exp.Expr, problem: str) -> BadInput:
        """The error for a part, with where it stands."""
        return refusal(self.text, tree, problem)

    def not_allowed(self, tree: exp.Expr) -> BadInput:
        """The error for a part that is not of the dialect, with what is."""
        if isinstance(tree, exp.Query):
            return self.refusal(tree, "a query is not allowed; write one condition or one value, without `select`")
        name = tree.name if isinstance(tree, exp.Anonymous) else ""
        if not name and isinstance(tree, exp.Func):
            name = tree.sql_name().lower()
        if not name or name in NAMES or f"{name.lower()}(" not in self.text.lower():
            return self.refusal(tree, f"{written(self.text, tree)} is not allowed; {ALLOWED}")
        close = get_close_matches(name.lower(), NAMES, n=1)
        suggestion = f"did you mean {close[0]}()? " if close else ""
        return self.refusal(tree, f"there is no function {name}(); {suggestion}{ALLOWED}")


Handler = Callable[[Checker, Any, Type | None], Node]


def noun(type: Type | None) -> str:
    """A type in the words of a message."""
    return "null" if type is None else NOUNS.get(type, "a number")


def _hint(node: Node, want: Type | None) -> str:
    if want is None or node.type is None:
        return ""
    if want.is_number and isinstance(node, Literal) and node.type is Type.TEXT:
        return "; write the number without quotes"
    if want in (Type.DATE, Type.TIMESTAMP) and isinstance(node, Literal):
        return "; write date '2008-05-05'"
    if want is Type.BOOL:
        return "; compare it, for example with `> 0`" if node.type.is_number else "; compare it, for example with `=`"
    if want.is_number and node.type in (Type.BOOL, Type.TEXT):
        return "; use cast(... as double)"
    return "; use cast(... as text)" if want is Type.TEXT else ""
