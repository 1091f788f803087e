"""Models that compute elsewhere: what waits, what shares a call, what fails alone, and what is recorded."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from payoff.errors import Busy, ModelFailed
from payoff.records import Column, Otherwise, Policy, Role, Rule
from payoff.serving import Answered, Limits, prepare, watching
from tests.serving.house import FALLBACK, House, all_of, until, y
from tests.shared import PATIENCE_S

pytestmark = pytest.mark.anyio


async def test_calls_that_come_while_a_batch_is_in_flight_share_the_next(house: House, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    served = house.away(gate=str(gate))
    live = await house.hot((Role.CHAMPION, served))
    heard = await all_of([house.call(live, x) for x in range(5)] + [house.call(live, 5, 6)])
    assert [y(one) for one in heard if isinstance(one, Answered)] == [[0], [2], [4], [6], [8], [10, 12]]
    gate.unlink()
    first = house.call(live, 1)
    await until(lambda: house.made(served).busy)
    more = [house.call(live, x) for x in range(100)]
    gate.touch()
    await all_of([first, *more])
    assert house.made(served).batches == [7, 1, 100]
    assert house.desk.idle


async def test_the_loop_goes_on_while_a_model_computes_elsewhere(house: House, tmp_path: Path) -> None:
    hung = await house.hot((Role.CHAMPION, house.away(gate=str(tmp_path / "gate"))))
    waiting = house.call(hung, 1)
    quick = await house.hot((Role.CHAMPION, house.here(3)))
    other = await house.hot((Role.CHAMPION, house.away(factor=5)))
    assert y(await house.call(quick, 2)) == [6]
    assert y(await house.call(other, 2)) == [10]
    assert not waiting.done()
    assert not house.desk.idle
    (tmp_path / "gate").touch()
    assert y(await waiting) == [2]


@pytest.mark.parametrize("batches_max", [1, 3])
async def test_no_more_batches_are_in_flight_than_the_model_takes(
    house: House, batches_max: int, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    served = house.away(batches_max=batches_max, gate=str(gate))
    live = await house.hot((Role.CHAMPION, served))
    calls = []
    for x in range(60):
        calls.append(house.call(live, x))
        await asyncio.sleep(0)
        if x == 30:
            await until(lambda: house.made(served).busy == batches_max)
            gate.touch()
    await all_of(calls)
    assert house.made(served).busiest == batches_max
    assert sum(house.made(served).batches) == 60


async def test_a_poisoned_row_costs_only_its_own_call(house: House) -> None:
    served = house.away(poison=13)
    live = await house.hot((Role.CHAMPION, served))
    heard = await all_of([house.call(live, x) for x in range(20)])
    failed = [x for x, one in enumerate(heard) if isinstance(one, BaseException)]
    assert failed == [13]
    assert isinstance(heard[13], ModelFailed)
    assert "its process ended" in str(heard[13])
    assert [y(one) for one in heard if isinstance(one, Answered)] == [[2 * x] for x in range(20) if x != 13]
    assert sorted(row["inputs"]["x"] for row in house.journal()) == [x for x in range(20) if x != 13]


async def test_where_there_is_a_fallback_it_answers_the_poisoned_call_and_no_other(house: House) -> None:
    live = await house.hot((Role.CHAMPION, house.away(poison=13)), policy=FALLBACK)
    heard = await all_of([house.call(live, x) for x in range(20)])
    whys = [one.whys[0] for one in heard if isinstance(one, Answered)]
    assert [x for x, why in enumerate(whys) if why != "champion"] == [13]
    assert whys[13] == "fallback: the model failed: its process ended"


async def test_a_version_that_is_out_is_not_asked_again(house: House) -> None:
    served = house.away(poison=13)
    live = await house.hot((Role.CHAMPION, served), policy=FALLBACK)
    for _ in range(3):
        assert (await house.call(live, 13)).arms == ["fallback"]
    asked = len(house.made(served).batches)
    answered = await house.call(live, 1)
    assert answered.whys == ["fallback: it crashed three times in a row"]
    assert len(house.made(served).batches) == asked
    alone = await house.hot((Role.CHAMPION, house.away(poison=7)))
    for _ in range(3):
        with pytest.raises(ModelFailed):
            await house.call(alone, 7)
    for one in await all_of([house.call(alone, x) for x in range(5)]):
        assert isinstance(one, ModelFailed)
        assert str(one) == "it crashed three times in a row"


async def test_a_model_that_answers_too_few_rows_fails(house: House) -> None:
    live = await house.hot((Role.CHAMPION, house.away(short=True)))
    with pytest.raises(ModelFailed, match="was asked 2 rows and answered 1"):
        await house.call(live, 1, 2)


async def test_a_challenger_that_hangs_holds_nothing_from_the_champion(house: House, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    arms = (Role.CHAMPION, house.away()), (Role.CHALLENGER, house.away(factor=3, gate=str(gate)), 0.5)
    live = await house.hot(*arms)
    calls = [house.call(live, x) for x in range(100)]
    await until(lambda: sum(call.done() for call in calls) > 20)
    answered = [call.result().arms[0] for call in calls if call.done()]
    assert set(answered) == {"champion-0"}
    gate.touch()
    heard = await all_of(calls)
    assert {one.arms[0] for one in heard if isinstance(one, Answered)} == {"champion-0", "challenger-1"}


async def test_rows_of_one_call_that_go_different_ways_come_back_in_order(house: House) -> None:
    policy = Policy(rules=(Rule("inputs.x <> 7", Otherwise.BLOCK),))
    arms = (Role.CHAMPION, house.away()), (Role.CHALLENGER, house.here(3), 0.5)
    live = await house.hot(*arms, policy=policy)
    answered = await house.call(live, *range(1, 50))
    factors = {"champion-0": 2, "challenger-1": 3}
    for x, arm, value, why in zip(range(1, 50), answered.arms, y(answered), answered.whys, strict=True):
        assert value == x * factors[arm]
        assert (why == "blocked by a rule") == (x == 7)
    assert set(answered.arms) == set(factors)
    assert len(house.journal()) == 49


async def test_a_large_call_is_recorded_whole_and_small_ones_pass_it(build: Callable[..., House]) -> None:
    house = build(Limits(rows_max=10))
    served = house.away()
    live = await house.hot((Role.CHAMPION, served))
    large = house.call(live, *range(200))
    small = [house.call(live, x) for x in range(5)]
    await all_of(small)
    assert not large.done()
    assert len(house.journal()) == 5
    assert y(await large) == [2 * x for x in range(200)]
    assert len(house.journal()) == 205
    assert max(house.made(served).batches) == 10


async def test_a_large_call_comes_through_however_many_small_ones_come(build: Callable[..., House]) -> None:
    house = build(Limits(rows_max=10))
    live = await house.hot((Role.CHAMPION, house.away(call_s=0.0)))
    large = house.call(live, *range(100))
    while not large.done():
        house.call(live, 1)
        await asyncio.sleep(0)
    assert y(large.result()) == [2 * x for x in range(100)]
    await until(lambda: house.desk.idle)


async def test_a_full_line_refuses_and_leaves_room_for_others(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(Limits(line_rows_max=10, waiting_rows_max=15))
    hung = await house.hot((Role.CHAMPION, house.away(gate=str(tmp_path / "gate"))))
    other = await house.hot((Role.CHAMPION, house.away(factor=3)))
    waiting = [house.call(hung, *range(5)) for _ in range(2)]
    with pytest.raises(Busy, match="10 rows are waiting for times; the limit is 10"):
        house.call(hung, 1)
    assert house.desk.counters.refused == 1
    assert y(await house.call(other, 1, 2)) == [3, 6]
    (tmp_path / "gate").touch()
    await all_of(waiting)
    assert y(await house.call(hung, 1)) == [2]


async def test_a_batch_in_flight_is_recorded_on_the_revision_it_came_for(house: House, tmp_path: Path) -> None:
    gate, old = tmp_path / "gate", house.away(gate=str(tmp_path / "gate"))
    before = await house.hot((Role.CHAMPION, old))
    waiting = [house.call(before, 1)]
    await until(lambda: house.made(old).busy)
    waiting.append(house.call(before, 2))
    after = await house.hot((Role.CHAMPION, house.away(factor=3)))
    house.models.keep_only({*after.seats, *house.desk.in_use()})
    assert y(await house.call(after, 1)) == [3]
    assert not house.made(old).closed
    gate.touch()
    heard = await all_of(waiting)
    assert [y(one) for one in heard if isinstance(one, Answered)] == [[2], [4]]
    house.models.keep_only({*after.seats, *house.desk.in_use()})
    await until(lambda: house.made(old).closed)
    numbers = [(row["revision"], row["inputs"]["x"]) for row in house.journal()]
    assert sorted(numbers) == [(1, 1), (1, 2), (2, 1)]


async def test_shadows_that_compute_elsewhere_are_recorded_and_hold_nothing(house: House, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    arms = (
        (Role.CHAMPION, house.here(2)),
        (Role.SHADOW, house.away(factor=3, gate=str(gate))),
        (Role.SHADOW, house.away(factor=4)),
    )
    live = await house.hot(*arms)
    assert live.here
    heard = await all_of([house.call(live, x) for x in range(10)])
    assert [y(one) for one in heard if isinstance(one, Answered)] == [[2 * x] for x in range(10)]
    await until(lambda: len(house.journal("shadows")) == 10)
    assert not house.desk.idle
    gate.touch()
    await until(lambda: house.desk.idle)
    ids = {one.ids[0]: x for x, one in enumerate(heard) if isinstance(one, Answered)}
    shadows = house.journal("shadows")
    assert len(shadows) == 20
    assert all(row["outputs"]["y"] == ids[row["id"]] * (row["version"] + 1) for row in shadows)


async def test_a_shadow_that_hangs_loses_rows_and_the_others_none(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(Limits(shadow_rows_max=40))
    gate = tmp_path / "gate"
    arms = (
        (Role.CHAMPION, house.here(2)),
        (Role.SHADOW, house.away(factor=3, gate=str(gate))),
        (Role.SHADOW, house.away(factor=4)),
    )
    live = await house.hot(*arms)
    for x in range(30):
        await house.call(live, x)
        await until(lambda done=x: house.desk.counters.shadowed > done)  # type: ignore[misc]
    assert house.desk.counters.shadow_dropped == 20
    gate.touch()
    await until(lambda: house.desk.idle)
    assert house.desk.counters.shadowed == 40


async def test_what_a_shadow_has_yet_to_see_of_a_replaced_revision_is_left_out_after_a_while(
    build: Callable[..., House], tmp_path: Path
) -> None:
    house = build(Limits(rows_max=1))
    gate = tmp_path / "gate"
    shadow = house.away(factor=3, gate=str(gate))
    live = await house.hot((Role.CHAMPION, house.here(2)), (Role.SHADOW, shadow))
    await all_of([house.call(live, x) for x in range(10)])
    await until(lambda: house.made(shadow).busy and not house.desk._watching.due)  # it has one, the others wait for it
    house.desk.let_go()
    assert house.desk.counters.shadow_dropped == 0
    house.desk.replace("times", prepare(house.revision((Role.CHAMPION, house.here(2))), house.models))
    dropped = 9  # one is with the model
    await until(lambda: house.desk.let_go() or house.desk.counters.shadow_dropped == dropped)  # type: ignore[func-returns-value]
    gate.touch()
    await until(lambda: house.desk.idle)
    assert house.desk.counters.shadowed == 1


async def test_what_waits_for_shadows_is_limited_in_bytes(
    build: Callable[..., House], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Rows may be wide; a batch by itself always fits."""
    monkeypatch.setattr(watching, "BYTES_MAX", 100)
    house = build()
    gate = tmp_path / "gate"
    shadows = (Role.SHADOW, house.here(3)), (Role.SHADOW, house.away(factor=4, gate=str(gate)))
    live = await house.hot((Role.CHAMPION, house.here(2)), *shadows)
    for number in range(4):  # 80 bytes each, of questions and answers
        await house.call(live, *range(10))
        await until(lambda n=number: house.desk.counters.shadowed > 10 * n)  # type: ignore[misc]
    assert house.desk.counters.shadow_dropped == 20  # of the second: one is with the model, one waits
    gate.touch()
    await until(lambda: house.desk.idle)
    assert house.desk.counters.shadowed == 60


