"""Single-row JSON over the Open Inference Protocol: payoff with its journal on and off, beside FastAPI + onnxruntime.

    python -m benchmarks.door [--seconds 4] [--repeats 3]

One server process each, pinned to core 0; wrk on core 1, at 1 and 32 connections; the same ONNX file (gradient
boosting, 30 features), the same request bytes. Servers are measured in turn (A B C A B C ...), medians are shown.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import payoff
from benchmarks import machine
from payoff.demo.server import running

FEATURES = 30
LUA = """
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
local file = io.open(os.getenv("BODY"), "rb"); wrk.body = file:read("*a"); file:close()
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('JSON {"requests": %d, "seconds": %.6f, "p50_us": %d, "p99_us": %d, "bad": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""


def model(folder: Path) -> Path:
    """A gradient boosting of 100 trees over 30 features, as ONNX."""
    from skl2onnx import to_onnx
    from sklearn.datasets import make_classification
    from sklearn.ensemble import GradientBoostingClassifier

    rows, truth = make_classification(2_000, FEATURES, random_state=0)
    fitted = GradientBoostingClassifier(random_state=0).fit(rows, truth)
    onnx = to_onnx(fitted, rows[:1].astype(np.float32), options={"zipmap": False}, target_opset=18)
    path = folder / "tabular.onnx"
    path.write_bytes(onnx.SerializeToString())
    return path


def body(folder: Path, name: str) -> Path:
    """One row as an Open Inference Protocol request."""
    row = np.random.default_rng(0).normal(size=FEATURES).round(4).tolist()
    tensor = {"name": name, "shape": [1, FEATURES], "datatype": "FP32", "data": row}
    path = folder / "body.json"
    path.write_text(json.dumps({"inputs": [tensor]}))
    return path


@contextmanager
def payoff_worker(home: Path, module: str) -> Iterator[str]:
    """One inference worker on a free port, with no control plane beside it."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as door:
        command = [sys.executable, "-m", module, "--home", str(home), "--fd", str(door.fileno())]
        with started(command, pass_fds=(door.fileno(),)):
            yield f"http://127.0.0.1:{door.getsockname()[1]}"


@contextmanager
def fastapi(path: Path) -> Iterator[str]:
    """The yardstick on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "benchmarks.rivals.fastapi_app:app", "--port", str(port)]
    command += [
        "--host",
        "127.0.0.1",
        "--no-access-log",
        "--log-level",
        "warning",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    ]
    with started(command, env={**os.environ, "MODEL": str(path)}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def started(command: list[str], **how: Any) -> Iterator[None]:
    """A process pinned to core 0 for as long as the block lasts."""
    process = subprocess.Popen(["taskset", "-c", "0", *command], **how)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def wait(url: str, request: bytes) -> None:
    """Until the server gives a real answer."""
    for _ in range(500):
        try:
            urllib.request.urlopen(
                urllib.request.Request(url, request, {"content-type": "application/json"}), timeout=5
            )
            return
        except OSError:
            time.sleep(0.02)
    raise SystemExit(f"{url} does not answer")


def load(url: str, lua: Path, request: Path, connections: int, seconds: float) -> dict[str, float]:
    """One run of wrk from core 1."""
    command = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(lua), url]
    done = subprocess.run(command, env={**os.environ, "BODY": str(request)}, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.partition("JSON ")[2])
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("this case loads the servers with wrk; install it first (Debian: apt-get install wrk)")
    about = machine.describe((*machine.PACKAGES, "fastapi", "uvicorn"))
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        path = model(folder)
        with running(folder / "home", workers=1) as server:
            client = payoff.connect(server.api)
            client.deploy(str(path), name="tabular")
            fields = client.endpoint("tabular").describe()["signature"]["inputs"]
        request = body(folder, fields[0]["name"])
        shutil.copytree(folder / "home", folder / "off")
        (folder / "wrk.lua").write_text(LUA)
        servers = {
            "payoff, journal on": stack.enter_context(payoff_worker(folder / "home", "payoff.gateway.worker")),
            "payoff, journal off": stack.enter_context(payoff_worker(folder / "off", "benchmarks.unrecorded_worker")),
            "FastAPI + onnxruntime": stack.enter_context(fastapi(path)),
        }
        rows = measure(servers, folder, request, options.seconds, options.repeats)
    machine.write("door", (__doc__ or "").strip(), rows, about)


def measure(servers: dict[str, str], folder: Path, request: Path, seconds: float, repeats: int) -> list[dict[str, Any]]:
    """Every server in turn, at both loads, as medians and as ratios to the yardstick."""
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    for url in servers.values():
        wait(f"{url}/v2/models/tabular/infer", request.read_bytes())
        load(f"{url}/v2/models/tabular/infer", folder / "wrk.lua", request, 8, 1)
    for _ in range(repeats):
        for connections in (1, 32):
            for name, url in servers.items():
                run = load(f"{url}/v2/models/tabular/infer", folder / "wrk.lua", request, connections, seconds)
                runs.setdefault((name, connections), []).append(run)
    return [row(name, connections, runs) for connections in (1, 32) for name in servers]


def row(name: str, connections: int, runs: dict[tuple[str, int], list[dict[str, float]]]) -> dict[str, Any]:
    """One line of the table."""
    own = runs[name, connections]
    rate = statistics.median(run["requests"] / run["seconds"] for run in own)
    base = statistics.median(run["requests"] / run["seconds"] for run in runs["FastAPI + onnxruntime", connections])
    return {
        "server": name, "connections": connections, "requests per s": round(rate), "against FastAPI": rate / base,
        "p50 us": round(statistics.median(run["p50_us"] for run in own)),
        "p99 us": round(statistics.median(run["p99_us"] for run in own)), "failed": int(sum(run["bad"] for run in own)),
    }  # fmt: skip


if __name__ == "__main__":
    main()
