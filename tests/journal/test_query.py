"""What guards and statements ask of the journal."""

from fractions import Fraction

import numpy as np
import pytest

from payoff.clock import now_us
from payoff.journal.compact import compact
from payoff.journal.query import Journal
from payoff.journal.statement import Line
from payoff.records.signature import Field, Type
from tests.journal.conftest import ENDPOINT, House

VALUE = (
    "case when decision then (case when outcome.subscribed then 60 else 0 end) - outcome.duration_s / 3600.0 else 0 end"
)
BASELINE = "inputs.age / 3.0"
DECLARED = {"outcome": (Field("subscribed", Type.BOOL), Field("duration_s", Type.FLOAT64))}
DAY_S = 86_400.0


def _later_us() -> int:
    return now_us() + 2_000_000


def _look(house: House, after: str | None = None, limit: int = 1000, window_s: float = DAY_S) -> list[str]:
    found = house.journal.matured(ENDPOINT, after, VALUE, BASELINE, window_s, _later_us(), limit, declared=DECLARED)
    return [str(each) for each in found.rows["id"].to_pylist()]


def test_an_empty_journal_answers_every_question(house: House) -> None:
    journal = house.journal
    assert journal.count(ENDPOINT) == {"predictions": 0, "shadows": 0, "outcomes": 0}
    assert journal.known_ids(ENDPOINT, ["0198c0de-0000-7000-8000-000000000000"]) == set()
    assert journal.predictions(ENDPOINT).num_rows == 0
    assert journal.statement(ENDPOINT, "1.0", "2.0") == []
    assert journal.matured(ENDPOINT, None, "1.0", None, DAY_S, now_us()).rows.num_rows == 0
    for view in ("predictions", "shadows", "outcomes", "outcome_log"):
        assert house.rows(f"select count(*) from {view}") == [(0,)]


@pytest.mark.parametrize("compacted", [False, True])
def test_matured_is_the_longest_run_of_known_outcomes(house: House, compacted: bool) -> None:
    writer = house.writer()
    made = house.answer(writer, range(10))
    house.learn(writer, [*made[:3], made[4], made[5], made[5]], [True] * 6)
    if compacted:
        writer.close()
        compact(house.home)
    found = house.journal.matured(ENDPOINT, None, VALUE, BASELINE, DAY_S, _later_us(), declared=DECLARED)
    assert found.rows["id"].to_pylist() == made[:3]
    assert found.rows["known"].to_pylist() == [True] * 3
    assert found.rows["value"].to_pylist() == pytest.approx([60 - 1 / 60, 0, 60 - 1 / 60])
    assert found.rows["baseline"].to_pylist() == pytest.approx([0, 1 / 3, 2 / 3])
    assert found.rows["cpu_ns"].to_pylist() == [0, 10, 20]
    assert (found.last_id, found.held_by, found.waiting) == (made[2], made[3], 2)


def test_a_prediction_matures_when_its_window_is_over_and_its_value_stays_unknown(house: House) -> None:
    writer = house.writer()
    made = house.answer(writer, range(4))
    house.learn(writer, made[1:2], [True])
    found = house.journal.matured(ENDPOINT, None, VALUE, BASELINE, 1.0, _later_us(), declared=DECLARED)
    assert found.rows["id"].to_pylist() == made
    assert found.rows["known"].to_pylist() == [False, True, False, False]
    assert found.rows["value"].to_pylist() == [None, 0.0, None, 0.0]
    assert (found.held_by, found.waiting) == (None, 0)


def test_every_matured_prediction_is_seen_once_in_order_whatever_the_limit(house: House) -> None:
    made: list[str] = []
    for turn in range(6):
        writer = house.writer()
        made += house.answer(writer, range(17))
        writer.close()
        if turn < 4:
            compact(house.home)
    seen: list[str] = []
    while some := _look(house, seen[-1] if seen else None, limit=10, window_s=0.0):
        seen += some
    assert seen == made


def test_a_prediction_and_its_shadows_come_together(house: House) -> None:
    writer = house.writer()
    made = house.answer(writer, range(6))
    house.answer(writer, range(6), version=2, shadow=True, of=made)
    seen: list[str] = []
    while some := _look(house, seen[-1] if seen else None, limit=3, window_s=0.0):
        assert len(some) % 2 == 0
        seen += some
    assert seen == sorted(made * 2)


