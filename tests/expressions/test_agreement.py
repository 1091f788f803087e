"""NumPy and DuckDB must give the same value for any expression and any data, nulls and infinities included."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payoff.expressions import Scope, parse
from payoff.records import Column, Field, Type

SCOPE = Scope(
    inputs=(
        Field("whole", Type.INT64, nullable=True),
        Field("small", Type.INT8, nullable=True),
        Field("long", Type.UINT64, nullable=True),
        Field("a real", Type.FLOAT64, nullable=True),
        Field("job", Type.TEXT, nullable=True),
        Field("city", Type.TEXT, nullable=True),
        Field("member", Type.BOOL, nullable=True),
        Field("day", Type.DATE, nullable=True),
        Field("at", Type.TIMESTAMP, nullable=True),
        Field("pair", Type.FLOAT64, (2,)),
    ),
    outputs=(Field("probability", Type.FLOAT32), Field("score", Type.FLOAT64)),
    outcome=(Field("gain", Type.FLOAT64, nullable=True), Field("bought", Type.BOOL, nullable=True)),
    decision=Type.BOOL,
)
REALS = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.49999999999999994, 1e308, -1e308, 5e-324, 2.0**53, 2.0**63, -(2.0**63)]
REALS += [0.07, 1.005, 2.675, 1e16, 1e-5, 123456.789, math.nan, math.inf, -math.inf, 1.7976931348623157e308]
WHOLES = [0, 1, -1, 5, 17, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
LONGS = [0, 1, 5, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
TEXTS = ["", "a", "A", "ab", "abc", "b%c", "_", "a\nb", "it's", "ß", "İ", "ΑΣ", "ŉ", "é", "e\u0301", "🦆", "ﬀ", "ǆ"]
TEXTS += ["17", "-0", "+5", "1e5", ".5", "5.", "1e999", "1e-999", " 1", "1_0", "٣", "true", "FALSE", "falſe", "nan", "inf"]
TEXTS += ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "0" * 40 + "7", "9" * 30, "1\n", "a\0b"]
DAYS = ["1970-01-01", "2008-02-29", "0001-01-01", "9999-12-31", "1900-03-01", "1969-12-31", "2100-12-31"]
MOMENTS = [0, -1, 1_210_000_000_123_456, -62_135_596_800_000_000, 253_402_300_799_999_999, 253_402_300_800_000_000]
MOMENTS += [2**63 - 1, -(2**63) + 1, -(2**63) + 10**9]
SINGLES = st.floats(width=32)
EVERY_REAL = st.one_of(st.sampled_from(REALS), st.floats())
EVERY_WHOLE = st.one_of(st.sampled_from(WHOLES), st.integers(-5, 20), st.integers(-(2**63), 2**63 - 1))
EVERY_TEXT = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(codec="utf-8"), max_size=6), st.floats().map(repr))
VALUES: dict[Type, st.SearchStrategy[Any]] = {
    Type.INT64: EVERY_WHOLE,
    Type.INT8: st.integers(-128, 127),
    Type.UINT64: st.one_of(st.sampled_from(LONGS), st.integers(0, 2**64 - 1)),
    Type.FLOAT64: EVERY_REAL,
    Type.FLOAT32: st.one_of(SINGLES, st.sampled_from([0.07, 0.5, 0.0, 1.0]).map(lambda x: float(np.float32(x)))),
    Type.TEXT: EVERY_TEXT,
    Type.BOOL: st.booleans(),
    Type.DATE: st.one_of(
        st.sampled_from([np.datetime64(day).astype(int) for day in DAYS]), st.integers(-(2**31) + 1, 2**31 - 1)
    ),
    Type.TIMESTAMP: st.one_of(st.sampled_from(MOMENTS), st.integers(-(10**17), 10**18)),
}


def column(field: Field, values: list[Any], drawn_valid: list[bool]) -> Column:
    """As codecs build it: anything of the dtype at a null, and None for text."""
    valid = np.array(drawn_valid, bool)
    array = np.empty((len(values), *field.shape), field.type.dtype)
    for row, value in enumerate(values):
        array[row] = np.int64(value).view(field.type.dtype) if field.type in (Type.DATE, Type.TIMESTAMP) else value
    if field.type is Type.TEXT:
        array[~valid] = None
    return Column(array, None if valid.all() else valid)


@st.composite
def batches(draw: Any) -> dict[str, Any]:
    rows = draw(st.sampled_from([0, 1, 2, 7]))

    def one(field: Field) -> Column:
        count = math.prod(field.shape)
        drawn = draw(st.lists(VALUES[field.type], min_size=rows * count, max_size=rows * count))
        values = [drawn[i * count : (i + 1) * count] for i in range(rows)] if field.shape else drawn
        null = st.integers(0, 3).map(bool)
        nulls = field.nullable and draw(st.booleans())
        return column(field, values, draw(st.lists(null, min_size=rows, max_size=rows)) if nulls else [True] * rows)

    sources = {name: {field.name: one(field) for field in getattr(SCOPE, name)} for name in ("inputs", "outputs", "outcome")}
    return {**sources, "decision": one(Field("decision", Type.BOOL, nullable=True))}


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def number(value: float) -> str:
    return repr(value)


LITERAL_TEXTS = st.one_of(
    st.sampled_from([text for text in TEXTS if "\0" not in text]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
)
NUMBERS: st.SearchStrategy[str] = st.one_of(
    st.sampled_from("inputs.whole inputs.small whole small inputs.long inputs.pair[1] pair[2] outputs.probability".split()),
    st.sampled_from(['inputs."a real"', '"a real"', "outputs.score", "outcome.gain", "probability"]),
    st.sampled_from(["0", "1", "2", "60", "0.07", "9007199254740993", "18446744073709551615", "1e308", "-1", "3600.0"]),
    st.floats(allow_nan=False, allow_infinity=False).map(number),
    st.integers(-(2**63), 2**64 - 1).map(str),
)
PLAIN_TEXTS = st.one_of(st.sampled_from(["job", "inputs.city", "inputs.job", "city"]), LITERAL_TEXTS.map(quote))
DATES = st.one_of(st.sampled_from(["day", "inputs.day"]), st.sampled_from(DAYS).map(lambda day: f"date '{day}'"))
MOMENT_TEXTS = st.sampled_from(["at", "inputs.at", "timestamp '2008-05-05 10:30:00.25'", "timestamp '1969-12-31 23:59:59'"])
CONDITIONS = st.sampled_from(["decision", "member", "inputs.member", "outcome.bought", "true", "false"])
PATTERNS = st.one_of(st.text("ab%_ß🦆", max_size=6), LITERAL_TEXTS)
LEAVES = {"number": NUMBERS, "text": PLAIN_TEXTS, "date": DATES, "moment": MOMENT_TEXTS, "bool": CONDITIONS}
Grow = Callable[[str], str]


def grow(draw: Any, kind: str, depth: int) -> str:
    """A random expression of a kind; `draw` chooses, so that failures shrink."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return draw(LEAVES[kind])

    def a(kind: str) -> str:
        return grow(draw, kind, depth - 1)

    forms = [*FORMS[kind], *GENERAL]
    return forms[draw(st.integers(0, len(forms) - 1))](a, kind, draw)


