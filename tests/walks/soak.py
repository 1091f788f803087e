"""A payoff under full load over all its doors, while versions are promoted, rolled back, killed and revived, workers
die, and the journal is compacted: what every caller was told, against what is written, and every process's memory.
"""

import math
import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa

import payoff
from payoff.demo.server import Server, running
from payoff.journal.query import Journal
from tests.shared import PATIENCE_S
from tests.walks import models
from tests.walks.crowd import Caller, Stage, crowd
from tests.walks.wire import echo, plain

FILE = """
endpoint: {name}
arms: {{champion: {{model: {name}, version: 1}}}}
decision: outputs.by > 0
fallback: {{decision: false}}
"""
MODELS = {"echo": echo, "plain": plain}
ORDERS = 10  # at least
LOOKS = 10  # at a process, before its growth is told
GROWTH_MAX = 20.0  # MB a minute, at some ten thousand rows a second: a whole worker is less than 120 MB
# Every prediction with the number of its row, and whether its inputs and outputs are those of that number.
ALL = """
create temp view everything as
select id, inputs.id as number, outputs.same_id is null or (
    outputs.same_id = inputs.id and outputs.same_x = inputs.x and outputs.same_word = inputs.word
    and inputs.x = inputs.id + 0.25 and inputs.word = 'w' || inputs.id) as own
from predictions where endpoint = 'echo'
union all
select id, inputs.v[1]::bigint, outputs.same_v is null or (
    outputs.same_v = inputs.v and inputs.v[2] = inputs.v[1] + 0.25 and inputs.v[3] = -inputs.v[1])
from predictions where endpoint = 'plain'
"""


@dataclass(slots=True)
class Report:
    """What came of it."""

    seconds: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)  # that were answered, by way
    calls: int = 0
    breaks: int = 0  # connections that broke with the worker behind them
    deaths: int = 0
    arms: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # answers that are another's, refusals, breaks without a cause
    journaled: int = 0
    twice: int = 0  # rows of the journal that share an id
    missing: int = 0  # answered rows that the journal has not, or has otherwise
    unheard: int = 0  # rows of the journal of which a caller on a broken connection never heard
    unasked: int = 0  # rows of the journal that nobody asked
    mixed: int = 0  # rows of the journal whose outputs are not those of their inputs
    calm_from_s: float = math.inf  # when the last order was given
    memory: dict[int, list[tuple[float, float]]] = field(default_factory=dict)  # MB of a process, by second
    roles: dict[int, str] = field(default_factory=dict)
    living: list[int] = field(default_factory=list)
    at_rest: bool = False  # the workers grew no more at the end: what they load late on a slow machine, they load once

    @property
    def answered(self) -> int:
        return sum(self.rows.values())

    def growth(self) -> list[float]:
        """MB per minute of the workers that live, lately; nothing until each was looked at often enough."""
        seen = [self.memory[pid][-LOOKS:] for pid in self.living if self.roles[pid] == "worker"]
        return [_slope(looks) * 60 for looks in seen] if min(map(len, seen), default=0) == LOOKS else []