def test_what_is_too_young_is_left_for_the_next_look(house: House) -> None:
    """Another worker may still be writing a smaller id; nothing may overtake it."""
    writer = house.writer()
    made = house.answer(writer, range(3))
    house.learn(writer, made, [True] * 3)
    assert house.journal.matured(ENDPOINT, None, "1.0", None, DAY_S, now_us(), settle_s=3_600.0).rows.num_rows == 0
    assert _look(house) == made


def test_money_sent_along_is_the_value_where_no_expression_says_otherwise(house: House) -> None:
    writer = house.writer()
    made = house.answer(writer, range(3))
    house.learn(writer, made, [None] * 3, [1.5, -2.0, None])
    found = house.journal.matured(ENDPOINT, None, None, None, DAY_S, _later_us())
    assert found.rows["value"].to_pylist() == [1.5, -2.0, None]
    assert found.rows["baseline"].to_pylist() == [None] * 3


def test_outcome_columns_declared_before_the_first_outcome_are_null_not_an_error(house: House) -> None:
    house.answer(house.writer(), [2])
    (line,) = house.journal.statement(ENDPOINT, VALUE, BASELINE, declared=DECLARED)
    assert (line.answered, line.with_outcome, line.valued, line.baselined) == (1, 0, 0, 1)


def _expected(ages: list[int], subscribed: list[bool | None]) -> tuple[int, int, int]:
    """Micros of value, baseline and difference: each row rounded half to even, then added."""
    values = [
        None if known is None and age % 2 == 0 else ((60 if known else 0) - 60.0 / 3600.0) if age % 2 == 0 else 0.0
        for age, known in zip(ages, subscribed, strict=True)
    ]
    bases = [age / 3.0 for age in ages]
    rounded = [round(Fraction(float(np.float64(v) * 1e6))) for v in values if v is not None]
    differences = [v - b for v, b in zip(values, bases, strict=True) if v is not None]
    return (
        sum(rounded),
        sum(round(Fraction(b * 1e6)) for b in bases),
        sum(round(Fraction(d * 1e6)) for d in differences),
    )


@pytest.mark.parametrize("compacted", [False, True])
def test_a_statement_adds_up_to_the_micro(house: House, compacted: bool) -> None:
    ages, known = list(range(40)), [True, None, False, True] * 10
    writer = house.writer()
    for version in (1, 2):
        made = house.answer(writer, ages, version=version)
        told = [(each, truth) for each, truth in zip(made, known, strict=True) if truth is not None]
        house.learn(writer, [each for each, _ in told], [truth for _, truth in told])
    house.answer(writer, ages, version=3, shadow=True, of=made)
    if compacted:
        writer.close()
        compact(house.home)
    lines = house.journal.statement(ENDPOINT, VALUE, BASELINE, declared=DECLARED)
    value, base, difference = _expected(ages, known)
    assert [(line.version, line.shadow, line.answered, line.with_outcome) for line in lines] == [
        (1, False, 40, 30), (2, False, 40, 30), (3, True, 40, 30),
    ]  # fmt: skip
    for line in lines:
        assert (line.value_micros, line.baseline_micros, line.difference_micros) == (value, base, difference)
        assert line.valued == line.compared
        assert line.cpu_ns == sum(age * 10 for age in ages)
        assert line.first_at_us <= line.last_at_us


def test_a_statement_by_day_adds_up_to_the_whole(house: House) -> None:
    writer = house.writer()
    day_us = 86_400_000_000
    for day in range(3):
        house.answer(writer, range(10), at_us=day * day_us + 5)
    lines = house.journal.statement(ENDPOINT, "inputs.age", by_day=True)
    assert [str(line.day) for line in lines] == ["1970-01-01", "1970-01-02", "1970-01-03"]
    by_column = house.journal.statement(ENDPOINT, "inputs.age", day_sql="date '2008-05-05' + inputs.age::int % 2")
    assert [str(line.day) for line in by_column] == ["2008-05-05", "2008-05-06"]
    (whole,) = house.journal.statement(ENDPOINT, "inputs.age")
    assert _sums(lines) == _sums(by_column) == _sums([whole]) == (30, 135_000_000)


