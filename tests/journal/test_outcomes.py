"""Late, partial, repeated and corrected outcomes resolve to the last word on each part, exactly; windows are kept."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payoff.journal import tables
from payoff.journal.compact import compact
from payoff.journal.statement import Line
from payoff.records.endpoint import Matures
from payoff.records.signature import Field, Type
from tests.journal.conftest import ENDPOINT, House

ROWS = 6
Told = tuple[int, str | None, bool | None, float | None]
MONEY = st.none() | st.integers(-(10**9), 10**9).map(lambda micros: micros / 1e6)
TOLD = st.tuples(
    st.integers(0, ROWS - 1), st.sampled_from([None, "deposit", "refund"]), st.none() | st.booleans(), MONEY
)
STEPS = st.lists(st.one_of(st.lists(TOLD, min_size=1, max_size=5), st.sampled_from(["close", "compact"])), max_size=8)
VALUE = "coalesce(outcome_value, case when outcome.subscribed then 58 else -2 end)"
DECLARED = {"outcome": (Field("subscribed", Type.BOOL), Field("duration_s", Type.FLOAT64))}
CASE: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "C32_delayed_labels_attribution.json").read_text())
TRUTHS: dict[object, bool | None] = {None: None, "true": True, "false": False}
S = 1_000_000
NEW = ("choice", "share", "instead_of", "propensity", "happened", "part", "amount", "currency")


@contextmanager
def built() -> Iterator[House]:
    """A house of its own for each example."""
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        yield house
        for writer in house.writers:
            writer.close()
        house.journal.close()


def counts(told: dict[str | None, tuple[bool | None, float | None]]) -> tuple[bool | None, int | None]:
    """What the parts of one prediction, in the order of their last words, come to: truth, and micros."""
    truths = [truth for truth, _ in told.values() if truth is not None]
    micros = [round(value * 1e6) for _, value in told.values() if value is not None]
    return truths[-1] if truths else None, sum(micros) if micros else None


def tell(house: House, made: list[str], rows: Sequence[Told], name: str = "control") -> None:
    """Outcomes told in one call by a writer that is closed afterwards."""
    writer = house.writer(name)
    subscribed, value = [row[2] for row in rows], [row[3] for row in rows]
    house.learn(writer, [made[row[0]] for row in rows], subscribed, value, part=[row[1] for row in rows])
    writer.close()


@settings(max_examples=25)
@given(STEPS)
def test_of_each_part_the_last_word_counts_whole_and_parts_add_up(steps: list[list[Told] | str]) -> None:
    expected: dict[int, dict[str | None, tuple[bool | None, float | None]]] = {}
    with built() as house:
        writer = house.writer()
        made = house.answer(writer, range(ROWS))
        for step in steps:
            if step == "compact":
                compact(house.home)
            elif step == "close":
                writer.close()
            else:
                assert isinstance(step, list)
                tell(house, made, step)
                for row, part, truth, value in step:
                    expected.setdefault(row, {}).pop(part, None)
                    expected[row][part] = truth, value
        seen = house.rows(
            "select prediction_id, to_json(outcome)->>'subscribed', round(\"value\" * 1e6)::bigint, parts from outcomes"
        )
        lines = house.journal.statement(ENDPOINT, VALUE, declared=DECLARED)
    told = {str(each): (TRUTHS[truth], micros, parts) for each, truth, micros, parts in seen}
    assert told == {made[row]: (*counts(parts), len(parts)) for row, parts in expected.items()}
    worth = {row: counts(parts) for row, parts in expected.items()}
    booked = [micros if micros is not None else (58 if truth else -2) * S for truth, micros in worth.values()]
    booked += [-2 * S] * (ROWS - len(worth))
    assert sum(line.value_micros for line in lines) == sum(booked)


@settings(max_examples=10)
@given(st.integers(0, 2**32))
def test_books_do_not_depend_on_when_how_often_or_after_which_mistake_an_outcome_was_told(seed: int) -> None:
    """The clean house hears everything once, in order; the other late, twice, or wrong first, in any order."""
    chance, rows = Random(seed), 40
    clean: list[Told] = [(row, None, chance.random() < 0.3, round(chance.gauss(0, 50), 6)) for row in range(rows)]
    with built() as house:
        tell(house, house.answer(house.writer(), range(rows)), clean)
        (expected,) = house.journal.statement(ENDPOINT, VALUE, declared=DECLARED)
    with built() as house:
        made = house.answer(house.writer(), range(rows))
        wrong = [(row, None, not truth, None) for row, _, truth, _ in chance.sample(clean, rows // 4)]
        chance.shuffle(wrong)
        tell(house, made, wrong)
        compact(house.home)
        right = clean + chance.sample(clean, rows // 4)
        chance.shuffle(right)
        cut = chance.randrange(1, len(right))
        tell(house, made, right[cut:])
        compact(house.home)
        tell(house, made, right[:cut])
        (found,) = house.journal.statement(ENDPOINT, VALUE, declared=DECLARED)
    assert money(found) == money(expected)
    assert money(found)[0] == rows


def money(line: Line) -> tuple[int, int, int]:
    return line.with_outcome, line.valued, line.value_micros


def test_a_part_told_again_replaces_only_itself(house: House) -> None:
    (made,) = house.answer(house.writer(), [2])
    for part, value in (("january", 10.0), ("february", 10.0), ("january", 0.0), ("february", 12.345678)):
        house.learn(house.writer(), [made], [None], [value], part=[part])
    house.learn(house.writer(), [made], [True], [-2.0])
    assert house.rows('select "value", parts, outcome.subscribed from outcomes') == [(10.345678, 3, True)]
    assert house.rows("select count(*), count(part) from outcome_log") == [(5, 4)]


def test_the_order_of_segments_does_not_matter_only_the_time_of_the_outcome(house: House) -> None:
    """Two writers, and the one with the earlier word is compacted last."""
    (made,) = house.answer(house.writer(), [2])
    early, late = house.writer("early"), house.writer("late")
    house.learn(early, [made], [False])
    house.learn(late, [made], [True])
    late.close()
    compact(house.home)
    early.close()
    compact(house.home)
    assert house.rows("select outcome.subscribed from outcomes") == [(True,)]
    assert house.rows("select count(*) from outcome_log") == [(2,)]


def test_an_outcome_of_another_endpoint_does_not_count_here(house: House) -> None:
    writer = house.writer()
    (made,) = house.answer(writer, [2])
    house.learn(writer, [made], [True], endpoint="other")
    (line,) = house.journal.statement(ENDPOINT, "1.0")
    assert line.with_outcome == 0


@contextmanager
def at_the_times_of_the_case() -> Iterator[tuple[House, dict[str, str]]]:
    """A house whose clock the case sets; the ids of its rows by their names. What is told is told at the case's now."""
    clock = [0]
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), lambda: clock[0])
        writer, made = house.writer(), {}
        for row in CASE["input"]["rows"]:
            clock[0] = row["t"] * S
            (made[row["id"]],) = house.answer(writer, [2])
        clock[0] = CASE["input"]["now"] * S
        told = [row for row in CASE["input"]["rows"] if row["outcome"] is not None]
        house.learn(
            writer,
            [made[row["id"]] for row in told],
            [row["outcome"] == 1 for row in told],
            happened_us=[row["outcome_time"] * S for row in told],
        )
        yield house, made
        writer.close()
        house.journal.close()


