"""What it costs to keep a model in a process of its own: latency, throughput, cold starts, memory after many loads.

    python -m benchmarks.runner [--calls 2000] [--cycles 100] [--starts 20]

A logistic regression of scikit-learn over 30 columns, called through the same code (`runner/guest/kinds/sklearn.py`) in
this process and in a runner that an event loop (uvloop) asks; one caller, the two in turn, medians of the calls. Cold:
from the order to start until the first answer is there; "first" finds no zygote yet. Loads: loaded, asked once and
closed over and over; what payoff's process holds at the end more than after the first tenth.
"""

import argparse
import asyncio
import os
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks import machine
from payoff.records.columns import Column, Columns
from payoff.records.model import Bounds
from payoff.runner.crew import Crew
from payoff.runner.process import rss_bytes
from payoff.runner.zygote import Zygotes

FEATURES = 30
BATCHES = (1, 64, 1_000)


def model(folder: Path) -> Path:
    """A pickled model."""
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression

    rows, truth = make_classification(2_000, FEATURES, random_state=0)
    path = folder / "model.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression(max_iter=1_000).fit(rows, truth)))
    return path


def rows_of(count: int) -> dict[str, Column]:
    """Some rows."""
    rng = np.random.default_rng(0)
    return {f"x{place}": Column(rng.normal(size=count)) for place in range(FEATURES)}


def crew_of(path: Path, scratch: Path, zygotes: Zygotes | None = None) -> Crew:
    """A crew of one, started."""
    crew = Crew(Path(sys.executable), "sklearn", path, {}, Bounds(), scratch, zygotes=zygotes)
    crew.start()
    return crew


async def through(crew: Crew, columns: Columns, count: int) -> list[float]:
    """Seconds of each call to a runner."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        await crew.ask(columns)
        times.append(time.perf_counter() - began)
    return times


def here(ask: Callable[[Any], Any], columns: Columns, count: int) -> list[float]:
    """Seconds of each call in this process."""
    pairs = {name: (column.values, column.valid) for name, column in columns.items()}
    times = []
    for _ in range(count):
        began = time.perf_counter()
        ask(pairs)
        times.append(time.perf_counter() - began)
    return times


async def both(ask: Callable[[Any], Any], crew: Crew, columns: Columns, count: int) -> tuple[float, float]:
    """Median seconds of a call here and through a runner, in turn in short stretches."""
    inside: list[float] = []
    outside: list[float] = []
    await through(crew, columns, 50)
    for _ in range(count // 25):
        inside += here(ask, columns, 25)
        outside += await through(crew, columns, 25)
    return statistics.median(inside), statistics.median(outside)


def calls(path: Path, scratch: Path, count: int) -> list[dict[str, Any]]:
    """Every batch size, here and through a runner in turn."""
    ask = import_module("payoff.runner.guest.kinds.sklearn").load(str(path), {}).ask
    crew = crew_of(path, scratch)
    table = []
    for batch in BATCHES:
        inside, outside = uvloop.run(both(ask, crew, rows_of(batch), count))
        row = {"case": "a call", "rows": batch, "in process us": round(inside * 1e6), "runner us": round(outside * 1e6)}
        row |= {"added us": round((outside - inside) * 1e6), "in process rows per s": round(batch / inside)}
        table.append(row | {"runner rows per s": round(batch / outside), "runner against in process": inside / outside})
    crew.close()
    return table


def starts(path: Path, scratch: Path, count: int) -> list[dict[str, Any]]:
    """From the order to the first answer, the long way and from a zygote."""
    columns, table = rows_of(1), []
    zygotes = Zygotes([path.parent], [scratch])
    for case, forks in (("cold, a new interpreter", None), ("cold, from a zygote", zygotes)):
        times = []
        for _ in range(count + 1):
            began = time.perf_counter()
            crew = crew_of(path, scratch, forks)
            crew.run(columns)
            times.append(time.perf_counter() - began)
            crew.close()
        first, *others = times
        middle = statistics.median(others)
        row = {"case": case, "first ms": round(first * 1e3), "p50 ms": round(middle * 1e3)}
        table.append(row | {"slowest ms": round(max(others) * 1e3)})
    zygotes.close()
    return table


def cycles(path: Path, scratch: Path, count: int) -> dict[str, Any]:
    """What stays behind."""
    columns, zygotes = rows_of(64), Zygotes([path.parent], [scratch])
    before = [0, 0]

    def holds() -> list[int]:
        return [rss_bytes(os.getpid()) // 1024, len(list(Path("/proc/self/fd").iterdir()))]

    async def cycle() -> None:
        crew = await asyncio.to_thread(crew_of, path, scratch, zygotes)
        await crew.ask(columns)
        await asyncio.to_thread(crew.close)

    async def all_of_them() -> None:
        for number in range(count):
            if number == count // 10:
                before[:] = holds()
            await cycle()

    uvloop.run(all_of_them())
    memory, files = (now - then for now, then in zip(holds(), before, strict=True))
    zygotes.close()
    return {"case": f"{count} loads", "grown KiB": memory, "more files": files}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    for name, default in (("calls", 2_000), ("cycles", 100), ("starts", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    about = machine.describe(("payoff", "numpy", "scikit-learn", "pandas", "uvloop"))
    with tempfile.TemporaryDirectory() as temporary:
        folder, scratch = Path(temporary), Path(temporary, "scratch")
        scratch.mkdir()
        path = model(folder)
        table = calls(path, scratch, options.calls)
        table += starts(path, scratch, options.starts)
        table.append(cycles(path, scratch, options.cycles))
    machine.write("runner", (__doc__ or "").strip(), table, about)


if __name__ == "__main__":
    main()
