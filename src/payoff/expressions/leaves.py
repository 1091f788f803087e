"""Columns, elements of tensors, constants and casts."""

from sqlglot import exp

from payoff.errors import BadInput
from payoff.expressions import constants
from payoff.expressions.check import Checker, Handler, noun
from payoff.expressions.operators import call
from payoff.expressions.scope import find, path
from payoff.expressions.tree import Literal, Node, Ref, widened
from payoff.expressions.whitelist import CASTS, TARGETS
from payoff.records import Field, Type


def column(checker: Checker, tree: exp.Column, want: Type | None, index: tuple[int, ...] = ()) -> Node:
    """inputs.age, outputs."odd name", decision, or a bare name that only one source has."""
    checker.only(tree, "this", plus="table")
    if not isinstance(tree.this, exp.Identifier):
        raise checker.not_allowed(tree)
    name = tree.this.name
    try:
        source, field = find(checker.scope, tree.table or None, name)
    except BadInput as error:
        raise checker.refusal(tree, str(error)) from None
    checker.names.add((source, name))
    return _open(checker, tree, want, name) if field is None else _declared(checker, tree, source, field, index)


def _declared(checker: Checker, tree: exp.Expr, source: str, field: Field, index: tuple[int, ...]) -> Node:
    column = path(source, field.name)
    if len(index) != len(field.shape):
        expected = f"one element is {column}{'[1]' * len(field.shape)}" if field.shape else "it has no elements"
        raise checker.refusal(tree, f"{column} is {field} per row; {expected}")
    if any(not 1 <= i <= size for i, size in zip(index, field.shape, strict=True)):
        raise checker.refusal(tree, f"{column} is {field} per row; its elements count from 1 up to its size")
    return Ref(source, field.name, widened(field.type), index)


def _open(checker: Checker, tree: exp.Expr, want: Type | None, name: str) -> Node:
    """An undeclared outcome column: of the type it was given before, or is wanted in here, or unknown yet."""
    ref = Ref("outcome", name, checker.outcome.get(name))
    if ref.type is None and want is not None:
        return checker.given(ref, want, tree)
    if ref.type is None:
        checker.unknown[name] = tree
    return ref


def element(checker: Checker, tree: exp.Bracket, want: Type | None) -> Node:
    """inputs.x[1], inputs.x[1][2]: the text counts from 1, sqlglot's tree from 0."""
    index: list[int] = []
    inner: exp.Expr = tree
    while isinstance(inner, exp.Bracket):
        place = inner.expressions[0] if len(inner.expressions) == 1 else None
        if not isinstance(place, exp.Literal) or not place.is_int:
            raise checker.refusal(tree, "an element is column[1], with a whole number from 1")
        index.insert(0, int(place.name) + 1)
        inner = inner.this
    if not isinstance(inner, exp.Column):
        raise checker.refusal(tree, "only a column has elements: inputs.x[1]")
    return column(checker, inner, want, tuple(index))


def paren(checker: Checker, tree: exp.Paren, want: Type | None) -> Node:
    return checker.node(checker.only(tree, "this")[0], want)


def literal(checker: Checker, tree: exp.Literal, want: Type | None) -> Node:
    if tree.is_string:
        return Literal(tree.name, Type.TEXT)
    number = constants.number(tree.name)
    if number is None:
        raise checker.refusal(
            tree, f"{tree.name[:40]} is no number; write one like 17, 0.07 or 1e5, at most 1.7976931348623157e308"
        )
    return number


def boolean(checker: Checker, tree: exp.Boolean, want: Type | None) -> Node:
    return Literal(bool(tree.this), Type.BOOL)


def null(checker: Checker, tree: exp.Null, want: Type | None) -> Node:
    return Literal(None, None)


def cast(checker: Checker, tree: exp.Cast, want: Type | None) -> Node:
    """cast(x as double), x::double; also how sqlglot reads date '2008-05-05'."""
    subject, to = checker.only(tree, "this", "to")
    target = to.this.name if isinstance(to, exp.DataType) and not to.expressions else ""
    if isinstance(subject, exp.Literal) and subject.is_string and target in constants.DATES:
        return _date(checker, tree, subject.name, target)
    if target not in TARGETS:
        kinds = "double, bigint, text and boolean; a date is written date '2008-05-05'"
        raise checker.refusal(tree, f"cast takes the types {kinds}")
    node = checker.node(subject)
    if isinstance(node, Literal) and node.type is None:
        return Literal(None, TARGETS[target])
    return _converted(checker, tree, checker.typed(node, subject), TARGETS[target])


def _converted(checker: Checker, tree: exp.Expr, node: Node, target: Type) -> Node:
    if node.type is None or node.type is target:
        return node
    if (node.type, target) not in CASTS:
        raise checker.refusal(tree, f"{noun(node.type)} cannot be cast to {target}")
    return call(CASTS[node.type, target], [node])


def _date(checker: Checker, tree: exp.Expr, text: str, target: str) -> Node:
    found = constants.date(text, target)
    if found is None:
        right = "date '2008-05-05' or timestamp '2008-05-05 10:30:00'"
        raise checker.refusal(tree, f"{text[:40]!r} is no {constants.DATES[target]}; write {right}")
    return found


HANDLERS: dict[type[exp.Expr], Handler] = {
    exp.Column: column,
    exp.Bracket: element,
    exp.Paren: paren,
    exp.Literal: literal,
    exp.Boolean: boolean,
    exp.Null: null,
    exp.Cast: cast,
}