CONVERTED = "case when outcome.subscribed then 1 else 0 end"
WINDOW_S, NOW_US = float(CASE["input"]["window"]), int(CASE["input"]["now"]) * S


def test_with_windows_what_happened_later_does_not_count_and_what_is_young_waits_case_c32() -> None:
    with at_the_times_of_the_case() as (house, made):
        names, expected = {one: name for name, one in made.items()}, CASE["expected"]
        found = house.journal.matured(
            ENDPOINT, None, CONVERTED, None, WINDOW_S, NOW_US, matures=Matures.WINDOW, declared=DECLARED
        )
        rows = found.rows.to_pylist()
        assert [names[row["id"]] for row in rows] == expected["matured_ids"]
        assert {names[row["id"]]: row["value"] for row in rows} == expected["value_per_matured"]
        assert [names[row["id"]] for row in rows if row["late"]] == expected["late_outcomes_ignored"]
        assert (names[found.held_by or ""], found.waiting) == (expected["immature_ids"][0], 0)
        assert [names[row["id"]] for row in rows if row["known"]] == ["r2", "r4"]


def test_a_statement_tells_matured_and_in_flight_apart_case_c32() -> None:
    with at_the_times_of_the_case() as (house, _):
        (line,) = house.journal.statement(
            ENDPOINT, CONVERTED, matures=Matures.WINDOW, window_s=WINDOW_S, now_us=NOW_US, declared=DECLARED
        )
        expected = CASE["expected"]
        assert (line.matured, line.in_flight) == (len(expected["matured_ids"]), len(expected["immature_ids"]))
        assert line.matured / line.answered == expected["maturity_share"]
        assert line.value_micros / S / line.valued == expected["conversion_rate_matured"]
        assert line.late == len(expected["late_outcomes_ignored"])
        assert (line.flying_valued, line.flying_micros) == (1, S)


