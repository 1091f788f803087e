"""The runners of one version: asked from an event loop and from threads, watched, started again."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from payoff.errors import ModelFailed
from payoff.records.columns import Column
from payoff.runner.crew import Crew, delay_s, grown
from tests.runner.conftest import CALL_S, SMALL, Gather, ask_to, told
from tests.runner.test_runner import ends, lives, open_files

Walk = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def walk(request: pytest.FixtureRequest) -> Walk:
    """Runs a coroutine in one of the two event loops."""
    return asyncio.run if request.param == "asyncio" else uvloop.run


def killed(pid: int) -> bool:
    """Ends a process from outside; whether it is gone."""
    os.kill(pid, signal.SIGKILL)
    return ends(pid)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that happens by itself."""
    until_s = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until_s, "it did not happen"
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(("crashes", "seconds"), [(1, 0), (2, 0.1), (3, 0.5), (4, 1), (5, 2), (50, 2)])
def test_the_more_crashes_lately_the_longer_the_wait(crashes: int, seconds: float) -> None:
    assert delay_s(crashes) == seconds


@pytest.mark.parametrize(
    ("now", "loaded", "expected"),
    [
        pytest.param(79, 10, False, id="there is room"),
        pytest.param(81, 10, True, id="close to the limit"),
        pytest.param(95, 94, False, id="a model that is large from the start"),
        pytest.param(98, 94, True, id="and grows nevertheless"),
    ],
)
def test_when_a_process_has_grown_too_much(now: int, loaded: int, expected: bool) -> None:
    assert grown(now, loaded, 100) is expected


def test_a_crew_answers_an_event_loop_and_a_thread(gather: Gather, walk: Walk) -> None:
    crew = gather("echo")
    crew.start()
    assert crew.describe()["estimator"] == "Echo"
    columns = {"x": Column(np.array([1.0, 2.0]))}
    assert crew.run(columns)["x"].values.tolist() == [1.0, 2.0]

    async def story() -> None:
        assert (await crew.ask(columns))["x"].values.tolist() == [1.0, 2.0]
        assert crew.run(columns)["x"].values.tolist() == [1.0, 2.0]
        assert (await asyncio.to_thread(crew.run, columns))["x"].values.tolist() == [1.0, 2.0]

    walk(story())
    assert crew.run(columns)["x"].values.tolist() == [1.0, 2.0]
    walk(story())


def test_large_batches_go_through_an_event_loop_both_ways(gather: Gather, walk: Walk) -> None:
    crew = gather("echo", replace(SMALL, memory_bytes_max=2 << 30))
    crew.start()
    columns = {"x": Column(np.random.default_rng(0).normal(size=(1_000, 2_000)))}

    async def story() -> None:
        for _ in range(3):
            assert ((await crew.ask(columns))["x"].values == columns["x"].values).all()

    walk(story())


def test_more_callers_than_processes_wait_their_turn(gather: Gather, walk: Walk) -> None:
    crew = gather(bounds=replace(SMALL, processes=2))
    crew.start()

    async def story() -> None:
        answers = await asyncio.gather(*(crew.ask(ask_to("pid")) for _ in range(20)))
        assert {told(answer)[0] for answer in answers} == set(map(str, crew.pids))

    walk(story())


def test_two_processes_work_at_the_same_time(gather: Gather, walk: Walk, tmp_path: Path) -> None:
    crew = gather(bounds=replace(SMALL, processes=2))
    crew.start()

    async def story() -> None:
        bell = tmp_path / "scratch" / "bell"
        slow = asyncio.ensure_future(crew.ask(ask_to(f"await {bell}")))
        await crew.ask(ask_to("nothing"))
        assert not slow.done()
        bell.touch()
        assert told(await slow) == ["done"]

    walk(story())


def test_what_fails_costs_its_caller_only(gather: Gather, walk: Walk) -> None:
    crew = gather()
    crew.start()

    async def story() -> None:
        for deed, says in [("raise it", "the model failed: KeyError"), ("answer {}", "answered nothing")]:
            with pytest.raises(ModelFailed, match=says):
                await crew.ask(ask_to(deed))
            assert told(await crew.ask(ask_to("nothing"))) == ["done"]

    walk(story())
    assert crew.restarts == 0


