"""Facts about staying awake: only where the next call comes at once."""

import asyncio

from payoff.gateway.alert import PASSED_MAX, Alert


async def asleep(alert: Alert) -> None:
    """Wait until it has given up."""
    while alert.awake:
        await asyncio.sleep(0)


def test_a_worker_that_nobody_asks_again_goes_to_sleep() -> None:
    async def story() -> None:
        alert = Alert()
        alert.answered(1)
        assert alert.awake
        await asleep(alert)

    asyncio.run(story())


def test_waits_in_vain_become_rare() -> None:
    async def story() -> int:
        alert, waits = Alert(awake_ns=0), 0
        for _ in range(4 * PASSED_MAX):
            alert.answered(1)
            waits += alert.awake
            await asleep(alert)
        return waits

    assert asyncio.run(story()) <= 14


def test_where_the_next_call_comes_in_time_it_stays_awake() -> None:
    async def story() -> list[bool]:
        alert, found = Alert(awake_ns=10**12), []
        for _ in range(50):
            alert.answered(1)
            found.append(alert.awake)
            await asyncio.sleep(0)
        return found

    assert all(asyncio.run(story()))


def test_a_loop_that_has_enough_to_do_is_not_kept_awake() -> None:
    async def story() -> bool:
        alert = Alert(awake_ns=10**12)
        alert.answered(1)
        alert.answered(2)
        return alert.awake

    assert not asyncio.run(story())