def test_without_windows_an_outcome_counts_whenever_it_happened(house: House) -> None:
    with at_the_times_of_the_case() as (case, _):
        (line,) = case.journal.statement(ENDPOINT, CONVERTED, window_s=WINDOW_S, now_us=NOW_US, declared=DECLARED)
        assert (line.with_outcome, line.matured, line.late) == (5, 7 - 1, 0)
        known = "case when outcome.subscribed is not null then (case when outcome.subscribed then 1 else 0 end) end"
        (line,) = case.journal.statement(ENDPOINT, known, window_s=WINDOW_S, now_us=NOW_US, declared=DECLARED)
        assert line.value_micros / S / line.valued == CASE["expected"]["naive_rate_on_labelled_rows"]


def test_of_the_parts_of_an_outcome_those_in_the_window_add_up(house: House) -> None:
    clock = [0]
    house.clock = lambda: clock[0]
    house.ids = type(house.ids)(1, house.clock)
    (made,) = house.answer(house.writer(), [2])
    clock[0] = 1000 * S
    parts, happened = ["a", "b", "b", "c"], [10, 20, 400, 99]
    house.learn(
        house.writer(), [made] * 4, [None] * 4, [1.0, 2.0, 50.0, 4.0], part=parts, happened_us=[s * S for s in happened]
    )
    found = house.journal.matured(ENDPOINT, None, None, None, 100.0, clock[0], matures=Matures.WINDOW)
    assert [(row["value"], row["late"]) for row in found.rows.to_pylist()] == [(7.0, True)]


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([None, "a", "b"]), st.integers(0, 200)), min_size=1, max_size=30
    )
)
def test_in_a_window_the_last_word_that_happened_in_time_counts(told: list[tuple[int, str | None, int]]) -> None:
    """Each word is worth twice the one before it, so that every choice of words has a sum of its own."""
    clock, worth = [0], [float(2**n) for n in range(len(told))]
    expected: dict[int, dict[str | None, float]] = {row: {} for row in range(4)}
    with built() as house:
        house.ids = type(house.ids)(1, lambda: clock[0])
        made = house.answer(house.writer(), range(4))
        happened = [second * S for _, _, second in told]
        clock[0] = 1_000 * S
        house.learn(
            house.writer("control"), [made[row] for row, _, _ in told], [None] * len(told), worth,
            part=[part for _, part, _ in told], happened_us=happened,
        )  # fmt: skip
        found = house.journal.matured(ENDPOINT, None, None, None, 100.0, clock[0], matures=Matures.WINDOW).rows
    for value, (row, part, second) in zip(worth, told, strict=True):
        if second <= 100:
            expected[row][part] = value
    assert found["value"].to_pylist() == [sum(parts.values()) if parts else None for parts in expected.values()]
    too_late = {row for row, _, second in told if second > 100}
    assert [row in too_late for row in range(4)] == found["late"].to_pylist()


