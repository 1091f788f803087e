"""Whatever happens in whatever order, every caller hears once, and every answered row is in the journal once."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payoff.records import Explore, Otherwise, Policy, Role, Rule
from payoff.serving import Answered, Heat, Limits
from tests.serving.house import FALLBACK, PLAIN, House, all_of, until

pytestmark = pytest.mark.slow
POISON = 13.0
TRIED = replace(
    FALLBACK, holdout=0.3, explore=Explore(0.5), rules=(Rule("decision = false or inputs.x > 1", Otherwise.FALLBACK),)
)

XS = st.lists(st.sampled_from([1.0, 2.0, 3.0, POISON]), max_size=9)
STEP = st.one_of(
    st.tuples(st.just("call"), XS),
    st.tuples(st.just("swap"), st.integers(0, 7)),
    st.tuples(st.just("let time pass"), st.integers(0, 4)),
    st.tuples(st.just("cool"), st.none()),
    st.tuples(st.just("revive"), st.none()),
)


def revisions(house: House) -> list[tuple[Any, Policy]]:
    """Endpoints as different as they come: here, away, cold, split, watched, held out, explored, with no fallback."""
    here, quick = house.here(2), house.away(factor=3, call_s=0.0, batches_max=3, poison=POISON)
    slow, wrong = house.away(factor=5, call_s=0.003, poison=POISON), house.away(factor=7, short=True)
    champion, challenger, shadow = Role.CHAMPION, Role.CHALLENGER, Role.SHADOW
    return [
        ([(champion, here)], PLAIN),
        ([(champion, slow)], PLAIN),
        ([(champion, here), (challenger, quick, 0.5)], FALLBACK),
        ([(champion, quick), (challenger, slow, 0.3), (shadow, here)], FALLBACK),
        ([(champion, here), (shadow, slow), (shadow, wrong)], PLAIN),
        ([(Role.KILLED, slow), (challenger, wrong, 0.4)], FALLBACK),
        ([(champion, here)], TRIED),
        ([(champion, quick), (challenger, here, 0.4), (shadow, slow)], TRIED),
    ]


async def story(home: Path, steps: list[tuple[str, Any]]) -> None:
    house = House(home, Limits(rows_max=6, line_rows_max=40, shadow_rows_max=60), Heat(hot_max=2))
    lives = [house.serve(*arms, policy=policy) for arms, policy in revisions(house)]
    live, heard, refused = lives[0], [], 0
    for what, how in steps:
        if what == "call":
            try:
                heard.append((live, how, house.call(live, *how)))
            except Exception:
                refused += 1
        elif what == "swap":
            live = lives[how]
            house.models.keep_only({*live.seats, *house.desk.in_use()})
        elif what == "cool":
            house.models.cool_down()
        elif what == "revive":
            await asyncio.gather(*map(house.models.heat, live.seats), return_exceptions=True)
        else:
            await asyncio.sleep(how / 1_000)
    answers = await all_of([call for _, _, call in heard])
    await until(lambda: house.desk.idle)
    house.models.close()
    expected = []
    for (asked, xs, _), answered in zip(heard, answers, strict=True):
        if isinstance(answered, Answered):
            assert len(answered.ids) == len(xs)
            expected += [
                (id_, asked.revision.number, x, arm)
                for id_, x, arm in zip(answered.ids, xs, answered.arms, strict=True)
            ]
            factors = {"fallback": None, **{arm.name: house.factor(arm.served) for arm in asked.revision.arms}}
            for x, arm, value in zip(xs, answered.arms, answered.outputs["y"].values.tolist(), strict=True):
                assert factors[arm] is None or value == x * factors[arm]
        else:
            assert not isinstance(answered, AssertionError)
    found = [(row["id"], row["revision"], row["inputs"]["x"], row["arm"]) for row in house.journal()]
    assert sorted(found) == sorted(expected)
    assert house.desk.counters.answered == len(expected)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEP, min_size=1, max_size=60))
def test_every_caller_hears_once_and_every_answered_row_is_recorded_once(steps: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder), steps))
