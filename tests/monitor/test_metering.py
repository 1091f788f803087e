"""The metering loop on this very process: nothing is counted twice, nothing is lost when another one goes on."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from payoff.clock import now_us
from payoff.ledger.bill import Payer
from payoff.monitor import machine
from payoff.monitor.metering import Metering, among, owners
from payoff.records import Revision
from payoff.records.usage import Metered
from payoff.store import live
from payoff.store.live import Resident, Status
from tests.monitor.home import Home
from tests.shared import until

HELD = 64 << 20


@pytest.fixture
def child() -> Iterator[int]:
    """A process that holds 64 MiB."""
    code = f"b = bytearray({HELD}); b[::4096] = b'x' * len(b[::4096]); print(1, flush=True); input()"
    made = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert made.stdout is not None
    made.stdout.readline()
    yield made.pid
    made.communicate(b"\n")


def amounts(home: Home) -> list[Metered]:
    return home.registry.usage(0, 2**62)


def total(found: list[Metered], what: str, endpoint: str = "") -> int:
    return sum(one.amount for one in found if (one.what, one.endpoint) == (what, endpoint))


def report(home: Home, *resident: Resident) -> None:
    live.report(home.path, 0, Status(0, os.getpid(), live.boot_id(), now_us(), resident=resident))


def test_another_control_plane_goes_on_where_the_last_one_stopped(home: Home) -> None:
    first = Metering(home.path, home.registry, os.getpid()).look()
    time.sleep(0.05)
    second = Metering(home.path, home.registry, os.getpid())
    last = second.look()
    assert total(amounts(home), "up_us") == first.age_us + last.clock_us - first.clock_us
    assert total(amounts(home), "own_cpu_ns") == last.cpu_ns
    assert home.registry.mark(last.machine) == last.mark


def test_a_version_is_charged_with_the_memory_of_the_process_that_it_runs_in(home: Home, child: int) -> None:
    home.apply()
    Metering(home.path, home.registry, os.getpid()).look()
    report(home, Resident("m", 1, 1_000_000, (child,)))
    before = total(amounts(home), "memory_byte_s", "bank")
    time.sleep(0.1)
    seen = Metering(home.path, home.registry, os.getpid()).look()
    held = seen.held_bytes[Payer("bank", "m", 1)]
    assert HELD + 1_000_000 < held < 2 * HELD
    assert total(amounts(home), "memory_byte_s", "bank") - before >= held // 10
    assert seen.own_bytes > held


def test_it_meters_until_it_is_told_to_stop_and_looks_a_last_time(home: Home) -> None:
    metering = Metering(home.path, home.registry, os.getpid(), look_s=60.0)
    metering.start()
    found = until(lambda: total(amounts(home), "up_us"), "a first look")
    metering.stop()
    until(lambda: total(amounts(home), "up_us") > found, "a last look")


def test_a_root_that_is_no_more_has_used_nothing(home: Home) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    Metering(home.path, home.registry, gone.pid).look()
    assert amounts(home) == []


def test_processes_below_a_model_s_process_are_the_model_s_too(home: Home, child: int) -> None:
    tree = machine.tree(os.getpid())
    status = Status(0, 1, "", 0, resident=(Resident("m", 1, 0, (os.getpid(),)),))
    assert owners([status], tree) == dict.fromkeys(tree, ("m", 1))
    status = Status(0, 1, "", 0, resident=(Resident("m", 1, 0, (os.getpid(),)), Resident("m", 2, 0, (child,))))
    assert owners([status], tree)[child] == ("m", 2)


def test_a_version_that_several_have_is_shared_and_one_that_none_has_is_nobody_s(home: Home) -> None:
    revisions: list[Revision] = [home.apply(name) for name in ("bank", "card", "loan")]
    assert among({("m", 1): 100, ("m", 9): 7}, revisions) == {
        Payer("bank", "m", 1): 34, Payer("card", "m", 1): 33, Payer("loan", "m", 1): 33,
    }  # fmt: skip


def test_who_only_watches_pays_as_a_watcher(home: Home) -> None:
    revision = home.apply(more="  shadow: {model: m, version: 2}")
    assert among({("m", 2): 5}, [revision]) == {Payer("bank", "m", 2, shadow=True): 5}