def test_every_matured_row_says_how_it_came_about(house: House) -> None:
    writer = house.writer()
    made = house.answer(writer, [2], choice="holdout", share=0.05)
    house.learn(writer, made, [True])
    found = house.journal.matured(
        ENDPOINT, None, "1.0", None, 0.0, house.clock() + 2 * S, fee_sql="0.002", covariate_sql="inputs.age * 2"
    )
    (row,) = found.rows.to_pylist()
    assert (row["revision"], row["choice"], row["share"], row["propensity"]) == (1, "holdout", 0.05, 1.0)
    assert (row["fee"], row["covariate"], row["violated"], row["instead_of"]) == (0.002, 4.0, False, "")
    assert (row["latency_us"], row["cpu_ns"], row["known"], row["beyond"]) == (0, 20, True, False)


def test_lines_go_apart_by_choice_and_revision_where_asked(house: House) -> None:
    writer = house.writer()
    house.answer(writer, [1, 2, 3])
    house.answer(writer, [4], choice="holdout")
    (whole,) = house.journal.statement(ENDPOINT, "inputs.age")
    assert (whole.choice, whole.revision, whole.answered, whole.value_micros) == (None, None, 4, 10 * S)
    apart = house.journal.statement(ENDPOINT, "inputs.age", by=("choice", "revision"), fee_sql="0.5")
    assert [(line.choice, line.revision, line.value_micros, line.fee_micros) for line in apart] == [
        ("", 1, 6 * S, 1_500_000), ("holdout", 1, 4 * S, 500_000),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "beyond", "unvalued"),
    [
        pytest.param("1.0 / (inputs.age - 1)", 1, 1, id="infinite"),
        pytest.param("sqrt(inputs.age - 2.0)", 1, 1, id="no number"),
        pytest.param("if(inputs.age = 1, 1e300, 1.0)", 1, 1, id="absurd"),
        pytest.param("if(inputs.age = 1, NULL, 1.0)", 0, 1, id="nothing"),
    ],
)
def test_what_is_no_money_is_left_out_and_counted(house: House, value: str, beyond: int, unvalued: int) -> None:
    writer = house.writer()
    house.learn(writer, house.answer(writer, [1, 2]), [True, True])
    (line,) = house.journal.statement(ENDPOINT, value)
    assert (line.matured, line.valued, line.beyond, line.unvalued) == (2, 1, beyond, unvalued)
    found = house.journal.matured(ENDPOINT, None, value, None, 0.0, house.clock() + 2 * S)
    assert [row["value"] is None for row in found.rows.to_pylist()] == [True, False]


def test_tables_of_before_parts_and_choices_are_read_as_whole_and_plain(house: House) -> None:
    writer = house.writer()
    made = house.answer(writer, [2])
    house.learn(writer, made * 2, [False, True])
    writer.close()
    for kind, relation in house.journal.snapshot().relations.items():
        kept = [name for name in relation.fresh.column_names if name not in NEW]
        tables.Table(house.home / "tables", kind).append([relation.fresh.select(kept)], 1)
    for segment in (house.home / "journal").glob("*.seg*"):
        segment.unlink()
    found = house.journal.matured(ENDPOINT, None, CONVERTED, None, 0.0, house.clock() + 2 * S, declared=DECLARED)
    (row,) = found.rows.to_pylist()
    assert (row["choice"], row["share"], row["propensity"], row["instead_of"]) == ("", 1.0, 1.0, "")
    assert row["value"] == 1.0
    assert house.rows("select parts, happened = time from outcomes") == [(1, True)]