async def test_answers_go_before_shadows_of_the_same_model(house: House, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    served = house.away(gate=str(gate))
    watched = await house.hot((Role.CHAMPION, house.here(3)), (Role.SHADOW, served))
    asked = await house.hot((Role.CHAMPION, served))
    await all_of([house.call(watched, x) for x in range(3)])
    await until(lambda: house.made(served).busy)
    await house.call(watched, 1)
    await until(lambda: not house.desk._watching.due)  # it waits for the model
    answer = house.call(asked, *range(50))
    await asyncio.sleep(0)  # and so does this
    gate.touch()
    await answer
    await until(lambda: house.desk.idle)
    assert house.made(served).batches[1:] == [50, 1]


async def test_what_was_computed_elsewhere_is_booked(house: House) -> None:
    spent_ns = 10**12  # beside it, what is computed here is nothing
    live = await house.hot((Role.CHAMPION, house.away(cpu_ns=spent_ns)))
    await house.call(live, 1, 2, 3, 4)
    assert [row["cpu_ns"] / spent_ns for row in house.journal()] == pytest.approx([0.25] * 4, rel=0.05)


async def test_a_call_without_rows_is_answered_everywhere(house: House) -> None:
    arms = (Role.CHAMPION, house.away()), (Role.CHALLENGER, house.here(3), 0.5)
    for live in (await house.hot(arms[0]), await house.hot(*arms), await house.hot((Role.CHAMPION, house.here(1)))):
        assert (await asyncio.wait_for(house.call(live), PATIENCE_S)).ids == []
    assert house.desk.idle


async def test_a_model_that_is_let_go_of_before_its_turn_is_loaded_again(house: House) -> None:
    live = await house.hot((Role.CHAMPION, house.here(2)))
    call = house.call(live, 1)
    house.models.keep_only([])
    assert y(await asyncio.wait_for(call, PATIENCE_S)) == [2]


async def test_nobody_is_answered_what_could_not_be_recorded(house: House) -> None:
    live = await house.hot((Role.CHAMPION, house.away()))
    heard: list[object] = []
    house.desk.submit(live, {"x": Column(np.array(["a"], object))}, heard.append)
    await until(lambda: heard)
    assert isinstance(heard[0], Exception)
    assert house.journal() == []
