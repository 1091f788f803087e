"""Workers side by side: how connections are spread, how soon a dead one is replaced, what one takes.

    python -m benchmarks.workers [--repeats 5]

`payoff up` with two workers and one small ONNX model. Memory: of a worker that served nothing yet. Replaced: from
`kill -9` to the successor's first report, and the longest that a new caller waited meanwhile; the worker has lived for
more than ten seconds, for one that dies again sooner is started later (0.1 to 5 s). What two workers do together is a
case of `benchmarks.door`.
"""

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

import payoff
from benchmarks import machine
from payoff.demo.server import Server, running
from tests.walks import models
from tests.walks.test_workers import answered, held, http, lines

LIFE_S = 11.0  # one that dies sooner again is started later


@dataclass(frozen=True)
class House:
    """A running payoff and its home."""

    server: Server
    home: Path


def ready(server: Server, folder: Path) -> House:
    """With a small model, and both workers at work."""
    payoff.connect(server.api).deploy(str(models.saved(folder, 2)), name="times")
    house = House(server, folder / "home")
    while len(pids(house.home)) < 2:
        time.sleep(0.05)
    time.sleep(1)
    return house


def pids(home: Path) -> list[int]:
    """The processes that have reported, by number of the worker."""
    found = sorted((home / "run").glob("worker-*.json"))
    return [json.loads(path.read_text())["pid"] for path in found]


def replaced(house: House) -> tuple[float, float]:
    """Seconds until there is another worker, and the longest wait of a caller meanwhile."""
    old = pids(house.home)
    os.kill(old[0], signal.SIGKILL)
    killed = time.perf_counter()
    longest = 0.0
    while pids(house.home)[0] == old[0]:
        asked = time.perf_counter()
        httpx.get(f"{house.server.inference}/v2/health/live", timeout=30)
        longest = max(longest, time.perf_counter() - asked)
    return time.perf_counter() - killed, longest


def memory(house: House) -> dict[str, float]:
    """MB of the first worker."""
    lines = Path(f"/proc/{pids(house.home)[0]}/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
    return {"worker RSS, MB": sizes["Rss"], "worker PSS, MB": sizes["Pss"]}


def taken(server: Server, count: int) -> list[int]:
    """How many of so many connections each worker takes."""
    before = held(server, http(server))
    with lines(server, count) as found:
        assert all(map(answered, found))
        return [now - old for now, old in zip(held(server, http(server)), before, strict=True)]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    about = machine.describe()
    found: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary, running(Path(temporary) / "home", workers=2) as server:
        house = ready(server, Path(temporary))
        for name, size in memory(house).items():
            found[name].append(size)
        for _ in range(options.repeats):
            shares = taken(server, 32)
            found["least share of 32 connections"].append(min(shares) / sum(shares))
            time.sleep(LIFE_S)
            after_s, longest_s = replaced(house)
            found["replaced after, s"].append(after_s)
            found["longest wait of a caller meanwhile, s"].append(longest_s)
    rows = [line(name, values) for name, values in found.items()]
    machine.write("workers", (__doc__ or "").strip(), rows, about)


def line(figure: str, values: list[float]) -> dict[str, Any]:
    """One row of the table."""
    return {"figure": figure, "median": statistics.median(values), "least": min(values), "most": max(values)}


if __name__ == "__main__":
    main()
