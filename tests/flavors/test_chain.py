"""Chains: versions that answer together, in sequence or side by side."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.errors import BadInput, ModelFailed, NotFound
from payoff.flavors.chain import DEPTH_MAX, FLAVOR
from payoff.flavors.chain_plan import Chain
from payoff.flavors.flavor import FLAVORS, Loaded, Servable
from payoff.flavors.join import WAYS, join, joined
from payoff.records.columns import Column, Columns
from payoff.records.model import Bounds, Place, Served, Version
from payoff.records.signature import Field, Signature, Type
from tests.flavors.arrivals import Around, answers, columns, listed, prepared, version
from tests.flavors.models import row_sums, save


@dataclass
class House(Around):
    """Versions that chains can be made of, and how often what was loaded was given back."""

    folder: Path = Path()
    versions: dict[tuple[str, int], Version] = field(default_factory=dict)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)
    opened: int = 0
    closed: int = 0
    elsewhere: set[str] = field(default_factory=set)  # models that are asked and not run
    asking: int = 0
    most_asking: int = 0

    def rule(self, model: str, text: str) -> Version:
        return self.take(model, text)

    def take(self, model: str, text: str, sample: dict[str, Any] | None = None) -> Version:
        """A YAML file as the next version of a model."""
        number = 1 + sum(name == model for name, _ in self.versions)
        path = self.folder / f"{model}-{number}.yaml"
        path.write_text(text)
        made = prepared(path, sample, find=self.find)
        found = version(model, number, self.keep(made), **made.provenance)
        self.versions[model, number] = found
        return found

    def find(self, model: str, said: int | str | None) -> Version:
        numbers = [number for name, number in self.versions if name == model]
        if not numbers:
            raise NotFound(f"no model called {model!r}; there are: {', '.join(sorted({n for n, _ in self.versions}))}")
        number = max(numbers) if said is None else self.aliases.get((model, str(said)), said)
        if (model, number) not in self.versions:
            raise NotFound(f"model {model!r} has no version {said}")
        return self.versions[model, int(number)]

    def load(self, served: Served) -> Loaded:
        loaded = super().load(served)
        self.opened += 1
        name = next((name for (name, _), one in self.versions.items() if one.served == served), "")
        return replace(
            loaded, close=self._close(loaded), ask=self._ask(loaded) if name in self.elsewhere else loaded.ask
        )

    def _close(self, loaded: Loaded) -> Callable[[], None]:
        def close() -> None:
            loaded.close()
            self.closed += 1

        return close

    def _ask(self, loaded: Loaded) -> Any:
        async def ask(rows: Columns) -> dict[str, Column]:
            self.asking += 1
            self.most_asking = max(self.asking, self.most_asking)
            await asyncio.sleep(0)
            self.asking -= 1
            return loaded.run(rows)

        return ask


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(folder=tmp_path)
    made.rule("clean-up", "rule: coalesce(inputs.raw, 0)\noutput: amount\ninputs: {raw: float64 or null}\n")
    made.rule("score", "rule: inputs.total / 100\noutput: score\ninputs: {total: float64}\n")
    made.rule(
        "score",
        "outputs: {score: 'coalesce((inputs.total + inputs.age) / 100, 0)'}\ninputs: {total: float64, age: int64}",
    )
    made.rule(
        "calibrate",
        "outputs: {probability: 'coalesce(least(score, 1), 0)', label: 'coalesce(score > 0.5, false)'}\n"
        "inputs: {score: float64 or null}\n",
    )
    made.aliases["score", "approved"] = 2
    return made


SEQUENCE = """
chain:
  - {model: clean-up, version: 1}
  - {model: score, version: approved, inputs: {total: amount}}
  - {model: calibrate}
