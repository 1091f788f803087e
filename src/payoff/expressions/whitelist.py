"""What may be written: sqlglot's node kinds that are plain operations, casts, and the names to list in a refusal.

Kinds with rules of their own (case, in, columns) are in `kinds.HANDLERS`. Anything in neither is refused.
"""

from sqlglot import exp

from payoff.expressions.operators import OPERATORS
from payoff.records import Type

FUNCTIONS: dict[type[exp.Expr], tuple[str, ...]] = {  # the operator, then sqlglot's keys of its arguments
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
CHOICES: dict[type[exp.Expr], str] = {exp.Coalesce: "coalesce", exp.Least: "least", exp.Greatest: "greatest"}

TARGETS = {"DOUBLE": Type.FLOAT64, "BIGINT": Type.INT64, "TEXT": Type.TEXT, "BOOLEAN": Type.BOOL}
CASTS: dict[tuple[Type, Type], str] = {
    (Type.INT64, Type.FLOAT64): "to_double",
    (Type.UINT64, Type.FLOAT64): "to_double",
    (Type.BOOL, Type.FLOAT64): "to_double",
    (Type.TEXT, Type.FLOAT64): "text_to_double",
    (Type.UINT64, Type.INT64): "uint64_to_bigint",
    (Type.FLOAT64, Type.INT64): "double_to_bigint",
    (Type.BOOL, Type.INT64): "bool_to_bigint",
    (Type.TEXT, Type.INT64): "text_to_bigint",
    (Type.INT64, Type.BOOL): "number_to_boolean",
    (Type.UINT64, Type.BOOL): "number_to_boolean",
    (Type.FLOAT64, Type.BOOL): "number_to_boolean",
    (Type.TEXT, Type.BOOL): "text_to_boolean",
    (Type.BOOL, Type.TEXT): "bool_to_text",
    (Type.INT64, Type.TEXT): "int_to_text",
    (Type.UINT64, Type.TEXT): "int_to_text",
    (Type.FLOAT64, Type.TEXT): "double_to_text",
    (Type.DATE, Type.TEXT): "date_to_text",
}

NAMES = sorted(
    {op for op, *_ in FUNCTIONS.values() if op[0].isalpha() and op != "not"}
    | {*DATE_PARTS.values(), *CHOICES.values(), "round", "log10", "nullif", "cast", "case"}
)
ALLOWED = (
    f"functions: {', '.join(NAMES)}; operators: + - * / %, = <> < <= > >=, and, or, not, between, in (...), "
    "is [not] null, like"
)
assert all(op in OPERATORS for op, *_ in FUNCTIONS.values())  # noqa: S101
