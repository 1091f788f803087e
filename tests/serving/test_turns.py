"""Whose turn it is: batches, priorities, deadlines, callers who have gone, full queues; and rows never mixed up."""

import asyncio
import re
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from payoff.clock import now_us
from payoff.errors import Abandoned, Busy, DeadlineExceeded, ModelFailed
from payoff.records import Column, Role, Served
from payoff.serving import Answered, Limits, Live, admission, desk
from payoff.serving.form import IN_HAND
from payoff.serving.line import HEAD_START_US, PRIORITY_MAX, Rate
from tests.serving.house import House, until, y

pytestmark = pytest.mark.anyio
LONG_US = 3_600_000_000


class Someone:
    """A caller who remembers what he heard, and tells in which order all of them did."""

    def __init__(self, order: list["Someone"], name: Any = None) -> None:
        self.gone = False
        self.name = name
        self.heard: Any = None
        self.order = order
        self.then: Callable[[], None] = lambda: None

    def hear(self, said: Any) -> None:
        assert self.heard is None, "told twice"
        self.heard = said
        self.order.append(self)
        self.then()


class Crowd:
    """Callers of one desk."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.order: list[Someone] = []
        self.all: list[Someone] = []

    def ask(self, live: Live, *xs: float, priority: int = 0, deadline_us: int | None = None) -> Someone:
        one = Someone(self.order, xs)
        rows = {"x": Column(np.array(xs, np.float32))}
        self.house.desk.take(live, IN_HAND, rows, len(xs), one, priority=priority, deadline_us=deadline_us)
        self.all.append(one)
        return one

    async def told(self) -> list[Any]:
        """Who heard, in order, once all have."""
        await until(lambda: len(self.order) == len(self.all))
        return [one.name for one in self.order]


class Sizes:
    """Sees how many calls each batch has."""

    def __init__(self, house: House) -> None:
        self.seen: list[int] = []
        house.desk.onlookers.append(self)

    def saw(self, batch: Any, whole: Any, lap: Any) -> None:
        self.seen.append(len(batch))

    def missed(self, batch: Any, error: Exception, ended_us: int) -> None: ...


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the desk no time passes, however long this machine takes."""
    now = now_us()
    monkeypatch.setattr(desk, "now_us", lambda: now)


@pytest.mark.usefixtures("still")
async def test_calls_that_are_just_coming_share_the_turn_of_those_that_wait(build: Callable[..., House]) -> None:
    house = build(Limits())
    live, crowd, sizes = await house.hot((Role.CHAMPION, house.here(2))), Crowd(house), Sizes(house)
    crowd.ask(live, 1)
    crowd.ask(live, 2)
    asyncio.get_running_loop().call_soon(crowd.ask, live, 3)
    await until(lambda: len(crowd.order) == 3)
    assert sizes.seen == [3]


async def test_a_lone_call_is_served_at_once(build: Callable[..., House]) -> None:
    house = build(Limits())
    live, crowd, sizes = await house.hot((Role.CHAMPION, house.here(2))), Crowd(house), Sizes(house)
    crowd.ask(live, 1)
    asyncio.get_running_loop().call_soon(crowd.ask, live, 2)
    await until(lambda: len(crowd.order) == 2)
    assert sizes.seen == [1, 1]


@pytest.mark.parametrize("tick_us", [None, -1])
async def test_callers_without_end_do_not_keep_the_first_waiting(
    build: Callable[..., House], monkeypatch: pytest.MonkeyPatch, tick_us: int | None
) -> None:
    house = build(Limits())
    if tick_us is not None:  # a clock that is being set back
        times = count(now_us(), tick_us * 1_000)
        monkeypatch.setattr(desk, "now_us", lambda: next(times))
    live, crowd = await house.hot((Role.CHAMPION, house.here(2))), Crowd(house)
    first, loop = crowd.ask(live, 0), asyncio.get_running_loop()

    def another() -> None:
        if first.heard is None:
            crowd.ask(live, 1)
            loop.call_soon(another)

    another()
    await until(lambda: first.heard is not None)
    assert y(first.heard) == [0]