"""


def load(house: House, found: Version) -> Loaded:
    return house.load(found.served)


def test_outputs_of_a_step_feed_the_next_by_name(house: House) -> None:
    found = house.take("whole", SEQUENCE)
    assert found.served.signature == Signature(
        (Field("raw", Type.FLOAT64, nullable=True), Field("age", Type.INT64)),
        (Field("probability", Type.FLOAT64), Field("label", Type.BOOL)),
    )
    assert found.provenance["steps"] == ["clean-up v1", "score v2", "calibrate v1"]
    got = answers(load(house, found).run, found.served.signature, raw=[20.0, None, 500.0], age=[10, 60, 1])
    assert got == {"probability": [0.3, 0.6, 1.0], "label": [False, True, True]}


def test_outputs_may_be_picked_from_any_step(house: House) -> None:
    found = house.take("whole", SEQUENCE + "outputs: [label, amount]\n")
    got = answers(load(house, found).run, found.served.signature, raw=[20.0], age=[10])
    assert got == {"label": [False], "amount": [20.0]}


def test_latest_is_fixed_when_the_chain_is_deployed(house: House) -> None:
    before = house.take("whole", SEQUENCE)
    house.rule("calibrate", "rule: inputs.score\noutput: probability\ninputs: {score: float64}\n")
    after = house.take("whole", SEQUENCE)
    assert before.provenance["steps"][-1] == "calibrate v1"
    assert after.provenance["steps"][-1] == "calibrate v2"
    assert FLAVOR.moves


def test_a_later_step_may_read_what_callers_sent(house: House) -> None:
    house.rule("raise", "rule: coalesce(inputs.amount * 2, 0)\noutput: amount\ninputs: {amount: float64}\n")
    house.rule("gap", "rule: inputs.now - inputs.was\noutput: gap\ninputs: {now: float64, was: float64}\n")
    found = house.take("whole", "chain: [{model: raise}, {model: gap, inputs: {now: amount, was: inputs.amount}}]\n")
    assert [one.name for one in found.served.signature.inputs] == ["amount"]
    assert answers(load(house, found).run, found.served.signature, amount=[7.0]) == {"gap": [7.0]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            "chain:\n  - {model: clean-up}\n  - {model: text}\n",
            r"whole-1.yaml, line 3, chain\[2\]: text v1 takes 'amount' as text, and clean-up v1 gives 'amount' as "
            "float64; put a rule between them",
            id="types",
        ),
        pytest.param(
            "chain: [{model: maybe}, {model: score, version: 1, inputs: {total: amount}}]",
            r"score v1 takes 'total' as float64, and maybe v1 gives 'amount' as float64 or null.*coalesce\(amount, 0\)",
            id="nulls",
        ),
        pytest.param(
            "chain: [{model: clean-up}, {model: score, inputs: {total: amuont}}]",
            r"shall read 'total' from 'amuont', which no step before gives \(they give amount\); .*inputs.amuont",
            id="a renaming of nothing",
        ),
        pytest.param(
            "chain: [{model: clean-up}, {model: score, inputs: {sum: amount}}]",
            "score v2 takes no 'sum'; it takes total, age",
            id="a renaming to nothing",
        ),
        pytest.param("chain: [{model: clean-up, version: 9}]", "model 'clean-up' has no version 9", id="no version"),
        pytest.param("chain: [{model: cleanup}]", "no model called 'cleanup'; there are", id="no model"),
        pytest.param(
            "chain: [{model: clean-up}]\noutputs: [amont]", "no step gives 'amont'; there are: amount", id="no output"
        ),
        pytest.param("chain: []", "0 steps; a chain has 1 to 16", id="no steps"),
        pytest.param("chain: [{version: 1}]", "a step needs 'model'", id="no model said"),
        pytest.param(
            "chain: [{model: score}]\ntogether: []", "or 'together' for steps side by side, not both", id="both"
        ),
        pytest.param("together: [{model: score}]", "steps together need 'combine'", id="nothing combined"),
        pytest.param(
            "together: [{model: score}, {model: score, version: 1}]\ncombine: {score: mean}",
            "there is another step called 'score'; give this one a name",
            id="one name twice",
        ),
        pytest.param(
            "together: [{model: score}, {model: clean-up}]\ncombine: {score: mean}",
            "mean takes 'score' of every step, and clean-up does not give it; write an expression",
            id="not of every step",
        ),
        pytest.param(
            "together: [{model: score}]\ncombine: {score: vote}",
            r"vote takes labels .* take mean or median",
            id="a vote",
        ),
        pytest.param(
            "together: [{model: score}]\ncombine:\n  p: score.scoer * 2",
            r"line 2, combine: there is no column score.scoer; did you mean score.score\?",
            id="a wrong column",
        ),
        pytest.param(
            "together: [{model: score, name: inputs}]\ncombine: {p: mean}",
            "cannot be called 'inputs'",
            id="a taken name",
        ),
    ],
)
def test_what_does_not_fit_is_told_with_step_and_column(house: House, text: str, says: str) -> None:
    house.rule("text", "rule: length(inputs.amount)\ninputs: {amount: text}\n")
    house.rule("maybe", "rule: inputs.raw * 2\noutput: amount\ninputs: {raw: float64}\n")
    with pytest.raises(BadInput, match=says):
        house.take("whole", text)


TOGETHER = """
together:
  - {name: old, model: score, version: 1}
  - {name: new, model: score, version: 2}
