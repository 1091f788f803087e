"""Every operation whose value is null wherever an argument is null: its types, its NumPy form and its DuckDB form.

A new function is one line here and one in `check.FUNCTIONS`; the property tests then compare both forms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payoff.expressions import words
from payoff.expressions.tree import Call, Node, coerce, finite
from payoff.records import Type

Array = NDArray[Any]
F, W, B, T = Type.FLOAT64, Type.INT64, Type.BOOL, Type.TEXT
_F64 = np.dtype(np.float64)


@dataclass(frozen=True, slots=True)
class Operator:
    """`takes`: a type per argument, empty for any. `values`: over arrays or scalars, with `extra` last if there is one.

    `settle`: the arguments that must be finite because an infinity would not stay one (1 / inf = 0). `raw`: the result
    may be NaN or infinite. `partial`: `values` answers (values, valid). `sql`: {0} {1} arguments, {extra} the constant.
    """

    gives: Type
    values: Callable[..., Any]
    sql: str
    takes: tuple[Type, ...] = ()
    settle: tuple[int, ...] = ()
    raw: bool = False
    partial: bool = False


def call(op: str, args: list[Node], extra: Any = None) -> Call:
    """The node of an operation, its arguments finite where they must be and floats where it calculates."""
    operator = OPERATORS[op]
    wide = [coerce(arg, F) if i < len(operator.takes) and operator.takes[i] is F else arg for i, arg in enumerate(args)]
    settled = tuple(finite(arg) if i in operator.settle else arg for i, arg in enumerate(wide))
    return Call(op, settled, operator.gives, operator.raw, extra)


def each(function: Callable[..., Any], dtype: Any) -> Callable[..., Array]:
    """Element by element: NumPy has no vectorised form for texts held as objects."""
    kind = np.dtype(dtype)

    def values(*args: Any) -> Array:
        found: Array = np.asarray(np.frompyfunc(function, len(args), 1)(*args), dtype=object)
        return found.astype(kind, copy=False)

    return values


def each_or_null(function: Callable[[str], Any], dtype: Any) -> Callable[[Any], tuple[Array, Array]]:
    """Element by element, where None is null."""

    def values(texts: Any) -> tuple[Array, Array]:
        found = each(function, object)(texts)
        valid = each(lambda value: value is not None, bool)(found)
        return np.where(valid, found, 0).astype(dtype), valid

    return values


def half_away(numbers: Array) -> Array:
    """Rounded to whole numbers, halves away from zero; x - trunc(x) is exact, x + 0.5 is not."""
    whole = np.trunc(numbers)
    rounded: Array = whole + np.copysign(np.abs(numbers - whole) >= 0.5, numbers)
    return rounded


def round_to(numbers: Array, digits: int) -> Array:
    """As DuckDB: scaled, rounded, scaled back; a number too large for that is its own rounding."""
    scale = 10.0 ** abs(digits)
    rounded = half_away(numbers * scale) / scale if digits > 0 else half_away(numbers / scale) * scale
    return np.where(np.isfinite(rounded), rounded, numbers)


def _to_bigint(numbers: Array) -> tuple[Array, Array]:
    whole = half_away(numbers)
    valid = (whole >= -(2.0**63)) & (whole < 2.0**63)
    return np.where(valid, whole, 0.0).astype(np.int64), valid


def _narrowed(numbers: Array) -> tuple[Array, Array]:
    valid = numbers < np.uint64(2**63)
    return np.where(valid, numbers, np.uint64(0)).astype(np.int64), valid


def _text_of_float(number: float) -> str:
    return repr(float(number) + 0.0)  # + 0.0: minus zero is zero


def _year(dates: Array) -> Array:
    return dates.astype("datetime64[Y]").astype(np.int64) + 1970


def _month(dates: Array) -> Array:
    return dates.astype("datetime64[M]").astype(np.int64) % 12 + 1


def _day(dates: Array) -> Array:
    days = dates.astype("datetime64[D]")
    since: Array = days - days.astype("datetime64[M]").astype("datetime64[D]")
    return since.astype(np.int64) + 1


def _like(texts: Array, pattern: str) -> Array:
    return each(words.like(pattern), bool)(texts)


def _float(values: Any) -> Any:
    return np.asarray(values).astype(_F64)


def _number(values: Callable[..., Any], sql: str, settle: tuple[int, ...] = (), raw: bool = True) -> Operator:
    return Operator(F, values, sql, (F,) * (2 if "{1}" in sql else 1), settle, raw)


def _comparison(values: Callable[..., Any], sign: str) -> Operator:
    return Operator(B, values, f"({{0}} {sign} {{1}})", (), (0, 1))


OPERATORS: dict[str, Operator] = {
    "not": Operator(B, np.logical_not, "(NOT {0})", (B,)),
    "=": _comparison(np.equal, "="),
    "<>": _comparison(np.not_equal, "<>"),
    "<": _comparison(np.less, "<"),
    "<=": _comparison(np.less_equal, "<="),
    ">": _comparison(np.greater, ">"),
    ">=": _comparison(np.greater_equal, ">="),
    "neg": _number(np.negative, "(-{0})"),
    "*": _number(np.multiply, "({0} * {1})"),
    "/": _number(np.divide, "({0} / {1})", settle=(1,)),
    "%": _number(np.fmod, "({0} % {1})", settle=(1,)),  # the sign of the dividend, as SQL has it
    "abs": _number(np.abs, "abs({0})"),
    "sign": _number(np.sign, "CAST(sign({0}) AS DOUBLE)", settle=(0,), raw=False),
    "floor": _number(np.floor, "floor({0})"),
    "ceil": _number(np.ceil, "ceil({0})"),
    "round": _number(half_away, "round({0})"),
    "round_to": _number(round_to, "round({0}, {extra})"),
    "sqrt": _number(np.sqrt, "sqrt({0})"),
    "exp": _number(np.exp, "exp({0})", settle=(0,)),
    "ln": _number(np.log, "ln({0})"),
    "log10": _number(np.log10, "log10({0})"),
    "power": _number(np.power, "power({0}, {1})", settle=(0, 1)),
    "lower": Operator(T, each(words.lower, object), "lower({0})", (T,)),
    "upper": Operator(T, each(words.upper, object), "upper({0})", (T,)),
    "length": Operator(W, each(len, np.int64), "length({0})", (T,)),
    "starts_with": Operator(B, each(str.startswith, bool), "starts_with({0}, {1})", (T, T)),
    "contains": Operator(B, each(str.__contains__, bool), "contains({0}, {1})", (T, T)),
    "like": Operator(B, _like, "({0} LIKE {extra})", (T,)),
    "year": Operator(W, _year, "year({0})", (), (0,)),
    "month": Operator(W, _month, "month({0})", (), (0,)),
    "day": Operator(W, _day, "day({0})", (), (0,)),
    # casts, named by what they take and give; texts that spell nothing become null
    "to_double": Operator(F, _float, "CAST({0} AS DOUBLE)"),
    "to_timestamp": Operator(
        Type.TIMESTAMP, lambda dates: dates.astype("datetime64[us]"), "CAST({0} AS TIMESTAMP)", (), (0,)
    ),
    "bool_to_bigint": Operator(W, lambda values: np.asarray(values).astype(np.int64), "CAST({0} AS BIGINT)"),
    "uint64_to_bigint": Operator(W, _narrowed, "TRY_CAST({0} AS BIGINT)", partial=True),
    "double_to_bigint": Operator(W, _to_bigint, "TRY_CAST(round({0}) AS BIGINT)", (F,), (0,), partial=True),
    "number_to_boolean": Operator(B, lambda numbers: np.not_equal(numbers, 0), "({0} <> 0)", (), (0,)),
    "text_to_double": Operator(
        F, each(words.to_double, _F64), f"TRY_CAST(regexp_extract({{0}}, '^({words.DECIMAL})$') AS DOUBLE)", raw=True
    ),
    "text_to_bigint": Operator(
        W,
        each_or_null(words.to_bigint, np.int64),
        f"TRY_CAST(regexp_extract({{0}}, '^({words.INTEGER})$') AS BIGINT)",
        partial=True,
    ),
    "text_to_boolean": Operator(
        B,
        each_or_null(words.to_boolean, bool),
        f"TRY_CAST(regexp_extract({{0}}, '^({words.BOOLEAN})$') AS BOOLEAN)",
        partial=True,
    ),
    "bool_to_text": Operator(T, each(lambda value: "true" if value else "false", object), "CAST({0} AS VARCHAR)"),
    "int_to_text": Operator(T, each(lambda value: str(int(value)), object), "CAST({0} AS VARCHAR)"),
    "double_to_text": Operator(T, each(_text_of_float, object), "CAST({0} + 0e0 AS VARCHAR)", (F,), (0,)),
    "date_to_text": Operator(T, each(str, object), "CAST({0} AS VARCHAR)", (), (0,)),
}
