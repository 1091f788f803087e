"""The loop that meters: every few seconds a look at what payoff's processes and the versions in them use, by the hour.

One thread in the control process. What it booked, and up to where, is in the database: a control plane that is started
anew goes on where the last one stopped, and nothing is counted twice. A look that fails is logged, and the next one
books the time of both.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from payoff.clock import Clock, now_us
from payoff.ledger.bill import Payer
from payoff.ledger.cost import split
from payoff.ledger.meter import Look, metered
from payoff.monitor import gpus, machine
from payoff.monitor.machine import Process
from payoff.records.endpoint import Revision, Role
from payoff.registry.registry import Registry
from payoff.store import live, processes
from payoff.store.live import Status

LOOK_S = 10.0
Key = tuple[str, int]  # a model and its version
log = logging.getLogger("payoff.metering")


class Metering:
    """Meters a home. `look` is one look; `start` makes a thread that looks until `stop`, which looks a last time.

    `root` is the process that all the others of this home come from.
    """

    def __init__(
        self, home: Path, registry: Registry, root: int, clock: Clock = now_us, look_s: float = LOOK_S
    ) -> None:
        self._home, self._registry, self._root = home, registry, root
        self._clock, self._look_s = clock, look_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metering", daemon=True)
        self._here = f"process {os.getpid()} of {time.time_ns()}"  # where the kernel does not tell processes apart
        self._memory = machine.Memory()
        self._stamp = -1
        self._endpoints: list[Revision] = []
        self.cpu_ns = 0  # what the looks themselves have cost

    def start(self) -> None:
        """Meter from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Look a last time and end the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10.0)

    def _run(self) -> None:
        over = False
        while not over:
            self._try()
            over = self._stop.wait(self._look_s)
        self._try()

    def _try(self) -> None:
        try:
            self.look()
        except Exception as error:
            log.error("what is used could not be metered, the next look books it too: %s", error)

    def look(self) -> Look:
        """Look once, and book what was used since the last look."""
        began_ns = time.thread_time_ns()
        seen = self._see()
        self._registry.add_usage(seen.mark, metered(self._registry.mark(seen.machine), seen))
        self.cpu_ns += time.thread_time_ns() - began_ns
        return seen

    def _see(self) -> Look:
        tree = machine.tree(self._root)
        source = processes.identity(self._root) if tree else None
        own_bytes = self._memory.look(tree)
        count, parts = gpus.used()
        statuses = live.statuses(self._home)
        homes = owners(statuses, tree)
        held_bytes = added(homes, own_bytes)
        for one in (one for status in statuses for one in status.resident):
            held_bytes[one.model, one.version] += one.held_bytes
        arms = self._arms()
        return Look(
            machine=machine.name(),
            source=source or self._here,
            at_us=self._clock(),
            clock_us=machine.clock_us(),
            age_us=machine.age_us(tree[self._root]) if source else 0,
            millicores=machine.millicores(),
            memory_bytes=machine.memory_bytes(),
            gpus=count,
            cpu_ns=sum(one.cpu_ns for one in tree.values()),
            own_bytes=sum(own_bytes.values()),
            held_bytes=among(held_bytes, arms),
            gpu_parts=among(added(homes, parts), arms),
        )

    def _arms(self) -> list[Revision]:
        """What the endpoints serve; read anew when something was published."""
        stamp = live.stamp(self._home)
        if stamp != self._stamp:
            self._endpoints, self._stamp = self._registry.endpoints(), stamp
        return self._endpoints


def owners(statuses: Iterable[Status], tree: Mapping[int, Process]) -> dict[int, Key]:
    """Which version each process works for: those that a worker says it runs in, and all that come from them."""
    told = {pid: (one.model, one.version) for status in statuses for one in status.resident for pid in one.pids}
    found = {}
    for pid in tree:
        if (own := next((up for up in machine.above(pid, tree) if up in told), None)) is not None:
            found[pid] = told[own]
    return found


def added(homes: Mapping[int, Key], amounts: Mapping[int, int]) -> Counter[Key]:
    """The amounts of processes, by version."""
    found: Counter[Key] = Counter()
    for pid, key in homes.items():
        found[key] += amounts.get(pid, 0)
    return found


def among(amounts: Mapping[Key, int], endpoints: Iterable[Revision]) -> dict[Payer, int]:
    """What versions use, among the arms that have them: one that is loaded once for several counts in equal parts.

    What no arm has any more is nobody's; it is part of what payoff itself uses.
    """
    arms: dict[Key, list[Payer]] = {}
    for revision in endpoints:
        for arm in revision.arms:
            watches = arm.role in (Role.SHADOW, Role.KILLED)
            arms.setdefault((arm.model, arm.version), []).append(
                Payer(revision.endpoint, arm.model, arm.version, watches)
            )
    found: Counter[Payer] = Counter()
    for key, amount in amounts.items():
        mine = arms.get(key, [])
        for payer, part in zip(mine, split(amount if mine else 0, [1] * len(mine)), strict=True):
            found[payer] += part
    return dict(found)
