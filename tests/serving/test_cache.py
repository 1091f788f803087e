"""Answers kept: by the exact bytes of a row, for a while, so many and so large; never mixed up."""

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.records import Cache, Column, Columns, Explore, Field, Otherwise, Policy, Role, Rule, Type, take
from payoff.serving import Answered
from payoff.serving.cache import Answers
from tests.serving.house import House, all_of, y

FIELDS = (
    Field("n", Type.INT64),
    Field("x", Type.FLOAT32, (2,), nullable=True),
    Field("word", Type.TEXT, nullable=True),
    Field("yes", Type.BOOL),
)
Row = tuple[int, tuple[float, float] | None, str | None, bool]
NOISE = count(1)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def table(rows: list[Row]) -> dict[str, Column]:
    """What stands at a null is another each time and means nothing."""
    n, x, word, yes = zip(*rows, strict=True) if rows else ((), (), (), ())
    given_x, given_word = np.array([one is not None for one in x], bool), np.array([w is not None for w in word], bool)
    noise = float(next(NOISE))
    values = np.array([one or (noise, noise) for one in x], np.float32).reshape(-1, 2)
    words = np.array([str(noise) if one is None else one for one in word], object)
    return {
        "n": Column(np.array(n, np.int64)),
        "x": Column(values, given_x),
        "word": Column(words, None if given_word.all() else given_word),
        "yes": Column(np.array(yes, bool)),
    }


def model(rows: list[Row]) -> dict[str, Column]:
    """Says for each row what it was asked."""
    return {
        "said": Column(np.array([repr(row) for row in rows], object)),
        "n": Column(np.array([row[0] for row in rows], np.int64), np.array([row[0] % 3 != 0 for row in rows], bool)),
    }


def ask(answers: Answers, rows: list[Row]) -> tuple[list[Any], list[int]]:
    """What everybody hears, and which rows the cache answered."""
    found = answers.find(table(rows))
    outputs = model([rows[place] for place in found.misses.tolist()])
    heard: list[Any] = [None] * len(rows)
    for places, part in ((found.hits, found.outputs), (found.misses, outputs)):
        for at, place in enumerate(places.tolist()):
            number = part["n"]
            valid = number.valid is None or bool(number.valid[at])
            heard[place] = part["said"].values[at], int(number.values[at]) if valid else None
    answers.keep(found, outputs)
    return heard, found.hits.tolist()


def expected(rows: list[Row]) -> list[Any]:
    return [(repr(row), row[0] if row[0] % 3 else None) for row in rows]


numbers = st.sampled_from([0.0, 1.5, -2.0])
rows_of = st.tuples(
    st.integers(0, 4),
    st.none() | st.tuples(numbers, numbers),
    st.none() | st.sampled_from(["", "a", "ab"]),
    st.booleans(),
)


@given(st.lists(st.lists(rows_of, max_size=12), max_size=12), st.integers(1, 12), st.integers(300, 4_000))
def test_whatever_is_kept_or_dropped_every_row_hears_its_own_answer(
    batches: list[list[Row]], entries: int, bytes_max: int
) -> None:
    answers = Answers(Cache(60.0, entries, bytes_max), FIELDS, Clock())
    for rows in batches:
        assert ask(answers, rows)[0] == expected(rows)
        assert len(answers) <= entries
        assert answers.held_bytes <= bytes_max
    assert answers.held_bytes >= 0


@given(st.lists(rows_of, min_size=1, max_size=40))
def test_with_room_for_all_a_row_is_asked_once(rows: list[Row]) -> None:
    answers = Answers(Cache(60.0), FIELDS, Clock())
    ask(answers, rows)
    assert ask(answers, rows)[1] == list(range(len(rows)))
    assert len(answers) == len(set(rows))


def test_an_answer_is_forgotten_after_its_time() -> None:
    clock = Clock()
    answers = Answers(Cache(10.0), FIELDS, clock)
    row: Row = (1, (1.0, 2.0), "a", True)
    ask(answers, [row])
    clock.now_s += 9.0
    assert ask(answers, [row])[1] == [0]
    clock.now_s += 2.0  # of its age, not since it was used
    assert ask(answers, [row])[1] == []
    assert ask(answers, [row])[1] == [0]


def test_the_longest_unused_makes_room() -> None:
    answers = Answers(Cache(60.0, entries=2), FIELDS, Clock())
    first, second, third = [(n, None, None, False) for n in range(3)]
    ask(answers, [first, second])
    ask(answers, [first])
    ask(answers, [third])
    assert ask(answers, [first, third])[1] == [0, 1]
    assert ask(answers, [second])[1] == []


def test_a_null_is_not_an_empty_text_nor_a_zero() -> None:
    answers = Answers(Cache(60.0), FIELDS)
    ask(answers, [(1, None, None, True)])
    for other in ((1, (0.0, 0.0), None, True), (1, None, "", True), (1, None, None, False), (2, None, None, True)):
        assert ask(answers, [other])[1] == []