@pytest.mark.parametrize("deed", ["exit 3", "segfault", "say 00"])
def test_a_crash_costs_the_batch_under_way_and_the_next_waits_for_the_new_process(
    gather: Gather, walk: Walk, deed: str
) -> None:
    crew = gather(bounds=replace(SMALL, call_s_max=CALL_S if deed == "say 00" else SMALL.call_s_max))
    crew.start()

    async def story() -> None:
        await crew.ask(ask_to("nothing"))
        crash = asyncio.ensure_future(crew.ask(ask_to(deed)))
        after = asyncio.ensure_future(crew.ask(ask_to("nothing")))
        with pytest.raises(ModelFailed, match=r"the model's process ended: .*; it is started again"):
            await crash
        assert told(await after) == ["done"]

    walk(story())
    assert crew.restarts == 1
    assert crew.is_out() == ""


def test_a_crash_is_survived_by_threads_too(gather: Gather) -> None:
    crew = gather()
    crew.start()
    with pytest.raises(ModelFailed, match="it is started again"):
        crew.run(ask_to("segfault"))
    assert told(crew.run(ask_to("nothing"))) == ["done"]


def test_a_process_that_ends_while_nobody_asks_costs_nobody_anything(gather: Gather, walk: Walk) -> None:
    crew = gather()
    crew.start()

    async def story() -> None:
        for _ in range(2):
            await crew.ask(ask_to("nothing"))
            assert killed(crew.pids[0])
            assert told(await crew.ask(ask_to("nothing"))) == ["done"]

    walk(story())
    assert killed(crew.pids[0])
    assert told(crew.run(ask_to("nothing"))) == ["done"]
    assert crew.restarts == 3


def test_an_event_loop_hears_of_the_end_of_an_idle_process_by_itself(gather: Gather, walk: Walk) -> None:
    crew = gather()
    crew.start()

    async def story() -> None:
        await crew.ask(ask_to("nothing"))
        os.kill(crew.pids[0], signal.SIGKILL)
        await until(lambda: crew.restarts == 1)

    walk(story())


def test_three_crashes_in_a_row_and_the_crew_is_out_until_it_is_started_anew(gather: Gather, walk: Walk) -> None:
    crew = gather()
    crew.start()

    async def story() -> None:
        for says in ("it is started again", "it is started again", "so it is not started again"):
            with pytest.raises(ModelFailed, match=says):
                await crew.ask(ask_to("exit 3"))
        assert "3 times in a row" in crew.is_out()
        assert "exit status 3" in crew.is_out()
        with pytest.raises(ModelFailed, match="3 times in a row"):
            await crew.ask(ask_to("nothing"))

    walk(story())
    assert crew.pids == []
    crew.start()
    assert crew.is_out() == ""
    assert told(crew.run(ask_to("nothing"))) == ["done"]


def test_a_good_answer_between_crashes_is_a_new_beginning(gather: Gather, walk: Walk) -> None:
    crew = gather()
    crew.start()

    async def story() -> None:
        for _ in range(4):
            with pytest.raises(ModelFailed, match="it is started again"):
                await crew.ask(ask_to("exit 3"))
            await crew.ask(ask_to("nothing"))

    walk(story())


def test_who_waits_when_a_crew_goes_out_is_told(gather: Gather, walk: Walk) -> None:
    crew = gather()
    crew.start()

    async def story() -> None:
        asks = [asyncio.ensure_future(crew.ask(ask_to("exit 3"))) for _ in range(6)]
        failures = await asyncio.gather(*asks, return_exceptions=True)
        assert all(isinstance(failure, ModelFailed) for failure in failures)

    walk(story())
    assert crew.is_out()


def test_a_call_that_takes_too_long_ends_the_process_and_fails_only_that_call(gather: Gather, walk: Walk) -> None:
    crew = gather(bounds=replace(SMALL, call_s_max=CALL_S))
    crew.start()

    async def story() -> None:
        pid = crew.pids[0]
        with pytest.raises(ModelFailed, match="it was not done after 3 s"):
            await crew.ask(ask_to("hang"))
        assert not lives(pid)
        assert told(await crew.ask(ask_to("nothing"))) == ["done"]

    walk(story())


def test_a_model_that_leaks_is_replaced_between_calls_without_failing_anyone(gather: Gather, walk: Walk) -> None:
    crew = gather()
    crew.start()

    async def story() -> None:
        old = crew.pids
        for size in (100, 100, 100, 60, 20, 20):
            assert told(await crew.ask(ask_to(f"leak {size << 20}"))) == ["done"]
        while crew.pids == old:
            assert told(await crew.ask(ask_to("slow 0.1"))) == ["done"]
        assert await asyncio.to_thread(ends, old[0])
        assert told(await crew.ask(ask_to("nothing"))) == ["done"]

    walk(story())
    assert crew.restarts == 1
    assert crew.is_out() == ""