async def test_a_call_with_priority_goes_before_those_that_came_just_before(build: Callable[..., House]) -> None:
    house = build(Limits(rows_max=1))
    live, crowd = await house.hot((Role.CHAMPION, house.here(2))), Crowd(house)
    for x, priority in ((1, 0), (2, 0), (3, 1), (4, PRIORITY_MAX), (5, 1), (6, 0)):
        crowd.ask(live, x, priority=priority)
    assert await crowd.told() == [(4,), (3,), (5,), (1,), (2,), (6,)]
    assert [y(one.heard) for one in crowd.order] == [[8], [6], [10], [2], [4], [12]]


async def test_priority_is_a_head_start_so_that_nobody_waits_for_ever(build: Callable[..., House]) -> None:
    house = build(Limits(rows_max=1))
    live, crowd = await house.hot((Role.CHAMPION, house.here(2))), Crowd(house)
    crowd.ask(live, 1)
    house.desk._calls[0].arrived_us -= HEAD_START_US + 1_000_000  # it has waited for longer than a step is worth
    crowd.ask(live, 2, priority=1)
    assert await crowd.told() == [(1,), (2,)]


@pytest.mark.usefixtures("still")
async def test_priorities_hold_in_a_line_too(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(Limits(rows_max=1))
    served = house.away(gate=str(tmp_path / "gate"))
    live, crowd = await house.hot((Role.CHAMPION, served)), Crowd(house)
    crowd.ask(live, 1)
    await until(lambda: house.made(served).busy)
    crowd.ask(live, 2)
    crowd.ask(live, 3, priority=2)
    (tmp_path / "gate").touch()
    assert await crowd.told() == [(1,), (3,), (2,)]


async def test_a_call_whose_time_is_over_before_its_turn_is_not_run(house: House) -> None:
    live, crowd = await house.hot((Role.CHAMPION, house.here(2))), Crowd(house)
    late, good = crowd.ask(live, 1, deadline_us=now_us() - 1), crowd.ask(live, 2, deadline_us=now_us() + LONG_US)
    await crowd.told()
    assert isinstance(late.heard, DeadlineExceeded)
    assert re.match(r"the call waited [\d,]+ ms, and its time was over before its turn; nothing was", str(late.heard))
    assert y(good.heard) == [4]
    assert [row["inputs"]["x"] for row in house.journal()] == [2]
    assert (house.desk.counters.late, house.desk.counters.failed, house.desk.idle) == (1, 1, True)


async def test_a_call_in_a_line_hears_when_its_time_is_over_however_long_the_model_hangs(
    house: House, tmp_path: Path
) -> None:
    served = house.away(gate=str(tmp_path / "gate"))
    live, crowd = await house.hot((Role.CHAMPION, served)), Crowd(house)
    hung = crowd.ask(live, 1)
    await until(lambda: house.made(served).busy)
    waiting, late = crowd.ask(live, 2), crowd.ask(live, 3, deadline_us=now_us() + 20_000)
    await until(lambda: late.heard)
    assert isinstance(late.heard, DeadlineExceeded)
    assert [hung.heard, waiting.heard] == [None, None]
    (tmp_path / "gate").touch()
    await crowd.told()
    assert (y(hung.heard), y(waiting.heard), house.made(served).batches) == ([2], [4], [1, 1])
    await until(lambda: house.desk.idle)


async def test_a_large_call_is_given_up_between_its_pieces(build: Callable[..., House]) -> None:
    house = build(Limits(rows_max=10))
    live, crowd = await house.hot((Role.CHAMPION, house.here(2))), Crowd(house)
    gone, late = crowd.ask(live, *range(100)), crowd.ask(live, *range(50), deadline_us=now_us() + LONG_US)
    small = crowd.ask(live, 7)

    def give_up() -> None:
        gone.gone = True
        house.desk._bulk[-1].call.deadline_us = now_us() - 1

    small.then = give_up
    await crowd.told()
    assert isinstance(gone.heard, Abandoned)
    assert isinstance(late.heard, DeadlineExceeded)
    assert len(house.journal()) == 1
    assert house.desk.idle


@pytest.mark.parametrize("away", [False, True])
async def test_a_call_whose_caller_has_gone_is_not_run_and_is_counted(house: House, away: bool) -> None:
    served = house.away() if away else house.here(2)
    live, crowd = await house.hot((Role.CHAMPION, served)), Crowd(house)
    calls = [crowd.ask(live, x) for x in range(6)]
    for one in calls[::2]:
        one.gone = True
    await crowd.told()
    assert [isinstance(one.heard, Abandoned) for one in calls] == [True, False] * 3
    assert [y(one.heard) for one in calls[1::2]] == [[2], [6], [10]]
    assert sorted(row["inputs"]["x"] for row in house.journal()) == [1, 3, 5]
    assert house.desk.counters.abandoned == 3
    await until(lambda: house.desk.idle)


async def test_where_all_have_gone_nothing_is_asked(house: House) -> None:
    served = house.away()
    live, crowd = await house.hot((Role.CHAMPION, served)), Crowd(house)
    for x in range(3):
        crowd.ask(live, x).gone = True
    await crowd.told()
    await until(lambda: house.desk.idle)
    assert house.made(served).batches == []


async def test_those_who_have_gone_make_room_in_a_full_line(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(Limits(line_rows_max=3))
    served = house.away(gate=str(tmp_path / "gate"))
    live, crowd = await house.hot((Role.CHAMPION, served)), Crowd(house)
    crowd.ask(live, 1)
    await until(lambda: house.made(served).busy)
    gone = [crowd.ask(live, x) for x in (2, 3)]
    with pytest.raises(Busy, match=r"3 rows are waiting for times; the limit is 3; try again in \d+.\d s"):
        crowd.ask(live, 4)
    for one in gone:
        one.gone = True
    last = crowd.ask(live, 5)
    (tmp_path / "gate").touch()
    await crowd.told()
    assert y(last.heard) == [10]


async def test_nobody_may_join_a_line_whose_first_waits_for_too_long(
    build: Callable[..., House], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = build(Limits(wait_s_max=3_600.0))
    served = house.away(gate=str(tmp_path / "gate"))
    live, crowd = await house.hot((Role.CHAMPION, served)), Crowd(house)
    crowd.ask(live, 1)
    await until(lambda: house.made(served).busy)
    crowd.ask(live, 2)
    words = r"the first call has waited 7\d\d\d s for times; nobody may join while that is more than 3600 s"
    with monkeypatch.context() as later:
        later.setattr(admission, "now_us", lambda: now_us() + 2 * LONG_US)
        with pytest.raises(Busy, match=words):
            crowd.ask(live, 3)
    (tmp_path / "gate").touch()
    assert await crowd.told() == [(1,), (2,)]
    again = crowd.ask(live, 3)
    await crowd.told()
    assert y(again.heard) == [6]


async def test_a_refusal_says_how_long_what_waits_will_take(build: Callable[..., House]) -> None:
    house = build(Limits(rows_max=10, line_rows_max=100))
    served = house.away(call_s=0.05)
    live, crowd = await house.hot((Role.CHAMPION, served)), Crowd(house)
    began_s = time.perf_counter()
    for _ in range(10):
        crowd.ask(live, *range(10))
    await until(lambda: len(house.made(served).batches) >= 3)
    while True:
        try:
            crowd.ask(live, *range(10))
        except Busy as error:
            busy = error
            break
    took_s = time.perf_counter() - began_s
    assert busy.retry_after_s is not None
    assert 0.25 < busy.retry_after_s <= 10 * took_s  # ten batches: each takes 50 ms, and none took longer than all did
    assert f"try again in {busy.retry_after_s:.1f} s" in str(busy)
    await crowd.told()


def test_a_rate_is_that_of_the_latest_batches() -> None:
    rate = Rate()
    assert rate.wait_s(1_000) == 0
    rate.note(0, 1.0)
    rate.note(10, 0.1)
    assert rate.wait_s(100) == pytest.approx(1.0)
    for _ in range(100):
        rate.note(10, 0.2)
    assert rate.wait_s(100) == pytest.approx(2.0, rel=1e-3)


async def test_calls_for_one_endpoint_share_a_batch_though_others_came_in_between(house: House) -> None:
    ones, others = await house.hot((Role.CHAMPION, house.here(2))), await house.hot((Role.CHAMPION, house.here(3)))
    crowd = Crowd(house)
    for x in range(20):
        crowd.ask(ones if x % 2 else others, x)
    told = await crowd.told()
    assert told == [(x,) for x in range(0, 20, 2)] + [(x,) for x in range(1, 20, 2)]
    assert [y(one.heard) for one in crowd.order] == [
        [one.name[0] * (2 if one.name[0] % 2 else 3)] for one in crowd.order
    ]


async def test_a_batch_is_no_larger_than_pays(house: House) -> None:
    served = house.away()
    live, crowd = await house.hot((Role.CHAMPION, served)), Crowd(house)
    live.seats[0].rows_max = 8
    for x in range(20):
        crowd.ask(live, x)
    large = crowd.ask(live, *range(30))
    await crowd.told()
    assert max(house.made(served).batches) == 8
    assert sum(house.made(served).batches) == 50
    assert y(large.heard) == [2 * x for x in range(30)]


async def test_a_large_call_comes_through_on_the_loop_however_many_small_ones_come(build: Callable[..., House]) -> None:
    house = build(Limits(rows_max=10))
    live, crowd = await house.hot((Role.CHAMPION, house.here(2))), Crowd(house)
    large = crowd.ask(live, *range(100))
    while large.heard is None:
        crowd.ask(live, 1)
        await asyncio.sleep(0)
    assert y(large.heard) == [2 * x for x in range(100)]
    await until(lambda: house.desk.idle)


@pytest.mark.parametrize("where", ["loop", "thread", "elsewhere", "cold"])
@pytest.mark.parametrize("seed", range(3))
async def test_every_caller_hears_his_own_rows_and_no_others(
    build: Callable[..., House], where: str, seed: int
) -> None:
    """Ragged calls, priorities, deadlines, people who go, rows that fail, swaps: all at once."""
    house = build(Limits(rows_max=700))
    chance, crowd = np.random.default_rng(seed), Crowd(house)
    ways: dict[str, Callable[[float], Served]] = {
        "loop": lambda factor: house.here(factor),
        "thread": lambda factor: house.slow(factor),
        "elsewhere": lambda factor: house.away(factor=factor, call_s=0.0, poison=-1, batches_max=2, crashes_max=10**9),
        "cold": lambda factor: house.away(factor=factor, call_s=0.0),
    }
    start = house.serve if where == "cold" else house.hot
    served = [ways[where](2), ways[where](3)]
    factors = {
        house.revision((Role.CHAMPION, one)).arms[0].version: factor for one, factor in zip(served, (2, 3), strict=True)
    }
    live: Any = None
    for number in range(80):
        if number % 20 == 0:  # a swap
            found: Any = start((Role.CHAMPION, served[number // 20 % 2]))
            live = await found if asyncio.iscoroutine(found) else found
        count = int(chance.choice([0, 1, 1, 1, 3, 20, *((700, 1_500) if where != "thread" else (8, 12))]))
        xs = [float(number * 2_000 + row) for row in range(count)]
        if where == "elsewhere" and number % 13 == 5:
            xs = [-1.0]
        deadline_us = now_us() + int(chance.choice([1, 2_000, LONG_US])) if chance.random() < 0.2 else None
        one = crowd.ask(live, *xs, priority=int(chance.choice([0, 0, 0, 1, 5])), deadline_us=deadline_us)
        one.gone = bool(chance.random() < 0.05)
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    await crowd.told()
    answered = [one for one in crowd.all if isinstance(one.heard, Answered)]
    for one in answered:
        factor = {factors[version] for version in one.heard.versions if version is not None}
        assert len(factor) <= 1
        assert y(one.heard) == [x * next(iter(factor)) for x in one.name]
    assert len(answered) > 50
    others = [one for one in crowd.all if not isinstance(one.heard, Answered)]
    assert all(isinstance(one.heard, DeadlineExceeded | Abandoned | ModelFailed) for one in others)
    recorded = sorted(row["inputs"]["x"] for row in house.journal())
    assert recorded == sorted(x for one in answered for x in one.name)
    await until(lambda: house.desk.idle)
