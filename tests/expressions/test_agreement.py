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
SOURCES = ("inputs", "outputs", "outcome")
REALS = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.49999999999999994, 1e308, -1e308, 5e-324, 2.0**53, 2.0**63, -(2.0**63)]
REALS += [0.07, 1.005, 2.675, 1e16, 1e-5, 123456.789, math.nan, math.inf, -math.inf, 1.7976931348623157e308]
WHOLES = [0, 1, -1, 5, 17, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
LONGS = [0, 1, 5, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
TEXTS = ["", "a", "A", "ab", "abc", "b%c", "_", "a\nb", "it's", "ß", "İ", "ΑΣ", "ŉ", "é", "e\u0301", "🦆", "ﬀ", "ǆ"]
TEXTS += [
    "17",
    "-0",
    "+5",
    "1e5",
    ".5",
    "5.",
    "1e999",
    "1e-999",
    " 1",
    "1_0",
    "٣",
    "true",
    "FALSE",
    "fal\u017fe",
    "nan",
    "inf",
]
TEXTS += ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "0" * 40 + "7", "9" * 30, "1\n", "a\0b"]
DAYS = ["1970-01-01", "2008-02-29", "0001-01-01", "9999-12-31", "1900-03-01", "1969-12-31", "2100-12-31"]
MOMENTS = [0, -1, 1_210_000_000_123_456, -62_135_596_800_000_000, 253_402_300_799_999_999, 253_402_300_800_000_000]
MOMENTS += [2**63 - 1, -(2**63) + 1, -(2**63) + 10**9]


Rows = dict[str, Any]  # what Expression.evaluate takes


def values(chance: np.random.Generator, kind: Type, size: int) -> list[Any]:
    """Half of them awkward, half of them anything."""
    awkward: dict[Type, list[Any]] = {
        Type.INT64: WHOLES,
        Type.INT8: [-128, 127, 0, 1, 5],
        Type.UINT64: LONGS,
        Type.FLOAT64: REALS,
        Type.FLOAT32: [float(np.float32(x)) for x in (0.0, 0.07, 0.5, 1.0, 2.5, 1e-45, 3e38, math.nan, math.inf, -1.0)],
        Type.TEXT: TEXTS,
        Type.BOOL: [True, False],
        Type.DATE: [int(np.datetime64(day).astype(np.int64)) for day in DAYS] + [2**31 - 1, -(2**31) + 1, 2**31 - 2],
        Type.TIMESTAMP: MOMENTS,
    }
    return [
        awkward[kind][chance.integers(len(awkward[kind]))] if chance.random() < 0.5 else anything(chance, kind)
        for _ in range(size)
    ]


def anything(chance: np.random.Generator, kind: Type) -> Any:
    bits = chance.integers(0, 2**64, dtype=np.uint64)
    if kind is Type.TEXT:
        return "".join(TEXTS[i] for i in chance.integers(len(TEXTS), size=2)) if bits % 2 else anywhere(chance)
    if kind in (Type.INT64, Type.INT8, Type.DATE):
        return int(chance.integers(-20, 100))
    if kind is Type.TIMESTAMP:
        return int(chance.integers(-(10**17), 10**18))
    if kind is Type.FLOAT64:
        return bits.view(np.float64) if bits % 2 else round(chance.normal() * 100, int(bits % 5))
    if kind is Type.FLOAT32:
        return (
            float(np.uint32(bits >> np.uint64(32)).view(np.float32)) if bits % 2 else float(np.float32(chance.random()))
        )
    return bool(bits % 2) if kind is Type.BOOL else int(bits)


def anywhere(chance: np.random.Generator) -> str:
    """Letters from all of Unicode, which are few enough to meet one another."""
    return "".join(chr(code + 2048 * (code >= 0xD800)) for code in chance.integers(0, 0x110000 - 2048, size=3))


def column(field: Field, drawn: list[Any], drawn_valid: list[bool]) -> Column:
    """As codecs build it: anything of the dtype at a null, and None for text."""
    valid = np.array(drawn_valid, bool)
    array = np.empty((len(drawn), *field.shape), field.type.dtype)
    for row, value in enumerate(drawn):
        array[row] = np.int64(value).view(field.type.dtype) if field.type in (Type.DATE, Type.TIMESTAMP) else value
    if field.type is Type.TEXT:
        array[~valid] = None
    return Column(array, None if valid.all() else valid)


def batch_of(seed: int, rows: int) -> Rows:
    chance = np.random.default_rng(seed)

    def one(field: Field) -> Column:
        count = math.prod(field.shape)
        drawn = values(chance, field.type, rows * count)
        rowwise = [drawn[i * count : (i + 1) * count] for i in range(rows)] if field.shape else drawn
        nulls = field.nullable and chance.random() < 0.7
        return column(field, rowwise, (chance.random(rows) < 0.75).tolist() if nulls else [True] * rows)

    sources = {
        name: {field.name: one(field) for field in getattr(SCOPE, name)} for name in ("inputs", "outputs", "outcome")
    }
    return {**sources, "decision": one(Field("decision", Type.BOOL, nullable=True))}


BATCHES = st.builds(batch_of, st.integers(0, 2**32), st.sampled_from([48, 48, 48, 1, 0]))


def quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def number(value: float) -> str:
    return repr(value)


LITERAL_TEXTS = st.one_of(
    st.sampled_from([text for text in TEXTS if "\0" not in text]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
)
NUMBERS: st.SearchStrategy[str] = st.one_of(
    st.sampled_from(["inputs.whole", "inputs.small", "whole", "inputs.long", "inputs.pair[1]", "pair[2]"]),
    st.sampled_from(['inputs."a real"', '"a real"', "outputs.score", "outcome.gain", "outputs.probability"]),
    st.sampled_from(["0", "1", "2", "60", "0.07", "9007199254740993", "18446744073709551615", "1e308", "-1", "3600.0"]),
    st.floats(allow_nan=False, allow_infinity=False).map(number),
    st.integers(-(2**63), 2**64 - 1).map(str),
)
PLAIN_TEXTS = st.one_of(st.sampled_from(["job", "inputs.city", "inputs.job", "city"]), LITERAL_TEXTS.map(quote))
DATES = st.one_of(st.sampled_from(["day", "inputs.day"]), st.sampled_from(DAYS).map(lambda day: f"date '{day}'"))
MOMENT_TEXTS = st.sampled_from(
    ["at", "inputs.at", "timestamp '2008-05-05 10:30:00.25'", "timestamp '1969-12-31 23:59:59'"]
)
CONDITIONS = st.sampled_from(["decision", "member", "inputs.member", "outcome.bought", "true", "false"])
PATTERNS = st.one_of(st.text("ab%_ß🦆", max_size=6), LITERAL_TEXTS)
LEAVES = {"number": NUMBERS, "text": PLAIN_TEXTS, "date": DATES, "moment": MOMENT_TEXTS, "bool": CONDITIONS}
Grow = Callable[[str], str]


def pick(draw: Any, options: list[str]) -> str:
    return str(draw(st.sampled_from(options)))


def grow(draw: Any, kind: str, depth: int) -> str:
    """A random expression of a kind; `draw` chooses, so that failures shrink."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        return str(draw(LEAVES[kind]))

    def a(kind: str) -> str:
        return grow(draw, kind, depth - 1)

    forms = [*FORMS[kind], *GENERAL]
    form: Form = draw(st.sampled_from(forms))
    return form(a, kind, draw)


def many(a: Grow, kind: str, draw: Any) -> str:
    return ", ".join(a(kind) for _ in range(draw(st.integers(1, 3))))


def nullable(a: Grow, kind: str, draw: Any) -> str:
    return "null" if draw(st.integers(0, 4)) == 0 else a(kind)


def ordered(draw: Any) -> str:
    return pick(draw, ["number", "number", "text", "date", "moment"])


def compare(a: Grow, kind: str, draw: Any) -> str:
    kind, sign = ordered(draw), pick(draw, ["=", "<>", "<", "<=", ">", ">="])
    return f"({a(kind)} {sign} {a(kind)})"


def between(a: Grow, kind: str, draw: Any) -> str:
    kind = ordered(draw)
    return f"({a(kind)} {pick(draw, ['', 'not '])}between {a(kind)} and {a(kind)})"


def within(a: Grow, kind: str, draw: Any) -> str:
    kind = pick(draw, ["number", "text", "date", "bool"])
    size = draw(st.sampled_from([1, 2, 3, 12]))
    items = [nullable(a, kind, draw) if size < 5 else draw(LEAVES[kind]) for _ in range(size)]
    return f"({a(kind)} {pick(draw, ['', 'not '])}in ({', '.join(items)}))"


def switch(a: Grow, kind: str, draw: Any) -> str:
    subject = pick(draw, ["number", "text", "bool"])
    whens = " ".join(f"when {a(subject)} then {a(kind)}" for _ in range(draw(st.integers(1, 2))))
    return f"case {a(subject)} {whens} else {nullable(a, kind, draw)} end"


def case(a: Grow, kind: str, draw: Any) -> str:
    otherwise = pick(draw, ["", " else null", f" else {a(kind)}"])
    return f"case when {a('bool')} then {a(kind)} when {a('bool')} then {a(kind)}{otherwise} end"


def extreme(a: Grow, kind: str, draw: Any) -> str:
    name = pick(draw, ["least", "greatest"]) if kind != "bool" else "coalesce"
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
        *[lambda a, kind, draw: f"({a('number')} {pick(draw, list('+-*/%'))} {a('number')})"] * 4,
        lambda a, kind, draw: f"{a('number')} - {a('number')} + {a('number')}",
        lambda a, kind, draw: f"(- {a('number')})",
        lambda a, kind, draw: f"{pick(draw, ['abs', 'sign', 'floor', 'ceil', 'round', 'sqrt'])}({a('number')})",
        lambda a, kind, draw: f"round({a('number')}, {draw(st.integers(-15, 15))})",
        lambda a, kind, draw: f"length({a('text')})",
        lambda a, kind, draw: f"{pick(draw, ['year', 'month', 'day'])}({a(pick(draw, ['date', 'moment']))})",
        lambda a, kind, draw: (
            f"cast({a(pick(draw, ['number', 'text', 'bool']))} as {pick(draw, ['double', 'bigint'])})"
        ),
    ],
    "text": [
        lambda a, kind, draw: f"{pick(draw, ['lower', 'upper'])}({a('text')})",
        lambda a, kind, draw: f"cast({a(pick(draw, ['number', 'text', 'bool', 'date']))} as text)",
    ],
    "date": [],
    "moment": [lambda a, kind, draw: f"coalesce({a('date')}, {a('moment')})"],
    "bool": [
        *[compare] * 4,
        between,
        within,
        lambda a, kind, draw: f"({a('bool')} {pick(draw, ['and', 'or', '=', '<>'])} {a('bool')})",
        lambda a, kind, draw: f"{a('bool')} and {a('bool')} or {a('bool')}",
        lambda a, kind, draw: f"(not {a('bool')})",
        lambda a, kind, draw: f"({a(pick(draw, list(LEAVES)))} is {pick(draw, ['', 'not '])}null)",
        lambda a, kind, draw: f"{pick(draw, ['starts_with', 'contains'])}({a('text')}, {a('text')})",
        lambda a, kind, draw: f"({a('text')} {pick(draw, ['', 'not '])}like {quote(draw(PATTERNS))})",
        lambda a, kind, draw: f"cast({a(pick(draw, ['number', 'text', 'bool']))} as boolean)",
    ],
}


@st.composite
def expressions(draw: Any) -> str:
    kind = pick(draw, ["number", "bool", "number", "bool", "text", "date", "moment"])
    return grow(draw, kind, draw(st.sampled_from([1, 1, 2, 2, 3, 4])))


def arrow(field: Field, column: Column) -> Any:
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


def table(batch: Rows) -> pa.Table:
    columns: dict[str, Any] = {"decision": arrow(Field("decision", Type.BOOL), batch["decision"])}
    for source in SOURCES:
        fields = getattr(SCOPE, source)
        arrays = [arrow(field, batch[source][field.name]) for field in fields]
        columns[source] = pa.StructArray.from_arrays(arrays, names=[field.name for field in fields])
    return pa.table({"row": pa.array(range(len(batch["decision"]))), **columns})


@pytest.fixture(scope="module")
def database() -> Any:
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        yield connection


def in_numpy(texts: list[str], batch: Rows) -> list[list[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [plain(parse(text, SCOPE).evaluate(batch), len(batch["decision"])) for text in texts]


def plain(answer: Column, rows: int) -> list[Any]:
    assert len(answer) == rows
    valid = [True] * rows if answer.valid is None else answer.valid.tolist()
    return [value if ok else None for value, ok in zip(answer.values.tolist(), valid, strict=True)]


def in_duckdb(database: Any, texts: list[str], batch: Rows) -> list[list[Any]]:
    given = table(batch)
    database.register("given", given)
    answers = ", ".join(f"{parse(text, SCOPE).duckdb()} as a{i}" for i, text in enumerate(texts))
    rows = database.execute(f"select {answers} from given order by row").fetchall()
    return [[row[i] for row in rows] for i in range(len(texts))]


def check_same(database: Any, texts: list[str], batch: Rows) -> None:
    for text, ours, theirs in zip(texts, in_numpy(texts, batch), in_duckdb(database, texts, batch), strict=True):
        assert ours == theirs, text


SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck))
MANY = st.lists(expressions(), min_size=6, max_size=6)


@given(texts=MANY, batch=BATCHES)
@settings(SETTINGS, max_examples=60)
def test_any_expression_over_any_data_is_the_same_in_both(database: Any, texts: list[str], batch: Rows) -> None:
    check_same(database, texts, batch)


@pytest.mark.slow
@given(texts=MANY, batch=BATCHES)
@settings(SETTINGS, max_examples=400)  # 2,400 expressions over some 19,000 rows each run
def test_any_of_thousands_is_the_same_in_both(database: Any, texts: list[str], batch: Rows) -> None:
    check_same(database, texts, batch)


TRANSCENDENTAL = ["exp({} / 1e3)", "ln({})", "log10({})", "power({}, 0.5)", "power({}, 3)", "power(0.5, {})"]


@given(form=st.sampled_from(TRANSCENDENTAL), subject=NUMBERS, batch=BATCHES)
@settings(SETTINGS, max_examples=100)
def test_transcendental_functions_differ_at_most_in_the_last_digits(
    database: Any, form: str, subject: str, batch: Rows
) -> None:
    texts = [form.format(f"({subject})")]
    (ours,), (theirs,) = in_numpy(texts, batch), in_duckdb(database, texts, batch)
    assert [value is None for value in ours] == [value is None for value in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one is None or math.isclose(one, other, rel_tol=1e-14, abs_tol=5e-323)


PAIRS: dict[Type, list[Any]] = {Type.FLOAT64: REALS, Type.INT64: WHOLES, Type.TEXT: TEXTS}
SIGNS = ["=", "<>", "<", "<=", ">", ">="]
OVER_PAIRS: dict[Type, list[str]] = {
    Type.FLOAT64: [
        *(f"a {sign} b" for sign in [*SIGNS, *"+-*/%"]),
        *("abs(a)", "sign(a)", "floor(a)", "ceil(a)", "round(a)", "sqrt(a)", "-a", "a is null", "nullif(a, b)"),
        *(f"round(a, {digits})" for digits in range(-15, 16)),
        *("1 / (a * b)", "a % (b * 10)", "sign(a * b)", "exp(a * b) is null", "power(a, b) is null", "ln(a) is null"),
        *("least(a, b)", "greatest(a, b)", "least(a * b, 1)", "greatest(a / b, null, 1)", "coalesce(a / b, b)"),
        *(
            "a between b and 2",
            "0.5 between a and b",
            "a in (b, 0.07, null)",
            "a in (0, 1, 2.5, 3, 4, 5, 6, 7, 8, 0.5)",
        ),
        *("case a when b then 1 when 0 then 2 end", "case when a > b then a * b else b end"),
        *("cast(a as text)", "cast(a as bigint)", "cast(a as boolean)"),
    ],
    Type.INT64: [
        *(f"a {sign} b" for sign in [*SIGNS, *"+-*/%"]),
        *("least(a, b)", "greatest(a, b)", "nullif(a, b)", "coalesce(a, b)", "a in (b, null)", "a between b and 17"),
        *(
            "a = 9007199254740992.0",
            "a = 9007199254740992",
            "a < 18446744073709551615",
            "a in (5, 9223372036854775808)",
        ),
        *("cast(a as double)", "cast(a as text)", "cast(a as boolean)", "round(a)", "round(a, -1)", "-a", "abs(a)"),
        "a in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9007199254740993)",
    ],
    Type.TEXT: [
        *(f"a {sign} b" for sign in SIGNS),
        *("least(a, b)", "greatest(a, b)", "nullif(a, b)", "coalesce(a, b)", "starts_with(a, b)", "contains(a, b)"),
        *("lower(a)", "upper(a)", "length(a)", "cast(a as double)", "cast(a as bigint)", "cast(a as boolean)"),
        *(f"a like '{pattern}'" for pattern in ["", "%", "_", "__", "a%", "%b", "a_b", "_%_", "%a%b%", "%1%", "b%c"]),
        "a in ('', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'ß')",
    ],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in OVER_PAIRS.items() for text in texts])
def test_every_operation_is_the_same_in_both_for_every_pair_of_awkward_values(
    database: Any, kind: Type, text: str
) -> None:
    options = [*PAIRS[kind], None]
    scope = Scope(inputs=(Field("a", kind, nullable=True), Field("b", kind, nullable=True)))
    pairs = [(a, b) for a in options for b in options]
    columns = {field.name: nullable_column(field, [pair[i] for pair in pairs]) for i, field in enumerate(scope.inputs)}
    expression = parse(text, scope)
    ours = plain(expression.evaluate({"inputs": columns}), len(pairs))
    arrays = [arrow(field, columns[field.name]) for field in scope.inputs]
    given = pa.table({"inputs": pa.StructArray.from_arrays(arrays, names=["a", "b"])})
    database.register("given", given)
    theirs = [row[0] for row in database.execute(f"select {expression.duckdb()} from given").fetchall()]
    assert [(*pair, x) for pair, x in zip(pairs, ours, strict=True)] == [
        (*pair, x) for pair, x in zip(pairs, theirs, strict=True)
    ]


def nullable_column(field: Field, drawn: list[Any]) -> Column:
    filler = "" if field.type is Type.TEXT else 0
    return column(field, [filler if x is None else x for x in drawn], [x is not None for x in drawn])


@pytest.mark.slow
@pytest.mark.parametrize("text", ["lower(a)", "upper(a)", "length(a)", "a < 'ﬀ'", "a like '_'"])
def test_every_letter_of_unicode_is_the_same_in_both(database: Any, text: str) -> None:
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    expression = parse(text, Scope(inputs=(Field("a", Type.TEXT),)))
    ours = expression.evaluate({"inputs": {"a": Column(np.array(letters, object))}}).values
    given = pa.table({"inputs": pa.StructArray.from_arrays([pa.array(letters)], names=["a"])})
    database.register("given", given)
    theirs = database.execute(f"select {expression.duckdb()} as a from given").fetchall()
    pairs = zip(letters, ours.tolist(), theirs, strict=True)
    assert [(letter, one, other) for letter, one, (other,) in pairs if one != other] == []
