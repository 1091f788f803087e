"""Rules: an SQL expression as a model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.errors import BadInput, ModelFailed
from payoff.flavors.flavor import Prepared
from payoff.flavors.golden import check
from payoff.flavors.recognise import recognise
from payoff.flavors.rule import FLAVOR, compiled, runner
from payoff.records.columns import Column
from payoff.records.model import Served
from payoff.records.signature import Field, Signature, Type
from tests.flavors.arrivals import Around, answers, prepared

SENIORS = """\
# who is worth a call
rule: case when inputs.age > 60 and inputs.balance > 1000 then 0.9 else 0.1 end
output: probability
inputs: {age: int64, balance: float64}
"""


def write(folder: Path, text: str, name: str = "rule.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def ask(made: Prepared, **values: list[Any]) -> dict[str, list[Any]]:
    around = Around()
    return answers(around.load(around.keep(made)).run, made.signature, **values)


def test_a_rule_in_yaml_answers_what_its_expression_says(tmp_path: Path) -> None:
    made = prepared(write(tmp_path, SENIORS))
    assert made.signature == Signature(
        (Field("age", Type.INT64), Field("balance", Type.FLOAT64)), (Field("probability", Type.FLOAT64),)
    )
    assert made.served_flavor == "rule"
    assert made.golden_path is None
    assert ask(made, age=[70, 70, 20], balance=[2e3, 10, 2e3]) == {"probability": [0.9, 0.1, 0.1]}


def test_a_file_with_one_expression_takes_its_types_from_the_sample(tmp_path: Path) -> None:
    text = "-- who is worth a call\ncase when inputs.age > 60 then 'yes' else 'no -- really' end -- else not\n;\n"
    made = prepared(write(tmp_path, text, "seniors.sql"), {"id": ["a", "b"], "age": [61, 20]})
    assert made.signature == Signature((Field("age", Type.INT64),), (Field("prediction", Type.TEXT),))
    assert ask(made, age=[61, 20]) == {"prediction": ["yes", "no -- really"]}
    assert made.golden_path is not None
    around = Around()
    check(around.load(around.keep(made)).run, made.golden_path, made.signature)


def test_an_output_may_read_those_before_it(tmp_path: Path) -> None:
    text = """
outputs:
  probability: least(1, inputs.visits / 10)
  label: outputs.probability > 0.5
  why: case when label then 'visits' else 'none' end
inputs: {visits: int64 or null}
"""
    made = prepared(write(tmp_path, text))
    assert [field.name for field in made.signature.outputs] == ["probability", "label", "why"]
    assert ask(made, visits=[3, 20, None]) == {
        "probability": [0.3, 1, 1],
        "label": [False, True, True],
        "why": ["none", "visits", "visits"],
    }


def test_an_answer_is_nullable_only_where_it_may_be_null(tmp_path: Path) -> None:
    text = """
outputs:
  never: case when inputs.a > 1 then 'x' else 'y' end
  maybe: inputs.a * 2
  filled: coalesce(inputs.a * 2, 0)