def many(a: Grow, kind: str, draw: Any) -> str:
    return ", ".join(a(kind) for _ in range(draw(st.integers(1, 3))))


def nullable(a: Grow, kind: str, draw: Any) -> str:
    return "null" if draw(st.integers(0, 4)) == 0 else a(kind)


def ordered(draw: Any) -> str:
    return draw(st.sampled_from(["number", "number", "text", "date", "moment"]))


def compare(a: Grow, kind: str, draw: Any) -> str:
    kind, sign = ordered(draw), draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">="]))
    return f"({a(kind)} {sign} {a(kind)})"


def between(a: Grow, kind: str, draw: Any) -> str:
    kind = ordered(draw)
    return f"({a(kind)} {draw(st.sampled_from(['', 'not ']))}between {a(kind)} and {a(kind)})"


def within(a: Grow, kind: str, draw: Any) -> str:
    kind = draw(st.sampled_from(["number", "text", "date", "bool"]))
    size = draw(st.sampled_from([1, 2, 3, 12]))
    items = [nullable(a, kind, draw) if size < 5 else draw(LEAVES[kind]) for _ in range(size)]
    return f"({a(kind)} {draw(st.sampled_from(['', 'not ']))}in ({', '.join(items)}))"


def switch(a: Grow, kind: str, draw: Any) -> str:
    subject = draw(st.sampled_from(["number", "text", "bool"]))
    whens = " ".join(f"when {a(subject)} then {a(kind)}" for _ in range(draw(st.integers(1, 2))))
    return f"case {a(subject)} {whens} else {nullable(a, kind, draw)} end"