def test_memory_that_a_limit_does_not_count_is_seen_too(gather: Gather) -> None:
    crew = gather(bounds=replace(SMALL, memory_bytes_max=256 << 20))
    crew.start()
    old = crew.pids
    crew.run(ask_to(f"share {260 << 20}"))  # too much, and not so much that the process is ended at once
    until_s = time.monotonic() + 120
    while crew.pids == old and time.monotonic() < until_s:
        crew.run(ask_to("nothing"))
        time.sleep(0.05)
    assert crew.pids != old
    assert ends(old[0])


def test_a_call_that_finds_no_memory_fails_and_a_full_process_is_replaced(gather: Gather) -> None:
    crew = gather(bounds=replace(SMALL, memory_bytes_max=256 << 20))
    crew.start()
    with pytest.raises(ModelFailed, match="more memory than it may use"):
        crew.run(ask_to(*[f"want {16 << 20}"] * 100))
    until_s = time.monotonic() + 120
    while crew.restarts == 0 and time.monotonic() < until_s:
        time.sleep(0.02)
    assert told(crew.run(ask_to(f"want {64 << 20}"))) == ["done"]


def test_who_stops_waiting_harms_nobody(gather: Gather, walk: Walk) -> None:
    crew = gather()
    crew.start()

    async def story() -> None:
        asks = [asyncio.ensure_future(crew.ask(ask_to("slow 0.3"))) for _ in range(4)]
        await asyncio.sleep(0.1)
        for ask in asks[:3]:
            ask.cancel()
        assert told(await asks[3]) == ["done"]
        assert told(await crew.ask(ask_to("nothing"))) == ["done"]

    walk(story())
    assert crew.restarts == 0


def test_cancelling_at_any_moment_leaves_the_crew_whole(gather: Gather, walk: Walk) -> None:
    crew = gather("echo", replace(SMALL, processes=2))
    crew.start()
    columns = {"x": Column(np.zeros(10_000))}

    async def story() -> None:
        for turns in range(40):
            asks = [asyncio.ensure_future(crew.ask(columns)) for _ in range(5)]
            for _ in range(turns % 8):
                await asyncio.sleep(0)
            for ask in asks[turns % 5 :]:
                ask.cancel()
            await asyncio.gather(*asks, return_exceptions=True)
        answers = await asyncio.gather(*(crew.ask(columns) for _ in range(5)))
        assert all(len(answer["x"]) == 10_000 for answer in answers)

    walk(story())
    assert crew.restarts == 0


def test_closing_leaves_no_process_no_file_and_nobody_waiting(gather: Gather, walk: Walk) -> None:
    warm = gather("echo")
    warm.start()
    warm.close()
    crew = gather(bounds=replace(SMALL, processes=2))

    async def story() -> None:
        before = open_files()
        await asyncio.to_thread(crew.start)
        pids = crew.pids
        asks = [asyncio.ensure_future(crew.ask(ask_to("hang"))) for _ in range(4)]
        await asyncio.sleep(0.1)
        await asyncio.to_thread(crew.close)
        for ask in asks:
            with pytest.raises(ModelFailed, match="was unloaded"):
                await ask
        assert all(ends(pid) for pid in pids)
        with pytest.raises(ModelFailed, match="was unloaded"):
            await crew.ask(ask_to("nothing"))
        await until(lambda: open_files() <= before)

    walk(story())
    crew.start()
    assert told(crew.run(ask_to("nothing"))) == ["done"]


def test_what_a_crew_has_computed_is_known_also_after_crashes(gather: Gather) -> None:
    crew = gather()
    crew.start()
    crew.run(ask_to("nothing"))
    before = crew.cpu_ns
    with pytest.raises(ModelFailed):
        crew.run(ask_to("exit 3"))
    crew.run(ask_to("nothing"))
    assert crew.cpu_ns > before > 0


def test_a_crew_that_cannot_be_started_leaves_nothing_and_says_why(gather: Gather) -> None:
    crew = gather(bounds=replace(SMALL, processes=2), load="raise it")
    with pytest.raises(ModelFailed, match="could not be loaded: KeyError"):
        crew.start()
    assert crew.pids == []
    with pytest.raises(ModelFailed, match="unloaded"):
        crew.run(ask_to("nothing"))


def test_threads_share_a_crew(gather: Gather) -> None:
    crew: Crew = gather("echo", replace(SMALL, processes=2))
    crew.start()
    seen: list[float] = []

    def work(number: int) -> None:
        for step in range(50):
            value = float(1_000 * number + step)
            seen.append(crew.run({"x": Column(np.array([value]))})["x"].values[0] - value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [0.0] * 200