inputs: {a: float64 or null}
"""
    made = prepared(write(tmp_path, text))
    assert [field.nullable for field in made.signature.outputs] == [False, True, False]
    assert ask(made, a=[None, 2.0]) == {"never": ["y", "x"], "maybe": [None, 4.0], "filled": [0.0, 4.0]}


def test_a_constant_is_a_baseline_if_it_names_an_input(tmp_path: Path) -> None:
    made = prepared(write(tmp_path, "rule: 0.1\ninputs: {customer_id: text}\n"))
    assert ask(made, customer_id=["a", "b"]) == {"prediction": [0.1, 0.1]}
    with pytest.raises(BadInput, match=r"rule.yaml reads no input.*inputs: \{customer_id: text\}"):
        prepared(write(tmp_path, "rule: 0.1\n"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "rule: inputs.age > balance\n",
            r"reads age, balance, and nothing says of which type they.*inputs: \{age: float64, balance: float64\}",
            id="no types",
        ),
        pytest.param(
            "rule: inputs.age > inputs.balance\ninputs: {age: int64}",
            r"reads balance, and nothing says of which type that is; write 'inputs: \{age: int64, balance: float64\}'",
            id="one type missing",
        ),
        pytest.param(
            "\nrule: inputs.age > 'x'\ninputs: {age: int64}",
            r"rule.yaml, line 2, rule: > mixes .*\(at character 14\)",
            id="types that do not fit",
        ),
        pytest.param(
            "inputs: {age: int64}\noutputs:\n  a: inputs.age +\n",
            r"rule.yaml, line 3, outputs.a: cannot read .* something is missing after",
            id="cut short",
        ),
        pytest.param("rule: [1, 2]\ninputs: {a: text}", "line 1, rule: expected a text, got a list", id="a list"),
        pytest.param(
            "rule: inputs.a\ninput: {a: text}", "no key 'input' here; did you mean 'inputs'", id="a wrong key"
        ),
        pytest.param(
            "rule: inputs.a\ninputs: {a: string}", "no column type 'string'; did you mean 'text'", id="a wrong type"
        ),
        pytest.param("rule: inputs.a\noutputs: {b: inputs.a}", "'rule' for one output or 'outputs'", id="both"),
        pytest.param(
            "outputs: {b: coalesce(inputs.a, 0)}",
            r"outputs.0\): there is no expression; one with a comma",
            id="a comma",
        ),
        pytest.param("outputs: {b: outputs.c}\ninputs: {a: text}", "no column outputs.c", id="an output not there yet"),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        prepared(write(tmp_path, text))


def test_a_wrong_name_is_answered_with_the_samples_columns(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no column inputs.aeg; did you mean inputs.age"):
        prepared(write(tmp_path, "rule: inputs.aeg > 60\n"), {"age": [1]})


def test_a_sample_must_have_what_the_rule_declares(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="takes balance, and the sample has age; add it there"):
        prepared(write(tmp_path, SENIORS), {"age": [1]})
    with pytest.raises(BadInput, match="takes int64 in age, and the sample has nulls there; write 'int64 or null'"):
        prepared(write(tmp_path, SENIORS), {"age": [1, None], "balance": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("text", "is_rule"),
    [
        pytest.param("rule: 1\n", True, id="yaml"),
        pytest.param("---\n# a comment\n\nrule: 1\n", True, id="yaml after a comment"),
        pytest.param("outputs: {a: 1}\ninputs: {b: text}\n", True, id="outputs"),
        pytest.param("inputs.age > 60", True, id="an expression"),
        pytest.param("-- inputs\nCASE WHEN Inputs.age > 60 THEN 1 ELSE 0 END", True, id="capitals and a comment"),
        pytest.param("select inputs.age", True, id="a query, to be told so"),
        pytest.param("endpoint: a\nrules: []\n", False, id="an endpoint"),
        pytest.param("import torch\nx = inputs.age\n", False, id="a program"),
        pytest.param(
            '"""A model."""\n\n\ndef predict(inputs):\n    return inputs.sum()\n', False, id="a docstring first"
        ),
        pytest.param("(inputs.age + 1) / 2 > 3;\n", True, id="a parenthesis first"),
        pytest.param("age,job\n1,a\n", False, id="a table"),
        pytest.param("hello", False, id="a word"),
        pytest.param('{"rule": 1}', False, id="json"),
    ],
)
def test_a_rule_is_known_by_what_it_says_not_by_its_name(tmp_path: Path, text: str, is_rule: bool) -> None:
    path = write(tmp_path, text, "anything")
    assert FLAVOR.recognises(path, text.encode()) is is_rule
    if is_rule:
        assert recognise(path).name == "rule"


def test_a_query_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"q.sql: cannot read .*`select` is not expected; write one condition or one value"
    ):
        prepared(write(tmp_path, "select inputs.age", "q.sql"), {"age": [1]})


def test_the_same_rule_is_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = prepared(write(tmp_path, SENIORS)).served_path.read_bytes()
    other = prepared(write(tmp_path / "other", SENIORS.replace("# who is worth a call", "#"))).served_path.read_bytes()
    assert one == other


def test_a_blob_that_is_no_rule_or_another_one_fails_to_load(tmp_path: Path) -> None:
    made = prepared(write(tmp_path, SENIORS))
    around = Around()
    served = around.keep(made)
    other = Served("rule", served.digest, Signature(made.signature.inputs, ()))
    with pytest.raises(ModelFailed, match="of another signature than the version"):
        FLAVOR.load(other, around)
    made.served_path.write_text("{}")
    with pytest.raises(ModelFailed, match="cannot be read"):
        FLAVOR.load(served, around)


@given(
    st.lists(st.tuples(st.integers(-(2**40), 2**40), st.none() | st.floats(allow_nan=False)), min_size=1, max_size=30),
    st.integers(-100, 100),
)
def test_rows_are_answered_each_by_itself(rows: list[tuple[int, float | None]], border: int) -> None:
    fields = (Field("n", Type.INT64), Field("x", Type.FLOAT64, nullable=True))
    text = f"case when inputs.n > {border} then 'high' when inputs.x is null then 'unknown' else 'low' end"
    run = runner(compiled([("prediction", text), ("known", "prediction <> 'unknown'")], fields))
    n = Column(np.array([row[0] for row in rows]))
    x = Column(np.array([row[1] or 0.0 for row in rows]), np.array([row[1] is not None for row in rows]))
    expected = ["high" if a > border else "unknown" if b is None or not np.isfinite(b) else "low" for a, b in rows]
    found = run({"n": n, "x": x})
    assert found["prediction"].values.tolist() == expected
    assert found["known"].values.tolist() == [one != "unknown" for one in expected]
