"""Where a model computes is measured: quick ones on the event loop, slow ones in threads, each on what suits it."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from payoff.errors import ModelFailed
from payoff.flavors import FLAVORS, Loaded, golden, onnx
from payoff.flavors.engine import CPU, Engine
from payoff.flavors.rowfile import Rows
from payoff.records import Column, Columns, Role, Served
from payoff.serving import Answered
from tests.serving.house import FALLBACK, SIGNATURE, House, all_of, until, y
from tests.shared import PATIENCE_S
from tests.walks import models

pytestmark = pytest.mark.anyio


async def test_a_quick_model_runs_on_the_loop_and_a_slow_one_in_a_thread(house: House) -> None:
    quick, slow = await house.hot((Role.CHAMPION, house.here(2))), await house.hot((Role.CHAMPION, house.slow(3)))
    assert quick.here
    assert not slow.here
    (one,), (other,) = quick.seats, slow.seats
    assert one.loaded is not None
    assert other.loaded is not None
    assert not one.loaded.threaded
    assert other.loaded.threaded
    assert one.rows_max > other.rows_max >= 1
    assert y(await house.call(slow, 1, 2, 3)) == [3, 6, 9]


class Held:
    """A flavor of real ONNX sessions that compute only while a test lets them."""

    name = "held"
    takes = ""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.may.set()

    def load(self, served: Served, around: Any) -> Loaded:
        loaded = onnx.FLAVOR.load(served, around)

        def run(columns: Columns) -> dict[str, Column]:
            assert self.may.wait(PATIENCE_S), "nobody let it compute"
            return loaded.run(columns)

        return replace(loaded, run=run)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    flavor = Held()
    monkeypatch.setitem(globals(), "HELD", flavor)
    monkeypatch.setitem(FLAVORS._own, "held", f"{__name__}:HELD")
    yield flavor
    flavor.may.set()


async def test_a_slow_model_holds_up_no_quick_one(house: House, held: Held) -> None:
    quick = await house.hot((Role.CHAMPION, house.here(2)))
    slow = await house.hot((Role.CHAMPION, replace(house.slow(3), flavor="held")))
    held.may.clear()
    waiting = house.call(slow, *range(40))
    await until(lambda: slow.seats[0].users)
    for x in range(20):
        assert y(await house.call(quick, x)) == [2 * x]
    assert not waiting.done()
    held.may.set()
    assert y(await waiting) == [3 * x for x in range(40)]


async def test_what_a_thread_computed_is_booked(house: House) -> None:
    live = await house.hot((Role.CHAMPION, house.slow(3)))
    loaded = live.seats[0].loaded
    assert loaded is not None
    spent_ns = []
    for _ in range(5):
        began_ns = time.thread_time_ns()
        loaded.run({"x": Column(np.ones(1, np.float32))})
        spent_ns.append(time.thread_time_ns() - began_ns)
    await house.call(live, 1)
    (row,) = house.journal()
    assert row["cpu_ns"] >= min(spent_ns) / 10


async def test_rows_are_never_mixed_up_between_threads_loop_and_swaps(house: House) -> None:
    arms = (Role.CHAMPION, house.slow(2)), (Role.CHALLENGER, house.here(3), 0.5)
    factors = {"champion-0": 2, "challenger-1": 3}
    chance = np.random.default_rng(5)
    lives = [await house.hot(*arms), await house.hot(arms[0]), await house.hot(*arms)]
    asked, calls = [], []
    for number in range(60):
        xs = [number * 1_000.0 + place for place in range(int(chance.choice([0, 1, 2, 3, 20])))]
        asked.append(xs)
        calls.append(house.call(lives[number % 3], *xs))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    for xs, answered in zip(asked, await all_of(calls), strict=True):
        assert isinstance(answered, Answered)
        assert y(answered) == [x * factors[arm] for x, arm in zip(xs, answered.arms, strict=True)]
    assert sorted(row["inputs"]["x"] for row in house.journal()) == sorted(x for xs in asked for x in xs)


async def test_a_row_that_a_model_in_a_thread_cannot_answer_costs_only_its_own_call(house: House) -> None:
    live = await house.hot((Role.CHAMPION, house.slow(2)), policy=FALLBACK)
    heard = await all_of([house.call(live, x) for x in range(5)])
    assert [y(one) for one in heard if isinstance(one, Answered)] == [[2 * x] for x in range(5)]
    assert {one.arms[0] for one in heard if isinstance(one, Answered)} == {"champion-0"}


async def test_a_model_in_a_thread_is_let_go_of_only_when_it_has_answered(house: House, held: Held) -> None:
    live = await house.hot((Role.CHAMPION, replace(house.slow(2), flavor="held")))
    held.may.clear()
    call = house.call(live, *range(40))
    await until(lambda: live.seats[0].users)
    house.models.keep_only([])
    assert live.seats[0].loaded is not None
    held.may.set()
    assert y(await call) == [2 * x for x in range(40)]
    house.models.keep_only([])
    assert live.seats[0].loaded is None


class Choice:
    """A flavor of real ONNX sessions on engines that a test names; what one of them computes, a test says too."""

    name = "choice"
    takes = ""

    def __init__(self, made: dict[str, bytes], folder: Path) -> None:
        self._made, self._folder, self.closed = made, folder, list[str]()

    def engines(self, threads_max: int, asked: Sequence[str]) -> Sequence[Engine]:
        return [Engine("cuda", "CUDAExecutionProvider"), *(Engine(name, CPU.provider) for name in self._made)]

    def load(self, served: Served, around: Any) -> Loaded:
        return self._noted(onnx.FLAVOR.load(served, around))

    def load_on(self, served: Served, around: Any, engine: Engine) -> Loaded:
        if engine.name in self._made:
            path = self._folder / f"{engine.name}.onnx"
            path.write_bytes(self._made[engine.name])
            other = type("Other", (), {"artefact": lambda _, __: path, "shared": None})()
            return self._noted(onnx.FLAVOR.load_on(served, other, engine))
        return self._noted(onnx.FLAVOR.load_on(served, around, engine))

    def _noted(self, loaded: Loaded) -> Loaded:
        return replace(loaded, close=lambda: self.closed.append(loaded.engine))


def choose(house: House, monkeypatch: pytest.MonkeyPatch, folder: Path, **made: bytes) -> tuple[Served, Choice]:
    """A slow version with sample rows, and the engines that it can be tried on."""
    flavor = Choice(made, folder)
    monkeypatch.setitem(globals(), "FLAVOR", flavor)
    monkeypatch.setitem(FLAVORS._own, "choice", f"{__name__}:FLAVOR")
    rows = Rows(SIGNATURE.inputs, {"x": Column(np.array([1, 2], np.float32))})
    golden.write(folder / "golden.npz", rows, Rows(SIGNATURE.outputs, {"y": Column(np.array([2, 4], np.float32))}))
    return replace(house.slow(2, 1_000), flavor="choice", golden=house.blobs.put(folder / "golden.npz")), flavor


async def test_the_quickest_engine_that_reproduces_the_sample_rows_is_taken(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, flavor = choose(
        house, monkeypatch, tmp_path, wrong=models.times(3), right=models.times(2), broken=b"no model"
    )
    live = await house.hot((Role.CHAMPION, served))
    loaded = live.seats[0].loaded
    assert loaded is not None
    assert loaded.engine == "right"
    assert live.here  # so quick that it needs no thread
    assert flavor.closed == ["wrong", "cpu, 1 thread"]
    assert y(await house.call(live, 7)) == [14]


async def test_where_no_other_engine_will_do_the_model_stays_where_it_is(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, flavor = choose(house, monkeypatch, tmp_path, wrong=models.times(3), slower=models.slow(2, 20_000))
    live = await house.hot((Role.CHAMPION, served))
    assert live.seats[0].loaded is not None
    assert live.seats[0].loaded.engine == "cpu, 1 thread"
    assert flavor.closed == ["wrong", "slower"]
    assert y(await house.call(live, 7)) == [14]


async def test_a_model_that_fails_its_sample_rows_is_closed_and_answers_nobody(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served, flavor = choose(house, monkeypatch, tmp_path)
    wrong = replace(served, digest=house.slow(3, 1_000).digest)
    with pytest.raises(ModelFailed, match="does not reproduce 2 of its 2 sample rows"):
        await house.hot((Role.CHAMPION, wrong))
    assert flavor.closed == ["cpu, 1 thread"]