def _slope(points: list[tuple[float, float]]) -> float:
    """Of the line through the points, by least squares."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return float(sum((x - mean_x) * (y - mean_y) for x, y in points) / spread)


def soak(folder: Path, seconds: float, *, deaths: bool, each: int = 1) -> Report:
    """Load for so long, with workers killed on the way if `deaths`; then everything that was said and written.

    The last third is calm: no orders, no deaths. A slow machine is given the time for ORDERS, and then for that third
    and for its workers to come to rest.
    """
    report, home = Report(), folder / "home"
    with running(home, workers=2, flags=("--flight", "127.0.0.1:0")) as server:
        stage = _stage(server, home, folder)
        callers = list(crowd(stage, each))
        begun = time.monotonic()
        sides = [threading.Thread(target=_orders, args=(server, stage, report, begun + seconds * 2 / 3))]
        sides += [threading.Thread(target=_watch, args=(server, stage, report))]
        if deaths:
            sides.append(threading.Thread(target=_deaths, args=(server, stage, seconds, begun + seconds / 2)))
        for thread in [*callers, *sides]:
            thread.start()
        while not (report.wrong or any(caller.wrong for caller in callers)):
            calm_s = time.monotonic() - report.calm_from_s
            report.at_rest = calm_s > seconds / 3 and max(report.growth(), default=math.inf) < GROWTH_MAX
            if report.at_rest or calm_s > PATIENCE_S:
                break
            time.sleep(0.2)
        stage.over.set()
        for thread in [*callers, *sides]:
            thread.join()
        report.seconds, report.deaths = time.monotonic() - begun, stage.deaths
    _collect(report, callers)
    _books(report, home, callers)
    return report


def _stage(server: Server, home: Path, folder: Path) -> Stage:
    """The endpoints, each with its first version as champion and two more to choose from."""
    client = payoff.connect(server.api)
    for name, version in product(MODELS, (1, 2, 3)):
        path = folder / f"{name}-{version}.onnx"
        path.write_bytes(MODELS[name](version))
        role: dict[str, Any] = {} if version == 1 else {"as_": "challenger", "traffic": 0.2 * version}
        client.deploy(str(path), name=name, **role)
        if version == 1:
            client.apply(FILE.format(name=name))
    doors = dict(line.split(" ", 1) for line in (home / "run" / "doors").read_text().splitlines())
    return Stage(server.inference.removeprefix("http://"), doors.get("grpc", ""))


def _orders(server: Server, stage: Stage, report: Report, until_s: float) -> None:
    """One order after the other; none may be refused but for what the table of moves says. At last all are revived."""
    try:
        _order_until(server, stage, report, until_s)
    except payoff.errors.PayoffError as error:
        report.wrong.append(f"after {report.orders}: {error!r}")
    report.calm_from_s = time.monotonic()


def _order_until(server: Server, stage: Stage, report: Report, until_s: float) -> None:
    client = payoff.connect(server.api)
    chance = random.Random(5)
    while time.monotonic() < until_s or report.orders.total() < ORDERS:
        if stage.over.wait(chance.uniform(0.2, 0.8)):
            return
        endpoint = client.endpoint(chance.choice([*MODELS]))
        arms = {arm["name"]: arm["role"] for arm in endpoint.describe()["arms"]}
        killed = [name for name, role in arms.items() if role == "killed"]
        others = [name for name, role in arms.items() if role == "challenger"]
        verb = "revive" if killed else chance.choice(["kill", "promote", "rollback", "ramp"])
        stage.killed = True  # from before the first to after the last kill: an answer may be on its way
        with suppress(payoff.errors.Conflict):  # nothing to roll back to
            if verb == "revive":
                endpoint.revive("soak", killed[0])
            elif verb == "kill":
                endpoint.kill("soak")
            elif verb == "rollback":
                endpoint.rollback(reason="soak")
            elif others:
                endpoint.order(verb, arm=chance.choice(others), **({"traffic": 0.3} if verb == "ramp" else {}))
        report.orders[verb] += 1
    for endpoint in map(client.endpoint, MODELS):
        for arm in endpoint.describe()["arms"]:
            if arm["role"] == "killed":
                endpoint.revive("the end", arm["name"])


def _deaths(server: Server, stage: Stage, seconds: float, until_s: float) -> None:
    """A worker is killed now and then."""
    chance = random.Random(7)
    while not stage.over.wait(chance.uniform(seconds / 8, seconds / 5)) and time.monotonic() < until_s:
        workers = [pid for pid in models.children(server.pid) if "payoff.gateway.worker" in models.command(pid)]
        if workers:
            stage.deaths += 1
            with suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)


def _watch(server: Server, stage: Stage, report: Report) -> None:
    """The memory of the tree's processes, once a second."""
    while not stage.over.wait(1.0):
        living = models.children(server.pid)
        for pid in living:
            role = next((one for one in ("worker", "control") if one in models.command(pid)), "")
            with suppress(OSError, StopIteration):
                status = Path(f"/proc/{pid}/status").read_text().splitlines()
                kept = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
                if role:
                    report.roles[pid] = role
                    report.memory.setdefault(pid, []).append((time.monotonic(), kept / 1024))
        report.living = [pid for pid in living if pid in report.roles]


def _collect(report: Report, callers: list[Caller]) -> None:
    rows: Counter[str] = Counter()
    for caller in callers:
        rows[caller.way] += len(caller.ids)
        report.calls += caller.calls
        report.breaks += caller.breaks
        report.arms += caller.arms
        report.wrong += caller.wrong
    report.rows = dict(rows)


def _books(report: Report, home: Path, callers: list[Caller]) -> None:
    """Everything that was said against everything that is written."""
    base = Journal(home).connect()
    told = pa.table({
        "id": [one for caller in callers for one in caller.ids],
        "number": [one for caller in callers for one in caller.numbers],
    })  # fmt: skip
    lost = pa.table({"number": pa.array([one for caller in callers for one in caller.lost], pa.int64())})
    base.execute(ALL)
    base.register("told", told)
    base.register("lost", lost)

    def count(sql: str) -> int:
        ((found,),) = base.sql(sql).fetchall()
        return int(found)

    report.journaled = count("select count(*) from predictions")
    report.twice = report.journaled - count("select count(distinct id) from predictions")
    report.missing = len(told) - count("select count(*) from told join everything using (id, number)")
    unheard = "from everything anti join told using (id)"
    report.unheard = count(f"select count(*) {unheard} where number in (select number from lost)")
    report.unasked = count(f"select count(*) {unheard}") - report.unheard
    report.mixed = count("select count(*) from everything where not own")
