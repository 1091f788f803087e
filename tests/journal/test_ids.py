"""Ids sort by time and never repeat."""

import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.errors import BadInput
from payoff.journal.ids import Ids, floor, parse, text, time_us, times_us

NOW_US = 1_795_000_000_123_456


@given(st.lists(st.tuples(st.integers(0, 2**45), st.integers(1, 300)), min_size=1, max_size=20))
def test_ids_of_a_process_increase_whatever_its_clock_does(looks: list[tuple[int, int]]) -> None:
    times = iter([at for at, _ in looks])
    ids = Ids(5, lambda: next(times))
    made = [each for _, n in looks for each in text(*ids.take(n))]
    assert made == sorted(set(made))


@given(st.integers(0, 2**47))
def test_an_id_tells_its_time_to_the_microsecond(at_us: int) -> None:
    high, low = Ids(0, lambda: at_us).take()
    assert time_us(text(high, low)[0]) == at_us
    assert times_us(high).tolist() == [at_us]


def test_ids_start_after_the_newest_one_in_the_journal_even_if_the_clock_went_back() -> None:
    (old,) = text(*Ids(0, lambda: NOW_US).take())
    (new,) = text(*Ids(0, lambda: NOW_US - 3_600_000_000, after_us=time_us(old)).take())
    assert new > old


def test_an_id_is_a_uuid_of_version_7() -> None:
    for each in text(*Ids(1023).take(20)):
        assert uuid.UUID(each).version == 7
        assert uuid.UUID(each).variant == uuid.RFC_4122
        assert str(uuid.UUID(each)) == each


@pytest.mark.parametrize("n", [1, 7, 8, 1000])
def test_text_and_halves_of_an_id_say_the_same(n: int) -> None:
    high, low = Ids(3).take(n)
    again_high, again_low = parse(text(high, low))
    assert np.array_equal(high, again_high)
    assert np.array_equal(low, again_low)


def test_workers_never_make_the_same_id_in_the_same_instant() -> None:
    made = [each for worker in range(64) for each in text(*Ids(worker, lambda: NOW_US).take(50))]
    assert len(set(made)) == len(made)


def test_a_batch_of_millions_still_increases() -> None:
    ids = Ids(0, lambda: NOW_US)
    high, low = ids.take(2**21 + 5)
    after, _ = ids.take(1)
    order = high[1:] > high[:-1]
    order |= (high[1:] == high[:-1]) & (low[1:] > low[:-1])
    assert order.all()
    assert after[0] > high[-1]


def test_the_floor_of_a_time_is_before_all_ids_made_then_and_after_all_made_earlier() -> None:
    (then,) = text(*Ids(0, lambda: NOW_US).take())
    (earlier,) = text(*Ids(9, lambda: NOW_US - 1).take())
    assert earlier < floor(NOW_US) <= then


@pytest.mark.parametrize(
    "wrong", ["", "x", "0198c0de-0000-4000-8000-000000000000", "0198C0DE-0000-7000-8000-000000000000", 7]
)
def test_a_text_that_is_no_id_is_refused_by_row(wrong: str) -> None:
    right = text(*Ids().take(1))
    with pytest.raises(BadInput, match=r"row 1: .* is not a prediction id"):
        parse([*right, wrong])


@given(st.lists(st.tuples(st.integers(0, 2**45), st.integers(0, 3000)), min_size=1, max_size=5))
def test_ids_drawn_with_their_texts_increase_and_say_the_same(looks: list[tuple[int, int]]) -> None:
    times = iter([at for at, _ in looks])
    ids = Ids(5, lambda: next(times))
    drawn = [ids.draw(n) for _, n in looks]
    made = [each for one in drawn for each in one.texts]
    assert made == sorted(set(made))
    for one, (_, n) in zip(drawn, looks, strict=True):
        assert [*one.texts] == text(one.high, one.low)
        assert len(one.texts) == n


def test_drawn_and_taken_ids_of_one_process_never_meet() -> None:
    ids = Ids(7, lambda: NOW_US)
    made = [*ids.draw(3).texts, *text(*ids.take(3)), *ids.draw(1).texts, *text(*ids.take(1))]
    assert made == sorted(set(made))
