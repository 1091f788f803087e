"""The rules of each kind of operation: which types it takes and what it becomes in our tree."""

from sqlglot import exp

from payoff.expressions import constants, leaves
from payoff.expressions.check import Checker, Handler, noun
from payoff.expressions.operators import OPERATORS, call
from payoff.expressions.syntax import chained, written
from payoff.expressions.tree import DATES, Call, Literal, Node, coerce, finite, is_raw
from payoff.expressions.whitelist import CHOICES, COMPARISONS, DATE_PARTS, FUNCTIONS
from payoff.records import Type

_DIGITS_MAX = 15


def function(checker: Checker, tree: exp.Expr, want: Type | None) -> Node:
    """An operation over arguments of fixed types: abs(x), a * b, not a."""
    op, *keys = FUNCTIONS[type(tree)]
    parts = zip(checker.only(tree, *keys), OPERATORS[op].takes, strict=True)
    return call(op, [checker.taken(part, type, f"{op} takes") for part, type in parts])


def comparison(checker: Checker, tree: exp.Expr, want: Type | None) -> Node:
    """int64 with uint64 stay whole numbers, compared exactly; any other two get one type."""
    op, parts = COMPARISONS[type(tree)], checker.only(tree, "this", "expression")
    checker.refuse_null(parts, op)
    nodes = [checker.node(part) for part in parts]
    if {node.type for node in nodes} != {Type.INT64, Type.UINT64}:
        nodes = checker.alike(parts, None, op)
    if op not in ("=", "<>"):
        checker.refuse_bool(nodes, tree, op)
    return call(op, nodes)


def date_part(checker: Checker, tree: exp.Expr, want: Type | None) -> Node:
    op = DATE_PARTS[type(tree)]
    (part,) = checker.only(tree, "this")
    node = checker.typed(checker.node(part), part)
    if node.type is not None and node.type not in DATES:
        raise checker.refusal(part, f"{op} takes a date, but {written(checker.text, part)} is {noun(node.type)}")
    return call(op, [node])


def negative(checker: Checker, tree: exp.Neg, want: Type | None) -> Node:
    node = checker.taken(checker.only(tree, "this")[0], Type.FLOAT64, "- takes")
    return constants.negative(node) if isinstance(node, Literal) else call("neg", [node])


def total(checker: Checker, tree: exp.Expr, want: Type | None) -> Node:
    """A chain of + and - is one node, so that it may be longer than the tree may be deep."""
    terms = [
        (coerce(checker.taken(part, Type.FLOAT64, f"{'-' if minus else '+'} takes"), Type.FLOAT64), minus)
        for part, minus in _chain(checker, tree)
    ]
    nodes, signs = tuple(node for node, _ in terms), tuple(minus for _, minus in terms)
    return Call("sum", nodes, Type.FLOAT64, raw=True, extra=signs)


def logic(checker: Checker, tree: exp.Expr, want: Type | None) -> Node:
    """A chain of `and`, or of `or`, is one node."""
    op = "and" if isinstance(tree, exp.And) else "or"
    parts = [checker.taken(part, Type.BOOL, f"{op} takes") for part, _ in _chain(checker, tree)]
    return Call(op, tuple(parts), Type.BOOL)


def _chain(checker: Checker, tree: exp.Expr) -> list[tuple[exp.Expr, bool]]:
    """The links from left to right, and whether each is subtracted."""
    links: list[tuple[exp.Expr, bool]] = []
    while True:
        left, right = checker.only(tree, "this", "expression")
        links.append((right, isinstance(tree, exp.Sub)))
        if not chained(tree, left):
            return [(left, False), *reversed(links)]
        tree = left


def between(checker: Checker, tree: exp.Between, want: Type | None) -> Node:
    parts = checker.only(tree, "this", "low", "high")
    checker.refuse_null(parts, "between")
    nodes = checker.alike(parts, None, "between")
    checker.refuse_bool(nodes, tree, "between")
    return Call("between", tuple(map(finite, nodes)), Type.BOOL)


def member(checker: Checker, tree: exp.In, want: Type | None) -> Node:
    """x in (a, b, null)."""
    if not tree.expressions:
        raise checker.refusal(tree, "in takes a list: inputs.job in ('admin', 'services')")
    (subject,) = checker.only(tree, "this", plus="expressions")
    checker.refuse_null([subject], "in")
    nodes = checker.alike([subject, *tree.expressions], None, "in")
    return Call("in", tuple(map(finite, nodes)), Type.BOOL)