combine:
  score: mean
  spread: abs(new.score - old.score)
  sure: case when inputs.age > 18 then abs(new.score - old.score) < 0.3 else false end
"""


def test_steps_side_by_side_are_combined(house: House) -> None:
    found = house.take("both", TOGETHER)
    assert [str(one) for one in found.served.signature.inputs] == ["float64", "int64"]
    got = answers(load(house, found).run, found.served.signature, total=[10.0, 20.0], age=[20, 40])
    assert got["score"] == pytest.approx([0.2, 0.4])
    assert got["spread"] == pytest.approx([0.2, 0.4])
    assert got["sure"] == [True, False]


def test_what_is_asked_elsewhere_is_asked_at_the_same_time(house: House) -> None:
    found = house.take("both", TOGETHER)
    house.elsewhere = {"score"}
    loaded = load(house, found)
    assert loaded.ask is not None
    got = listed(asyncio.run(loaded.ask(columns(found.served.signature, total=[10.0], age=[20]))))  # type: ignore[arg-type]
    assert got["score"] == pytest.approx([0.2])
    assert house.most_asking == 2


def test_a_sequence_with_a_step_elsewhere_is_asked_and_one_without_is_run(house: House) -> None:
    found = house.take("whole", SEQUENCE)
    assert load(house, found).ask is None
    house.elsewhere = {"score"}
    loaded = load(house, found)
    assert loaded.ask is not None
    got = listed(asyncio.run(loaded.ask(columns(found.served.signature, raw=[20.0], age=[10]))))  # type: ignore[arg-type]
    assert got == {"probability": [0.3], "label": [False]}


def test_closing_gives_every_step_back(house: House) -> None:
    loaded = load(house, house.take("whole", SEQUENCE))
    loaded.close()
    assert house.opened == house.closed == 4


def test_a_step_that_cannot_be_loaded_gives_back_those_before_it(house: House) -> None:
    found = house.take("whole", SEQUENCE)
    calibrate = house.find("calibrate", 1)
    house.paths[calibrate.served.digest].write_text("{}")
    with pytest.raises(
        ModelFailed, match=r"step calibrate \(calibrate v1\) cannot be loaded: this rule cannot be read"
    ):
        load(house, found)
    assert house.opened == house.closed == 2


def test_chains_of_chains_have_an_end(house: House) -> None:
    house.take("deep", "chain: [{model: clean-up}]\n")
    for _ in range(DEPTH_MAX - 1):
        deep = house.take("deep", "chain: [{model: deep}]\n")
    assert answers(load(house, deep).run, deep.served.signature, raw=[None, 2.0]) == {"amount": [0.0, 2.0]}
    with pytest.raises(BadInput, match=f"chains of chains may be {DEPTH_MAX} deep, and this is {DEPTH_MAX + 1}"):
        house.take("deep", "chain: [{model: deep}]\n")


def test_a_number_goes_where_a_wider_one_is_taken_and_back_if_it_fits(house: House, tmp_path: Path) -> None:
    house.rule("whole-number", "rule: coalesce(cast(inputs.raw as bigint), 0)\noutput: small\ninputs: {raw: float64}\n")
    house.rule("narrow", "rule: case when inputs.small > 3 then 1 else 0 end\ninputs: {small: int8}\n")
    found = house.take("both", "chain: [{model: whole-number}, {model: narrow}]\noutputs: [prediction]")
    run = load(house, found).run
    assert answers(run, found.served.signature, raw=[4.0]) == {"prediction": [1]}
    with pytest.raises(ModelFailed, match=r"step narrow \(narrow v1\): 'small', row 1: 1000 does not fit int8"):
        answers(run, found.served.signature, raw=[4.0, 1000.0])


def test_a_rule_cleans_up_before_an_onnx_model(house: House, tmp_path: Path) -> None:
    made = prepared(save(row_sums(), tmp_path / "sums.onnx"), {"a": [1.0], "b": [2.0], "c": [True]})
    house.versions["sums", 1] = version("sums", 1, house.keep(made))
    house.rule("ready", "outputs: {a: 'coalesce(x, 0)', b: 'coalesce(x * 2, 0)'}\ninputs: {x: float64 or null}\n")
    found = house.take("whole", "chain: [{model: ready}, {model: sums}]\n")
    assert [one.name for one in found.served.signature.inputs] == ["x", "c"]
    assert answers(load(house, found).run, found.served.signature, x=[1.0, None], c=[True, False]) == {
        "total": [4.0, 0.0]
    }


def test_a_sample_must_be_rows_that_the_chain_takes(house: House) -> None:
    house.take("whole", SEQUENCE, {"raw": [1.0, None], "age": [1, 2], "id": ["a", "b"]})
    with pytest.raises(BadInput, match=r"takes age \(int64\); the sample has raw: add it there"):
        house.take("whole", SEQUENCE, {"raw": [1.0]})
    with pytest.raises(BadInput, match="takes no null in age"):
        house.take("whole", SEQUENCE, {"raw": [1.0, 2.0], "age": [1, None]})


def test_a_blob_that_is_no_chain_fails_to_load(house: House) -> None:
    found = house.take("whole", SEQUENCE)
    house.paths[found.served.digest].write_text("{}")
    with pytest.raises(ModelFailed, match="this chain cannot be read"):
        load(house, found)


def test_a_step_that_runs_in_its_own_framework_keeps_its_place(house: House) -> None:
    place = Place("sklearn", "d" * 64, {"depth": 3}, Bounds(processes=2))
    score = house.find("score", 1)
    house.versions["native", 1] = replace(
        score, model="native", served=replace(score.served, flavor="native", place=place)
    )
    found = house.take("whole", "chain: [{model: native}]\n")
    chain = msgspec.json.decode(house.paths[found.served.digest].read_bytes(), type=Chain)
    assert chain.steps[0].served == house.find("native", 1).served


def test_every_flavor_here_can_be_run_by_workers() -> None:
    for name in ("chain", "remote", "rule"):
        flavor: Any = FLAVORS.take(name)
        assert isinstance(flavor.load, Callable)  # type: ignore[arg-type]
        assert flavor.name == name
        _: Servable = flavor


values = st.none() | st.floats(-1e6, 1e6)


@given(st.lists(st.lists(values, min_size=4, max_size=4), min_size=1, max_size=5), st.sampled_from(WAYS[:-1]))
def test_numbers_join_as_python_does_it(given_: list[list[float | None]], way: str) -> None:
    parts = [
        Column(np.array([one or 0.0 for one in row]), np.array([one is not None for one in row])) for row in given_
    ]
    field_ = joined(way, "x", [Field("x", Type.FLOAT64, nullable=True)] * len(parts))
    got = listed({"x": join(way, field_, parts)})["x"]
    plain: dict[str, Callable[[list[float]], float]] = {
        "mean": lambda xs: sum(xs) / len(xs), "median": lambda xs: float(np.median(xs)), "min": min, "max": max,
    }  # fmt: skip
    for place, one in enumerate(got):
        there = [row[place] for row in given_ if row[place] is not None]
        assert one == (pytest.approx(plain[way](there), rel=1e-9, abs=1e-6) if there else None)  # type: ignore[arg-type]


@given(st.lists(st.lists(st.none() | st.sampled_from("abc"), min_size=3, max_size=3), min_size=1, max_size=6))
def test_a_vote_is_won_by_the_most_and_of_equals_by_the_first(votes: list[list[str | None]]) -> None:
    parts = [
        Column(np.array([one or "" for one in row], object), np.array([one is not None for one in row]))
        for row in votes
    ]
    got = listed({"x": join("vote", joined("vote", "x", [Field("x", Type.TEXT, nullable=True)] * len(parts)), parts)})[
        "x"
    ]
    for place, one in enumerate(got):
        there = [row[place] for row in votes if row[place] is not None]
        assert one == (max(there, key=there.count) if there else None)


def test_whole_tensors_are_averaged() -> None:
    parts = [Column(np.array([[0.2, 0.8]], np.float32)), Column(np.array([[0.4, 0.6]], np.float32))]
    made = joined("mean", "p", [Field("p", Type.FLOAT32, (2,))] * 2)
    assert str(made) == "float64[2]"
    assert join("mean", made, parts).values.tolist() == [pytest.approx([0.3, 0.7])]