def case(a: Grow, kind: str, draw: Any) -> str:
    otherwise = draw(st.sampled_from(["", " else null", f" else {a(kind)}"]))
    return f"case when {a('bool')} then {a(kind)} when {a('bool')} then {a(kind)}{otherwise} end"


def extreme(a: Grow, kind: str, draw: Any) -> str:
    name = draw(st.sampled_from(["least", "greatest"])) if kind != "bool" else "coalesce"
    return f"{name}({many(a, kind, draw)})"


Form = Callable[[Grow, str, Any], str]
GENERAL: list[Form] = [
    case,
    switch,
    extreme,
    lambda a, kind, draw: f"coalesce({many(a, kind, draw)}, {nullable(a, kind, draw)})",
    lambda a, kind, draw: f"nullif({a(kind)}, {a(kind)})",
]
FORMS: dict[str, list[Form]] = {
    "number": [
        *[lambda a, kind, draw: f"({a('number')} {draw(st.sampled_from('+-*/%'))} {a('number')})"] * 4,
        lambda a, kind, draw: f"{a('number')} - {a('number')} + {a('number')}",
        lambda a, kind, draw: f"(- {a('number')})",
        lambda a, kind, draw: f"{draw(st.sampled_from(['abs', 'sign', 'floor', 'ceil', 'round', 'sqrt']))}({a('number')})",
        lambda a, kind, draw: f"round({a('number')}, {draw(st.integers(-15, 15))})",
        lambda a, kind, draw: f"length({a('text')})",
        lambda a, kind, draw: f"{draw(st.sampled_from(['year', 'month', 'day']))}({a(draw(st.sampled_from(['date', 'moment'])))})",
        lambda a, kind, draw: (
            f"cast({a(draw(st.sampled_from(['number', 'text', 'bool'])))} as {draw(st.sampled_from(['double', 'bigint']))})"
        ),
    ],
    "text": [
        lambda a, kind, draw: f"{draw(st.sampled_from(['lower', 'upper']))}({a('text')})",
        lambda a, kind, draw: f"cast({a(draw(st.sampled_from(['number', 'text', 'bool', 'date'])))} as text)",
    ],
    "date": [],
    "moment": [lambda a, kind, draw: f"coalesce({a('date')}, {a('moment')})"],
    "bool": [
        *[compare] * 4,
        between,
        within,
        lambda a, kind, draw: f"({a('bool')} {draw(st.sampled_from(['and', 'or', '=', '<>']))} {a('bool')})",
        lambda a, kind, draw: f"{a('bool')} and {a('bool')} or {a('bool')}",
        lambda a, kind, draw: f"(not {a('bool')})",
        lambda a, kind, draw: f"({a(draw(st.sampled_from(list(LEAVES))))} is {draw(st.sampled_from(['', 'not ']))}null)",
        lambda a, kind, draw: f"{draw(st.sampled_from(['starts_with', 'contains']))}({a('text')}, {a('text')})",
        lambda a, kind, draw: f"({a('text')} {draw(st.sampled_from(['', 'not ']))}like {quote(draw(PATTERNS))})",
        lambda a, kind, draw: f"cast({a(draw(st.sampled_from(['number', 'text', 'bool'])))} as boolean)",
    ],
}