def is_null(checker: Checker, tree: exp.Is, want: Type | None) -> Node:
    subject, what = checker.only(tree, "this", "expression")
    if not isinstance(what, exp.Null):
        raise checker.refusal(tree, "is takes null: write `x is null` or `x is not null`; or compare with `x = true`")
    return Call("is null", (finite(checker.typed(checker.node(subject), subject)),), Type.BOOL)


def like(checker: Checker, tree: exp.Like, want: Type | None) -> Node:
    subject, pattern = checker.only(tree, "this", "expression", plus="negate")
    if not isinstance(pattern, exp.Literal) or not pattern.is_string:
        raise checker.refusal(pattern, "like takes a pattern in quotes: inputs.job like 'adm%'")
    node = call("like", [checker.taken(subject, Type.TEXT, "like takes")], pattern.name)
    return call("not", [node]) if tree.args.get("negate") else node


def case(checker: Checker, tree: exp.Case, want: Type | None) -> Node:
    """Both forms: `case when a then x end` and `case a when 1 then x end`."""
    branches = tree.args["ifs"]
    values = [*(branch.args["true"] for branch in branches), tree.args.get("default") or exp.Null()]
    nodes = checker.alike(values, want, "case")
    tests = [branch.this for branch in branches]
    if tree.this is None:
        head, checked = [], [checker.taken(test, Type.BOOL, "when takes") for test in tests]
    else:
        checker.refuse_null([tree.this, *tests], "case with")
        first, *checked = map(finite, checker.alike([tree.this, *tests], None, "case"))
        head = [first]
    pairs = [part for pair in zip(checked, nodes[:-1], strict=True) for part in pair]
    op = "switch" if head else "case"
    return Call(op, (*head, *pairs, nodes[-1]), nodes[-1].type, any(map(is_raw, nodes)))


def choice(checker: Checker, tree: exp.Expr, want: Type | None) -> Node:
    """coalesce, least, greatest: any number of arguments of one type."""
    op = CHOICES[type(tree)]
    checker.only(tree, "this", plus="expressions")
    nodes = checker.alike([tree.this, *tree.expressions], want, op)
    if op != "coalesce":
        checker.refuse_bool(nodes, tree, op)
    return Call(op, tuple(map(finite, nodes)), nodes[0].type)


def nullif(checker: Checker, tree: exp.Nullif, want: Type | None) -> Node:
    nodes = checker.alike(checker.only(tree, "this", "expression"), want, "nullif")
    return Call("nullif", tuple(map(finite, nodes)), nodes[0].type)


def rounded(checker: Checker, tree: exp.Round, want: Type | None) -> Node:
    """round(x) and round(x, digits), halves away from zero."""
    (subject,) = checker.only(tree, "this", plus="decimals")
    decimals = tree.args.get("decimals")
    node = checker.taken(subject, Type.FLOAT64, "round takes")
    if decimals is None:
        return call("round", [node])
    digits = checker.node(decimals)
    if not isinstance(digits, Literal) or digits.type is not Type.INT64 or abs(digits.value) > _DIGITS_MAX:
        limits = f"from -{_DIGITS_MAX} to {_DIGITS_MAX}"
        raise checker.refusal(decimals, f"round takes a constant whole number of digits {limits}")
    return call("round_to", [node], digits.value)


def log10(checker: Checker, tree: exp.Log, want: Type | None) -> Node:
    """sqlglot reads log10(x) as log(10, x)."""
    subject = tree.args.get("expression")
    if subject is None or not isinstance(tree.this, exp.Literal) or tree.this.name != "10":
        raise checker.refusal(tree, "log is ambiguous; write ln(x) or log10(x)")
    return call("log10", [checker.taken(subject, Type.FLOAT64, "log10 takes")])


HANDLERS: dict[type[exp.Expr], Handler] = {
    **leaves.HANDLERS,
    **dict.fromkeys(FUNCTIONS, function),
    **dict.fromkeys(COMPARISONS, comparison),
    **dict.fromkeys(DATE_PARTS, date_part),
    **dict.fromkeys(CHOICES, choice),
    exp.Neg: negative,
    exp.Add: total,
    exp.Sub: total,
    exp.And: logic,
    exp.Or: logic,
    exp.Between: between,
    exp.In: member,
    exp.Is: is_null,
    exp.Like: like,
    exp.Case: case,
    exp.Nullif: nullif,
    exp.Round: rounded,
    exp.Log: log10,
}