@pytest.mark.parametrize("other", [-0.0, float(np.nextafter(np.float32(0), np.float32(1)))])
def test_only_the_same_bytes_are_the_same_row(other: float) -> None:
    answers = Answers(Cache(60.0), FIELDS)
    ask(answers, [(1, (0.0, 0.0), "", True)])
    assert ask(answers, [(1, (0.0, other), "", True)])[1] == []


def test_texts_of_several_places_and_rows_of_a_slice_are_keys_too() -> None:
    answers = Answers(Cache(60.0), (Field("words", Type.TEXT, (2,)),), Clock())
    rows: Columns = {"words": Column(np.array([["a", "b"], ["ab", ""], ["a", "b"]], object))}
    found = answers.find(rows)
    answers.keep(found, {"y": Column(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))})
    again = answers.find(take(rows, slice(1, 3)))
    assert again.hits.tolist() == [0, 1]
    assert again.outputs["y"].values.tolist() == [[3.0, 4.0], [1.0, 2.0]]


# -- at the desk

KEPT = Policy(decision="outputs.y > 4", fallback={"decision": False}, cache=Cache(3_600.0))


@pytest.mark.anyio
@pytest.mark.parametrize("away", [False, True])
async def test_equal_rows_are_answered_once_by_the_model_and_each_is_journaled(house: House, away: bool) -> None:
    served = house.away() if away else house.here(2)
    live = await house.hot((Role.CHAMPION, served), policy=KEPT)
    first = await house.call(live, 1, 2, 3)
    again = await house.call(live, 3, 4, 1)
    assert (y(first), y(again)) == ([2, 4, 6], [6, 8, 2])
    assert first.whys == ["champion"] * 3
    assert again.whys == ["champion, from the cache", "champion", "champion, from the cache"]
    assert again.decision is not None
    assert again.decision.values.tolist() == [True, True, False]
    assert len({*first.ids, *again.ids}) == 6
    assert [row["inputs"]["x"] for row in house.journal("(from predictions order by id)")] == [1, 2, 3, 3, 4, 1]
    assert (house.desk.counters.cache_hits, house.desk.counters.cache_misses) == (2, 4)
    if away:
        assert house.made(served).batches == [3, 1]


@pytest.mark.anyio
async def test_each_arm_and_each_revision_has_answers_of_its_own(house: House) -> None:
    arms = (Role.CHAMPION, house.here(2)), (Role.CHALLENGER, house.here(3), 0.5)
    factors = {"champion-0": 2, "challenger-1": 3}
    live = await house.hot(*arms, policy=KEPT)
    for _ in range(5):
        answered = await house.call(live, *[7.0] * 40, *range(40))
        rows = zip([7.0] * 40 + list(range(40)), answered.arms, strict=True)
        assert y(answered) == [x * factors[arm] for x, arm in rows]
    swapped = await house.hot((Role.CHAMPION, house.here(5)), policy=KEPT)
    fresh = await house.call(swapped, 7)
    assert (y(fresh), fresh.whys) == ([35], ["champion"])
    assert (await house.call(swapped, 7)).whys == ["champion, from the cache"]


@pytest.mark.anyio
async def test_rules_and_chance_hold_for_answers_from_the_cache_too(house: House) -> None:
    rules = (Rule("inputs.x <> 7", Otherwise.BLOCK), Rule("outputs.y < 100", Otherwise.FALLBACK))
    policy = replace(KEPT, rules=rules, explore=Explore(0.5))
    live = await house.hot((Role.CHAMPION, house.here(2)), policy=policy)
    for _ in range(2):
        answered = await house.call(live, *range(60))
        for x, value, why, arm in zip(
            range(60), answered.outputs["y"].values, answered.whys, answered.arms, strict=True
        ):
            assert (why == "blocked by a rule") == (x == 7)
            assert (arm == "fallback") == (2 * x >= 100)
            assert value == 2 * x or arm == "fallback"
    assert house.desk.counters.cache_hits + house.desk.counters.cache_misses + 20 == 120
    rows = house.journal()
    assert len(rows) == 120
    assert {row["choice"] for row in rows} >= {"", "explore", "rule"}


@pytest.mark.anyio
async def test_what_a_model_failed_on_is_not_kept(house: House) -> None:
    live = await house.hot((Role.CHAMPION, house.away(poison=13)), policy=KEPT)
    for _ in range(2):
        heard = await all_of([house.call(live, x) for x in (1, 13, 2)])
        arms = [one.arms[0] for one in heard if isinstance(one, Answered)]
        assert arms == ["champion-0", "fallback", "champion-0"]


@pytest.mark.anyio
async def test_without_a_cache_nothing_is_kept(house: House) -> None:
    live = await house.hot((Role.CHAMPION, house.here(2)))
    assert live.plain
    assert live.caches == ()
    assert (await house.call(live, 1)).whys == (await house.call(live, 1)).whys == ["champion"]