@st.composite
def expressions(draw: Any) -> str:
    kind = draw(st.sampled_from(["number", "bool", "number", "bool", "text", "date", "moment"]))
    return grow(draw, kind, draw(st.integers(1, 4)))


def arrow(field: Field, column: Column) -> pa.Array:
    values = column.values
    if field.type is Type.FLOAT32:
        values = values.astype(np.float64)  # how a table holds it: widened, exactly
    if field.shape:
        return pa.array(values.tolist(), pa.list_(pa.float64()))
    types = {Type.TEXT: pa.string(), Type.DATE: pa.date32(), Type.TIMESTAMP: pa.timestamp("us")}
    mask = None if column.valid is None else ~column.valid
    if field.type is Type.DATE:
        return pa.array(values.astype(np.int32), mask=mask).cast(pa.date32())
    if field.type is Type.TIMESTAMP:
        return pa.array(values.astype(np.int64), mask=mask).cast(pa.timestamp("us"))
    if field.type is Type.INT8:
        values = values.astype(np.int64)
    return pa.array(values, types.get(field.type), mask=mask)


def table(batch: dict[str, Any]) -> pa.Table:
    columns: dict[str, pa.Array] = {"decision": arrow(Field("decision", Type.BOOL), batch["decision"])}
    for source in ("inputs", "outputs", "outcome"):
        fields = getattr(SCOPE, source)
        arrays = [arrow(field, batch[source][field.name]) for field in fields]
        columns[source] = pa.StructArray.from_arrays(arrays, names=[field.name for field in fields])
    return pa.table({"row": pa.array(range(len(batch["decision"]))), **columns})


@pytest.fixture(scope="module")
def database() -> Any:
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        yield connection


def in_numpy(text: str, batch: dict[str, Any]) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = parse(text, SCOPE).evaluate(batch)
    valid = [True] * len(answer) if answer.valid is None else answer.valid.tolist()
    assert len(valid) == len(answer)
    return [value if ok else None for value, ok in zip(answer.values.tolist(), valid, strict=True)]


def in_duckdb(database: Any, text: str, batch: dict[str, Any]) -> list[Any]:
    given = table(batch)
    database.register("given", given)
    rows = database.execute(f"select {parse(text, SCOPE).duckdb()} as answer from given order by row").fetchall()
    return [row[0] for row in rows]


SETTINGS = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
)


@given(text=expressions(), batch=batches())
@settings(SETTINGS, max_examples=300)
def test_any_expression_over_any_data_is_the_same_in_both(database: Any, text: str, batch: dict[str, Any]) -> None:
    assert in_numpy(text, batch) == in_duckdb(database, text, batch)


@pytest.mark.slow
@given(text=expressions(), batch=batches())
@settings(SETTINGS, max_examples=6000)
def test_any_of_thousands_is_the_same_in_both(database: Any, text: str, batch: dict[str, Any]) -> None:
    assert in_numpy(text, batch) == in_duckdb(database, text, batch)


@given(
    name=st.sampled_from(["exp(({}) / 1e3)", "ln({})", "log10({})", "power({}, 0.5)", "power({}, 3)", "power(0.5, {})"]),
    subject=NUMBERS,
    batch=batches(),
)
@settings(SETTINGS, max_examples=200)
def test_transcendental_functions_differ_at_most_in_the_last_digits(
    database: Any, name: str, subject: str, batch: dict[str, Any]
) -> None:
    ours, theirs = in_numpy(name.format(subject), batch), in_duckdb(database, name.format(subject), batch)
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None) == (other is None)
        assert one is None or math.isclose(one, other, rel_tol=1e-14, abs_tol=5e-323)
