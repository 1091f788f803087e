"""The house as a whole: start to first answer, deploy, kill under load, memory when idle.

    python -m benchmarks.house [--kills 20]

Start: from `payoff up` on an existing home with one small model to its first answer over HTTP. Deploy: `payoff deploy`
of a small ONNX file as a whole process. Kill: 8 connections load the endpoint; from the moment the order is sent to the
last answer that did not come from the fallback. Memory, of a tree that served nothing yet: PSS of all processes (shared
pages counted once), and RSS summed.
"""

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

import payoff
from benchmarks import machine
from payoff.demo.server import Server, running
from tests.walks import models
from tests.walks.test_swaps import Caller, finish, until_heard

CONNECTIONS = 8
FILE = """
endpoint: times
arms: {champion: {model: times, version: latest}}
decision: outputs.y > 0
fallback: {decision: false}
"""


def first_answer(home: Path) -> float:
    """Seconds from `payoff up` to the first answer of a model."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "payoff.cli.main", "up", "--home", str(home), "--workers", "2"]
    command += ["--http", f"127.0.0.1:{port}", "--grpc", "127.0.0.1:0", "--console", "127.0.0.1:0"]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while not answers(f"http://127.0.0.1:{port}/predict/times"):
        time.sleep(0.01)
    took = time.perf_counter() - started
    process.terminate()
    process.wait()
    return took


def answers(url: str) -> bool:
    """Whether a model answers there."""
    try:
        return httpx.post(url, json=[{"x": 1}], timeout=30).status_code == 200
    except httpx.HTTPError:
        return False


def deploy(server: Server, path: Path) -> float:
    """Seconds of a whole `payoff deploy`."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "payoff.cli.main", "deploy", str(path), "--name", "times", "--url", server.api]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


def kill(server: Server) -> float:
    """Milliseconds from the order to the last answer of the model, with 8 connections asking without pause."""
    endpoint = payoff.connect(server.api).endpoint("times")
    callers = [Caller(f"{server.inference}/predict/times") for _ in range(CONNECTIONS)]
    for caller in callers:
        caller.start()
    until_heard(callers, 5)
    given = time.monotonic()
    endpoint.kill("measured")
    until_heard(callers, 5)
    heard = finish(callers)
    endpoint.revive("measured")
    assert {status for _, _, status, _ in heard} == {200}
    return max(0.0, max((came - given) * 1e3 for _, came, _, row in heard if row["arm"] != "fallback"))


def memory(server: Server) -> dict[str, float]:
    """MB of the whole tree, by process and in all."""
    found: dict[str, float] = {}
    for pid in [server.pid, *models.children(server.pid)]:
        words = models.command(pid)
        name = next((part for part in ("control", "worker") if f".{part} " in words), "supervisor")
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines[1:]}
        found[f"{name} PSS"] = found.get(f"{name} PSS", 0.0) + sizes["Pss"]
        found["RSS in all"] = found.get("RSS in all", 0.0) + sizes["Rss"]
    found["PSS in all"] = sum(size for name, size in found.items() if name.endswith(" PSS"))
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    about = machine.describe()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with running(folder / "home", workers=2) as server:
            deploys = [deploy(server, models.saved(folder, factor)) for factor in range(2, 7)]
            payoff.connect(server.api).apply(FILE)
            kills = sorted(kill(server) for _ in range(options.kills))
        starts = [first_answer(folder / "home") for _ in range(5)]
        with running(folder / "home", workers=2) as server:
            time.sleep(3)
            sizes = memory(server)
    rows.append(line("start to first answer, s", starts))
    rows.append(line("payoff deploy, s", deploys))
    rows.append(line("kill to last answer of the model, ms", kills))
    rows += [{"figure": f"{name}, MB", "median": size} for name, size in sizes.items()]
    machine.write("house", (__doc__ or "").strip(), rows, about)


def line(figure: str, values: list[float]) -> dict[str, Any]:
    """One row of the table."""
    return {"figure": figure, "median": statistics.median(values), "least": min(values), "most": max(values)}


if __name__ == "__main__":
    main()