def _sums(lines: list[Line]) -> tuple[int, int]:
    return sum(line.answered for line in lines), sum(line.value_micros for line in lines)


def test_what_is_not_a_number_is_unknown_not_a_sum(house: House) -> None:
    house.answer(house.writer(), [0, 1])
    (line,) = house.journal.statement(ENDPOINT, "case when inputs.age = 0 then 'nan'::double else 1.0 end")
    assert (line.answered, line.valued, line.value_micros) == (2, 1, 1_000_000)


def test_predictions_are_listed_newest_first_page_by_page_with_their_outcomes(house: House) -> None:
    writer = house.writer()
    made = house.answer(writer, range(5))
    house.learn(writer, [made[3]], [False], [1.5])
    writer.close()
    compact(house.home)
    made += house.answer(house.writer(), range(5))
    seen: list[str] = []
    while (page := house.journal.predictions(ENDPOINT, 3, seen[-1] if seen else None)).num_rows:
        seen += map(str, page["id"].to_pylist())
        for row in page.to_pylist():
            assert (row["outcome_value"] == 1.5) is (row["id"] == made[3])
    assert seen == made[::-1]


def test_predictions_newer_than_every_compacted_outcome_are_listed_and_wait_for_theirs(house: House) -> None:
    first = _compacted(house, "worker-1", learned=True)
    later = _compacted(house, "worker-2", learned=False)
    assert house.journal.predictions(ENDPOINT, limit=1)["id"].to_pylist() == [later[-1]]
    found = house.journal.matured(ENDPOINT, first[-1], VALUE, BASELINE, DAY_S, _later_us(), declared=DECLARED)
    assert (found.rows.num_rows, found.held_by) == (0, later[0])


def _compacted(house: House, name: str, learned: bool) -> list[str]:
    writer = house.writer(name)
    made = house.answer(writer, range(3))
    if learned:
        house.learn(writer, made, [True] * 3)
    writer.close()
    compact(house.home)
    return made


def test_known_ids_are_found_in_tables_and_segments(house: House) -> None:
    writer = house.writer()
    old = house.answer(writer, range(5))
    elsewhere = house.answer(writer, range(2), endpoint="other")
    writer.close()
    compact(house.home)
    new = house.answer(house.writer(), range(5))
    strange = "0198c0de-0000-7000-8000-000000000000"
    assert house.journal.known_ids(ENDPOINT, [old[0], new[4], *elsewhere, strange]) == {old[0], new[4]}
    assert house.journal.count(ENDPOINT) == {"predictions": 10, "shadows": 0, "outcomes": 0}


def test_shadows_are_kept_apart_from_answers(house: House) -> None:
    writer = house.writer()
    made = house.answer(writer, range(4))
    house.answer(writer, range(4), version=2, shadow=True, of=made)
    assert house.rows("select count(*), max(version) from predictions") == [(4, 1)]
    assert house.rows("select count(*), min(version) from shadows") == [(4, 2)]
    assert house.journal.count(ENDPOINT) == {"predictions": 4, "shadows": 4, "outcomes": 0}


def test_endpoints_are_seen_together_and_each_alone(house: House) -> None:
    writer = house.writer()
    house.answer(writer, [1, 2])
    house.answer(writer, [3], endpoint="main")
    house.answer(writer, [4], endpoint="odd.name-1")
    writer.close()
    compact(house.home)
    house.answer(house.writer(), [5], endpoint="odd.name-1")
    assert house.rows("select avg(inputs.age) from predictions") == [(3.0,)]
    assert house.rows('select sum(inputs.age) from "odd.name-1".predictions') == [(9,)]
    assert house.rows("select endpoint, count(*) from predictions group by 1 order by 1") == [
        ("main", 1), ("odd.name-1", 2), (ENDPOINT, 2),
    ]  # fmt: skip


def test_another_process_sees_the_same(house: House) -> None:
    house.answer(house.writer(), range(3))
    other = Journal(house.home)
    assert other.count(ENDPOINT) == house.journal.count(ENDPOINT)
    other.close()
