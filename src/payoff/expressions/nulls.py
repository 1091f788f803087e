"""Whether an expression can be null at all: what takes its answer and takes no null must know."""

from payoff.expressions.operators import OPERATORS
from payoff.expressions.scope import Scope
from payoff.expressions.tree import Call, Literal, Node, Ref


def may_be_null(node: Node, scope: Scope) -> bool:
    """False only where it is certain, whatever the data: a case with an `else`, a coalesce that ends in a constant."""
    if isinstance(node, Literal):
        return node.value is None
    if isinstance(node, Ref):
        field = scope.fields(node.source).get(node.name)
        return field is None or field.nullable or node.source in ("outcome", "decision")
    return _call(node, scope)


def _call(node: Call, scope: Scope) -> bool:
    if node.op in ("case", "switch"):  # the tests do not matter, only what they choose from
        first = 1 if node.op == "case" else 2
        return any(may_be_null(value, scope) for value in (*node.args[first:-1:2], node.args[-1]))
    if node.op in ("coalesce", "least", "greatest"):
        return all(may_be_null(arg, scope) for arg in node.args)
    if node.op == "is null":
        return False
    if node.op in ("finite", "nullif") or (node.op in OPERATORS and OPERATORS[node.op].partial):
        return True
    return any(may_be_null(arg, scope) for arg in node.args)
