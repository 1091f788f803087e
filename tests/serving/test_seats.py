"""Hot and cold models: who stays loaded, how a cold one comes back, and what callers hear meanwhile."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from payoff.errors import ModelFailed
from payoff.flavors import golden
from payoff.flavors.rowfile import Rows
from payoff.records import Arm, Column, Role, Served
from payoff.serving import Answered, Heat, Limits, seat
from tests.serving.elsewhere import MADE
from tests.serving.house import FALLBACK, SIGNATURE, House, all_of, until, y
from tests.shared import PATIENCE_S

pytestmark = pytest.mark.anyio


async def test_a_cold_model_is_loaded_once_for_all_who_call_it(house: House) -> None:
    served = house.away(batches_max=4)
    live = house.serve((Role.CHAMPION, served))
    assert live.seats[0].loaded is None
    heard = await all_of([house.call(live, x) for x in range(50)])
    assert [y(one) for one in heard if isinstance(one, Answered)] == [[2 * x] for x in range(50)]
    assert len(MADE[served.digest]) == 1


async def test_a_cold_model_of_the_worker_is_fast_again_after_its_first_call(house: House) -> None:
    live = house.serve((Role.CHAMPION, house.here(2)), (Role.CHALLENGER, house.here(3), 0.5))
    assert not live.here
    heard = await all_of([house.call(live, x) for x in range(1, 40)])
    assert {y(one)[0] / x for x, one in enumerate(heard, 1) if isinstance(one, Answered)} == {2, 3}
    assert live.here


async def test_only_so_many_stay_loaded_and_all_answer(build: Callable[..., House]) -> None:
    house = build(heat=Heat(hot_max=3))
    served = [house.away(factor=f) if f % 2 else house.here(f) for f in range(1, 11)]
    lives = [house.serve((Role.CHAMPION, one)) for one in served]
    for _ in range(2):
        for factor, live in enumerate(lives, 1):
            assert y(await house.call(live, 7)) == [7 * factor]
            assert house.models.hot <= 3
    assert [live.seats[0].loaded is not None for live in lives] == [False] * 7 + [True] * 3
    await until(lambda: all(model.closed for one in served[:7:2] for model in MADE[one.digest]))
    assert (house.models.loads, house.models.closes) == (20, 17)


async def test_a_model_that_is_asked_is_not_let_go_of(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(heat=Heat(hot_max=1))
    gate = tmp_path / "gate"
    hung = house.serve((Role.CHAMPION, house.away(gate=str(gate))))
    waiting = house.call(hung, 1)
    await until(lambda: house.models.hot)
    others = [house.serve((Role.CHAMPION, house.away(factor=f))) for f in (3, 4)]
    assert [y(await house.call(live, 1)) for live in others] == [[3], [4]]
    assert hung.seats[0].loaded is not None
    gate.touch()
    assert y(await waiting) == [2]
    house.models.cool_down()
    assert house.models.hot == 1


async def test_a_model_that_nobody_uses_is_let_go_of_after_a_while(build: Callable[..., House]) -> None:
    house = build(heat=Heat(idle_s_max=3_600.0))
    live = await house.hot((Role.CHAMPION, house.here(2)))
    house.models.cool_down()
    assert live.here
    live.seats[0].used_s -= 3_600.0
    house.models.cool_down()
    assert not live.here
    assert y(await house.call(live, 1)) == [2]


async def test_a_slow_load_holds_no_quick_one(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(heat=Heat(loads_max=1, wait_s_max=PATIENCE_S))
    gate = tmp_path / "gate"
    slow = house.call(house.serve((Role.CHAMPION, house.away(load_gate=str(gate)))), 1)
    assert y(await house.call(house.serve((Role.CHAMPION, house.here(3))), 1)) == [3]
    assert not slow.done()
    gate.touch()
    assert y(await slow) == [2]


async def test_a_call_waits_only_so_long_for_a_cold_model(build: Callable[..., House], tmp_path: Path) -> None:
    house = build(heat=Heat(wait_s_max=0.05))
    gate = tmp_path / "gate"
    served = house.away(load_gate=str(gate))
    live, safe = house.serve((Role.CHAMPION, served)), house.serve((Role.CHAMPION, served), policy=FALLBACK)
    with pytest.raises(ModelFailed, match=r"still being loaded after 0.05 s; try again"):
        await house.call(live, 1)
    assert (await house.call(safe, 1)).whys == [
        "fallback: the model is still being loaded after 0.05 s; try again in a while"
    ]
    gate.touch()
    await until(lambda: live.seats[0].loaded)
    assert y(await house.call(live, 1)) == [2]
    assert len(MADE[served.digest]) == 1


async def test_more_rows_than_may_wait_for_a_cold_model_are_refused(build: Callable[..., House]) -> None:
    house = build(Limits(line_rows_max=10))
    live = house.serve((Role.CHAMPION, house.away()))
    calls = [house.call(live, x) for x in range(10)]
    with pytest.raises(Exception, match="the limit is 10"):
        house.call(live, 1)
    assert not [one for one in await all_of(calls) if isinstance(one, BaseException)]


async def test_a_cold_model_that_cannot_be_loaded_is_tried_again_with_patience(house: House, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.touch()
    served = house.away(refuses=str(full))
    live, safe = house.serve((Role.CHAMPION, served)), house.serve((Role.CHAMPION, served), policy=FALLBACK)
    asked_s = time.monotonic()
    with pytest.raises(ModelFailed, match="there is no room for it"):
        await house.call(live, 1)
    full.unlink()
    assert live.seats[0].again_s >= asked_s + 1.0
    live.seats[0].again_s += 3_600.0  # however long this machine takes
    assert (await house.call(safe, 1)).whys == ["fallback: there is no room for it"]  # not tried yet
    live.seats[0].again_s = 0.0
    assert y(await house.call(safe, 1)) == [2]
    assert live.seats[0].trouble == ""


async def test_a_cold_model_proves_itself_again_before_it_answers(house: House, tmp_path: Path) -> None:
    rows = Rows(SIGNATURE.inputs, {"x": Column(np.array([1, 2], np.float32))})
    golden.write(tmp_path / "golden.npz", rows, Rows(SIGNATURE.outputs, {"y": Column(np.array([3, 7], np.float32))}))
    wrong = Served("onnx", house.here(3).digest, SIGNATURE, golden=house.blobs.put(tmp_path / "golden.npz"))
    live = house.serve((Role.CHAMPION, wrong))
    with pytest.raises(ModelFailed, match="does not reproduce 1 of its 2 sample rows"):
        await house.call(live, 1)


async def test_a_version_that_is_out_stays_out_when_it_is_let_go_of_and_begins_anew_when_it_is_heated(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat, "REST_S", 600.0)
    served = house.away(poison=13)
    live = await house.hot((Role.CHAMPION, served), policy=FALLBACK)
    for _ in range(3):
        await house.call(live, 13)
    house.models.cool_down()
    await until(lambda: house.made(served).closed)
    assert live.seats[0].out == "it crashed three times in a row"
    assert (await house.call(live, 1)).arms == ["fallback"]
    await house.models.heat(live.seats[0])
    assert y(await house.call(live, 1)) == [2]
    assert len(MADE[served.digest]) == 2


async def test_a_version_out_is_tried_again_when_it_has_rested(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seat, "REST_S", 600.0)
    served = house.away(poison=13)
    live = await house.hot((Role.CHAMPION, served), policy=FALLBACK)
    for _ in range(3):
        await house.call(live, 13)
    assert (await house.call(live, 1)).arms == ["fallback"]
    house.models.cool_down()
    assert (await house.call(live, 1)).arms == ["fallback"]
    live.seats[0].again_s -= 600.0
    assert y(await house.call(live, 1)) == [2]
    assert live.seats[0].out == ""


async def test_the_same_file_has_a_seat_for_each_version_that_it_is(house: House) -> None:
    served = house.away()
    arm = Arm("champion", Role.CHAMPION, "one", 1, served)
    assert house.models.seat(arm) is house.models.seat(replace(arm, role=Role.SHADOW))
    assert house.models.seat(arm) is not house.models.seat(replace(arm, model="other"))
    assert house.models.seat(arm) is not house.models.seat(replace(arm, served=replace(served, folder=True)))
