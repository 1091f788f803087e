"""From sqlglot's tree to our own: a whitelist of node kinds, every name known, every type fitting.

Anything not listed here is refused; nothing of sqlglot's tree goes further.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from sqlglot import exp

from payoff.errors import BadInput
from payoff.expressions import constants
from payoff.expressions.operators import OPERATORS, call
from payoff.expressions.scope import Scope, find, path
from payoff.expressions.syntax import chained, refusal, written
from payoff.expressions.tree import Call, Literal, Node, Ref, coerce, finite, is_raw, same, widened
from payoff.records import Field, Type

FUNCTIONS: dict[type[exp.Expr], tuple[str, ...]] = {  # name, then sqlglot's keys of its arguments
    exp.Abs: ("abs", "this"),
    exp.Sign: ("sign", "this"),
    exp.Floor: ("floor", "this"),
    exp.Ceil: ("ceil", "this"),
    exp.Sqrt: ("sqrt", "this"),
    exp.Exp: ("exp", "this"),
    exp.Ln: ("ln", "this"),
    exp.Pow: ("power", "this", "expression"),
    exp.Lower: ("lower", "this"),
    exp.Upper: ("upper", "this"),
    exp.Length: ("length", "this"),
    exp.StartsWith: ("starts_with", "this", "expression"),
    exp.Contains: ("contains", "this", "expression"),
    exp.Mul: ("*", "this", "expression"),
    exp.Div: ("/", "this", "expression"),
    exp.Mod: ("%", "this", "expression"),
    exp.Not: ("not", "this"),
}
COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
DATE_PARTS: dict[type[exp.Expr], str] = {exp.Year: "year", exp.Month: "month", exp.Day: "day"}
CASTS: dict[tuple[str, Type], str | None] = {  # None: nothing to do
    ("number", Type.FLOAT64): "to_double",
    ("bool", Type.FLOAT64): "to_double",
    ("text", Type.FLOAT64): "text_to_double",
    ("int64", Type.INT64): None,
    ("uint64", Type.INT64): "uint64_to_bigint",
    ("float64", Type.INT64): "double_to_bigint",
    ("bool", Type.INT64): "bool_to_bigint",
    ("text", Type.INT64): "text_to_bigint",
    ("bool", Type.BOOL): None,
    ("number", Type.BOOL): "number_to_boolean",
    ("text", Type.BOOL): "text_to_boolean",
    ("text", Type.TEXT): None,
    ("bool", Type.TEXT): "bool_to_text",
    ("int64", Type.TEXT): "int_to_text",
    ("uint64", Type.TEXT): "int_to_text",
    ("float64", Type.TEXT): "double_to_text",
    ("date", Type.TEXT): "date_to_text",
}
TARGETS = {"DOUBLE": Type.FLOAT64, "BIGINT": Type.INT64, "TEXT": Type.TEXT, "BOOLEAN": Type.BOOL}
NAMES = sorted(
    {op for op, *_ in FUNCTIONS.values() if op.isalpha() or "_" in op} - {"not"}
    | {"round", "log10", "coalesce", "nullif", "least", "greatest", "year", "month", "day", "cast", "case"}
)
OTHERS = "+ - * / %, = <> < <= > >=, and or not, between, in (...), is [not] null, like, column[1]"
NOUNS = {Type.BOOL: "a condition (bool)", Type.TEXT: "a text", Type.DATE: "a date", Type.TIMESTAMP: "a timestamp"}
DIGITS_MAX = 15


class Checker:
    """One text against one scope. `names` are the columns it uses; `outcome` the types inferred for undeclared ones.

    An undeclared outcome column may get its type only after its first use, so the tree is walked until nothing new is
    learned (at most once more than there are such columns).
    """

    def __init__(self, text: str, scope: Scope) -> None:
        self.text = text
        self.scope = scope
        self.names: set[tuple[str, str]] = set()
        self.outcome: dict[str, Type] = {}
        self._unknown: dict[str, exp.Expr] = {}

    def whole(self, tree: exp.Expr, want: Type | None) -> Node:
        """The checked tree; `want` is BOOL, FLOAT64 for any number, or None."""
        while True:
            known = len(self.outcome)
            self._unknown.clear()
            node = self.taken(tree, want, "this must yield") if want else self.node(tree)
            if len(self.outcome) == known:
                break
        for name, place in self._unknown.items():
            raise refusal(
                self.text, place, f"cannot tell the type of outcome.{name}; declare it, or compare it with a constant"
            )
        if node.type is None:
            raise refusal(self.text, tree, "this is always null; write a condition or a value")
        return finite(node)

    def node(self, tree: exp.Expr, want: Type | None = None) -> Node:
        """Any part. `want` only helps to infer the type of an undeclared outcome column; it is not enforced."""
        kind = type(tree)
        if kind in FUNCTIONS:
            return self._function(tree, *FUNCTIONS[kind])
        if kind in COMPARISONS:
            return self._comparison(tree, COMPARISONS[kind])
        if kind in DATE_PARTS:
            return self._date_part(tree, DATE_PARTS[kind])
        if kind not in HANDLERS:
            raise self._not_allowed(tree)
        return HANDLERS[kind](self, tree, want)

    def taken(self, tree: exp.Expr, want: Type, who: str) -> Node:
        """A part that must be of type `want`, where FLOAT64 is any number."""
        node = self.node(tree, want)
        if node.type is None:
            node = self._given(node, want, tree)
        if node.type is want or (want is Type.FLOAT64 and node.type is not None and node.type.is_number):
            return node
        raise refusal(
            self.text, tree, f"{who} {_noun(want)}, but {written(self.text, tree)} is {_noun(node.type)}{_hint(node, want)}"
        )

    def _given(self, node: Node, type: Type, tree: exp.Expr) -> Node:
        """A null or an undeclared outcome column gets its type from its neighbours."""
        if isinstance(node, Literal):
            return Literal(node.value, type)
        if not isinstance(node, Ref):
            return node  # holds an undeclared column; the next walk knows more
        kind = Type.FLOAT64 if type.is_number else type
        if kind not in (Type.FLOAT64, Type.BOOL, Type.TEXT):
            raise refusal(self.text, tree, f"outcome.{node.name} is used as {_noun(kind)}; declare it under outcome")
        if self.outcome.setdefault(node.name, kind) is not kind:
            raise refusal(
                self.text,
                tree,
                f"outcome.{node.name} is used both as {_noun(self.outcome[node.name])} and as {_noun(kind)}; "
                "use it as one, or declare it under outcome and cast it",
            )
        return Ref(node.source, node.name, kind)

    def _alike(self, trees: list[exp.Expr], want: Type | None, who: str) -> list[Node]:
        """Parts that must have one type together, in that type."""
        nodes = [self.node(tree, want) for tree in trees]
        kind = next((node.type for node in nodes if node.type is not None), None)
        if kind is not None:
            pairs = zip(nodes, trees, strict=True)
            nodes = [self._given(node, kind, tree) if node.type is None else node for node, tree in pairs]
        alike = same(nodes)
        if alike is None:
            other = next(i for i, node in enumerate(nodes) if same([nodes[0], node]) is None)
            first, second = (f"{written(self.text, trees[i])}, {_noun(nodes[i].type)}" for i in (0, other))
            hint = _hint(nodes[other], nodes[0].type)
            raise refusal(self.text, trees[other], f"{who} mixes {first}, with {second}{hint}")
        return alike

    def _only(self, tree: exp.Expr, *keys: str) -> list[exp.Expr]:
        """The arguments of these names; any other that was written is refused, never dropped."""
        for key, value in tree.args.items():
            if key not in keys and value and key not in ("typed", "safe", "ignore_nulls", "negate"):
                raise self._not_allowed(tree)
        found = [tree.args.get(key) for key in keys]
        if any(not isinstance(part, exp.Expr) for part in found):
            raise self._not_allowed(tree)
        return [part for part in found if isinstance(part, exp.Expr)]

    def _function(self, tree: exp.Expr, op: str, *keys: str) -> Node:
        parts, takes = self._only(tree, *keys), OPERATORS[op].takes
        return call(op, [self.taken(part, want, f"{op} takes") for part, want in zip(parts, takes, strict=True)])

    def _comparison(self, tree: exp.Expr, op: str) -> Node:
        parts = self._only(tree, "this", "expression")
        for part in parts:
            self._refuse_null(part, op)
        left, right = self._comparable(parts, op)
        if Type.BOOL in (left.type, right.type) and op not in ("=", "<>"):
            raise refusal(self.text, tree, f"{op} needs an order, and a condition (bool) has none; use = or <>")
        return call(op, [left, right])

    def _comparable(self, parts: list[exp.Expr], op: str) -> list[Node]:
        """As `_alike`, but int64 with uint64 stay whole numbers, compared exactly."""
        nodes = [self.node(part) for part in parts]
        if {node.type for node in nodes} == {Type.INT64, Type.UINT64}:
            return nodes
        return self._alike(parts, None, op)

    def _refuse_null(self, tree: exp.Expr, op: str) -> None:
        if isinstance(tree.unnest(), exp.Null):
            raise refusal(self.text, tree, f"{op} null is always null; write `is null` or `is not null`")

    def _date_part(self, tree: exp.Expr, op: str) -> Node:
        (part,) = self._only(tree, "this")
        node = self.node(part)
        if node.type in (Type.DATE, Type.TIMESTAMP):
            return call(op, [node])
        raise refusal(self.text, part, f"{op} takes a date, but {written(self.text, part)} is {_noun(node.type)}")

    def column(self, tree: exp.Expr, want: Type | None) -> Node:
        return self._column(tree, want, ())

    def _column(self, tree: exp.Expr, want: Type | None, index: tuple[int, ...]) -> Node:
        identifier, table = tree.this, tree.args.get("table")
        if not isinstance(identifier, exp.Identifier) or tree.args.get("db"):
            raise self._not_allowed(tree)
        try:
            source, field = find(self.scope, table.name if table else None, identifier.name)
        except BadInput as error:
            raise refusal(self.text, tree, str(error)) from None
        self.names.add((source, identifier.name))
        return self._open(tree, want, identifier.name) if field is None else self._declared(tree, source, field, index)

    def _declared(self, tree: exp.Expr, source: str, field: Field, index: tuple[int, ...]) -> Node:
        if len(index) != len(field.shape):
            element = path(source, field.name) + "[1]" * len(field.shape)
            expected = f"one element is {element}" if field.shape else "it has no elements"
            raise refusal(self.text, tree, f"{path(source, field.name)} is {field} per row; {expected}")
        if any(not 1 <= i <= size for i, size in zip(index, field.shape, strict=True)):
            raise refusal(self.text, tree, f"{path(source, field.name)} is {field}: elements count from 1 up to its size")
        return Ref(source, field.name, widened(field.type), index)

    def _open(self, tree: exp.Expr, want: Type | None, name: str) -> Node:
        ref = Ref("outcome", name, self.outcome.get(name))
        if ref.type is not None:
            return ref
        if want is not None:
            return self._given(ref, want, tree)
        self._unknown[name] = tree
        return ref

    def element(self, tree: exp.Expr, want: Type | None) -> Node:
        """inputs.x[1], inputs.x[1][2]: sqlglot counts from 0, the text from 1."""
        index: list[int] = []
        inner = tree
        while isinstance(inner, exp.Bracket):
            keys = [key for key, value in inner.args.items() if value and key not in ("this", "expressions", "safe")]
            places = inner.expressions
            if len(places) != 1 or set(keys) - {"offset"} or not (isinstance(places[0], exp.Literal) and places[0].is_int):
                raise refusal(self.text, tree, "an element is column[1], with a whole number from 1")
            index.insert(0, int(places[0].name) + 1)
            inner = inner.this
        if not isinstance(inner, exp.Column):
            raise refusal(self.text, tree, "only a column has elements: inputs.x[1]")
        return self._column(inner, want, tuple(index))

    def paren(self, tree: exp.Expr, want: Type | None) -> Node:
        return self.node(self._only(tree, "this")[0], want)

    def literal(self, tree: exp.Expr, want: Type | None) -> Node:
        if tree.is_string:
            return Literal(tree.name, Type.TEXT)
        number = constants.number(tree.name)
        if number is None:
            raise refusal(self.text, tree, f"{tree.name} is too large for a number; at most 1.7976931348623157e308")
        return number

    def boolean(self, tree: exp.Expr, want: Type | None) -> Node:
        return Literal(bool(tree.this), Type.BOOL)

    def null(self, tree: exp.Expr, want: Type | None) -> Node:
        return Literal(None, None)

    def negative(self, tree: exp.Expr, want: Type | None) -> Node:
        node = self.taken(self._only(tree, "this")[0], Type.FLOAT64, "- takes")
        return constants.negative(node) if isinstance(node, Literal) else call("neg", [node])

    def sum(self, tree: exp.Expr, want: Type | None) -> Node:
        """A chain of + and - is one node, so that it may be longer than the tree may be deep."""
        terms: list[tuple[exp.Expr, bool]] = []
        while True:
            left, right = self._only(tree, "this", "expression")
            terms.insert(0, (right, isinstance(tree, exp.Sub)))
            if not chained(tree, left):
                break
            tree = left
        terms.insert(0, (left, False))
        nodes = [self.taken(term, Type.FLOAT64, f"{'-' if minus else '+'} takes") for term, minus in terms]
        floats = tuple(coerce(node, Type.FLOAT64) for node in nodes)
        return Call("sum", floats, Type.FLOAT64, raw=True, extra=tuple(minus for _, minus in terms))

    def logic(self, tree: exp.Expr, want: Type | None) -> Node:
        op = "and" if isinstance(tree, exp.And) else "or"
        parts: list[exp.Expr] = []
        while True:
            left, right = self._only(tree, "this", "expression")
            parts.insert(0, right)
            if not chained(tree, left):
                break
            tree = left
        return Call(op, tuple(self.taken(part, Type.BOOL, f"{op} takes") for part in [left, *parts]), Type.BOOL)

    def between(self, tree: exp.Expr, want: Type | None) -> Node:
        parts = self._only(tree, "this", "low", "high")
        for part in parts:
            self._refuse_null(part, "between")
        nodes = self._alike(parts, None, "between")
        if nodes[0].type is Type.BOOL:
            raise refusal(self.text, tree, "between needs an order, and a condition (bool) has none")
        return Call("between", tuple(map(finite, nodes)), Type.BOOL)

    def in_list(self, tree: exp.Expr, want: Type | None) -> Node:
        if not tree.expressions:
            raise refusal(self.text, tree, "in takes a list: inputs.job in ('admin', 'services')")
        (subject,) = self._only(tree, "this", "expressions") if False else [tree.this]
        if any(value for key, value in tree.args.items() if key not in ("this", "expressions")):
            raise self._not_allowed(tree)
        nodes = self._alike([subject, *tree.expressions], None, "in")
        return Call("in", tuple(map(finite, nodes)), Type.BOOL)

    def is_null(self, tree: exp.Expr, want: Type | None) -> Node:
        subject, what = self._only(tree, "this", "expression")
        if not isinstance(what, exp.Null):
            raise refusal(self.text, tree, "is takes null: write `x is null`, `x is not null`, or `x = true`")
        return Call("is null", (finite(self.node(subject)),), Type.BOOL)

    def like(self, tree: exp.Expr, want: Type | None) -> Node:
        subject, pattern = self._only(tree, "this", "expression")
        if not isinstance(pattern, exp.Literal) or not pattern.is_string:
            raise refusal(self.text, pattern, "like takes a pattern in quotes: inputs.job like 'adm%'")
        node = call("like", [self.taken(subject, Type.TEXT, "like takes")], pattern.name)
        return call("not", [node]) if tree.args.get("negate") else node

    def case(self, tree: exp.Expr, want: Type | None) -> Node:
        subject, branches, default = tree.this, tree.args["ifs"], tree.args.get("default")
        values = [branch.args["true"] for branch in branches] + [default or exp.Null()]
        nodes = self._alike(values, want, "case")
        if subject is None:
            tests = [self.taken(branch.this, Type.BOOL, "when takes") for branch in branches]
            head: list[Node] = []
        else:
            head, tests = self._switch(subject, [branch.this for branch in branches])
        pairs = [part for pair in zip(tests, nodes, strict=False) for part in pair]
        raw = any(map(is_raw, nodes))
        return Call("switch" if head else "case", (*head, *pairs, nodes[-1]), nodes[-1].type, raw)

    def _switch(self, subject: exp.Expr, values: list[exp.Expr]) -> tuple[list[Node], list[Node]]:
        for value in values:
            self._refuse_null(value, "when")
        first, *rest = map(finite, self._alike([subject, *values], None, "case"))
        return [first], rest

    def choice(self, tree: exp.Expr, want: Type | None) -> Node:
        """coalesce, least, greatest: any number of arguments of one type."""
        op = {exp.Coalesce: "coalesce", exp.Least: "least", exp.Greatest: "greatest"}[type(tree)]
        nodes = self._alike([tree.this, *tree.expressions], want, op)
        if op != "coalesce" and nodes[0].type is Type.BOOL:
            raise refusal(self.text, tree, f"{op} needs an order, and a condition (bool) has none")
        return Call(op, tuple(map(finite, nodes)), nodes[0].type)

    def nullif(self, tree: exp.Expr, want: Type | None) -> Node:
        nodes = self._alike(self._only(tree, "this", "expression"), want, "nullif")
        return Call("nullif", tuple(map(finite, nodes)), nodes[0].type)

    def round(self, tree: exp.Expr, want: Type | None) -> Node:
        if tree.args.get("decimals") is None:
            return self._function(tree, "round", "this")
        subject, decimals = self._only(tree, "this", "decimals")
        digits = self.node(decimals)
        if not isinstance(digits, Literal) or digits.type is not Type.INT64 or abs(digits.value) > DIGITS_MAX:
            raise refusal(self.text, decimals, f"round takes a whole number of digits from -{DIGITS_MAX} to {DIGITS_MAX}")
        return call("round_to", [self.taken(subject, Type.FLOAT64, "round takes")], digits.value)

    def log(self, tree: exp.Expr, want: Type | None) -> Node:
        """sqlglot reads log10(x) as log(10, x)."""
        base, subject = tree.this, tree.args.get("expression")
        if subject is None or not isinstance(base, exp.Literal) or base.name != "10":
            raise refusal(self.text, tree, "log is ambiguous; write ln(x) or log10(x)")
        return call("log10", [self.taken(subject, Type.FLOAT64, "log10 takes")])

    def cast(self, tree: exp.Expr, want: Type | None) -> Node:
        subject, to = self._only(tree, "this", "to")
        target = to.this.name if isinstance(to, exp.DataType) else ""
        if isinstance(subject, exp.Literal) and subject.is_string and target in constants.DATES:
            return self._date(tree, subject.name, target)
        if target not in TARGETS or to.expressions:
            raise refusal(self.text, tree, f"cannot cast to {to.sql('duckdb')}; there are: double, bigint, text, boolean")
        node = self.node(subject)
        if node.type is None:
            return self._given(node, TARGETS[target], tree) if isinstance(node, Literal) else node
        return self._cast(tree, node, TARGETS[target])

    def _cast(self, tree: exp.Expr, node: Node, target: Type) -> Node:
        kind = node.type
        assert kind is not None  # noqa: S101
        for key in ((kind.value, target), ("number" if kind.is_number else "", target)):
            if key in CASTS:
                op = None if kind is target else CASTS[key]
                return node if op is None else call(op, [finite(node)])
        raise refusal(self.text, tree, f"{_noun(kind)} cannot be cast to {target}")

    def _date(self, tree: exp.Expr, value: str, target: str) -> Node:
        literal = constants.date(value, target)
        if literal is None:
            raise refusal(self.text, tree, f"{value!r} is no date; write date '2008-05-05' or timestamp '2008-05-05 10:30:00'")
        return literal

    def _not_allowed(self, tree: exp.Expr) -> BadInput:
        name = tree.name if isinstance(tree, exp.Anonymous) else ""
        if not name and isinstance(tree, exp.Func):
            name = tree.sql_name().lower()
        close = get_close_matches(name.lower(), NAMES, n=1) if name else []
        what = f"there is no function {name}()" if name and name not in NAMES else f"{written(self.text, tree)} is not allowed"
        suggestion = f"; did you mean {close[0]}()?" if close and close[0] != name else ""
        return refusal(self.text, tree, f"{what}{suggestion}; functions: {', '.join(NAMES)}; and {OTHERS}")


def _noun(type: Type | None) -> str:
    if type is None:
        return "null"
    return NOUNS.get(type, "a number")


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


Handler = Callable[[Checker, Any, Type | None], Node]
HANDLERS: dict[type[exp.Expr], Handler] = {
    exp.Column: Checker.column,
    exp.Bracket: Checker.element,
    exp.Paren: Checker.paren,
    exp.Literal: Checker.literal,
    exp.Boolean: Checker.boolean,
    exp.Null: Checker.null,
    exp.Neg: Checker.negative,
    exp.Add: Checker.sum,
    exp.Sub: Checker.sum,
    exp.And: Checker.logic,
    exp.Or: Checker.logic,
    exp.Between: Checker.between,
    exp.In: Checker.in_list,
    exp.Is: Checker.is_null,
    exp.Like: Checker.like,
    exp.Case: Checker.case,
    exp.Coalesce: Checker.choice,
    exp.Least: Checker.choice,
    exp.Greatest: Checker.choice,
    exp.Nullif: Checker.nullif,
    exp.Round: Checker.round,
    exp.Log: Checker.log,
    exp.Cast: Checker.cast,
}
