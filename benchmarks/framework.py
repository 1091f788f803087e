"""A scikit-learn pipeline in its own framework, single rows as JSON: payoff beside FastAPI that asks row by row.

    python -m benchmarks.framework [--seconds 4] [--repeats 3]

"matrix": scaling and logistic regression over 30 numbers; "frame": 4 text and 12 number columns in a pandas frame,
one-hot encoding, scaling, logistic regression. `--native`, so that payoff does not convert them.
One server each (payoff's runner beside its worker), all of it pinned to core 0; wrk on core 1, at 1 and 32 connections.
payoff journals every row. Servers are measured in turn, medians are shown.
"""

import argparse
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import payoff
from benchmarks import machine
from benchmarks.door import LUA, load, payoff_worker, started, wait
from payoff.demo.server import running

YARDSTICK = "FastAPI, row by row"
MODELS = ("matrix", "frame")


def models(folder: Path) -> None:
    """Two pipelines with their samples and requests: 30 numbers in a matrix, and texts and numbers in a frame."""
    import joblib
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    random = np.random.default_rng(0)
    texts = {f"text{n}": random.choice(["red", "green", "blue", "black"], 2_000) for n in range(4)}
    numbers = {f"number{n}": random.normal(size=2_000).round(4) for n in range(30)}
    truth = (numbers["number0"] + (texts["text0"] == "red") > 0).astype(int)
    few = {name: numbers[name] for name in list(numbers)[:12]}
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), list(texts)), (StandardScaler(), list(few))
    )
    matrix, frame = pd.DataFrame(numbers), pd.DataFrame({**texts, **few})
    fitted = {
        "matrix": (matrix, make_pipeline(StandardScaler(), LogisticRegression()).fit(matrix.to_numpy(), truth)),
        "frame": (frame, make_pipeline(columns, LogisticRegression()).fit(frame, truth)),
    }
    for name, (rows, pipeline) in fitted.items():
        joblib.dump(pipeline, folder / f"{name}.joblib")
        rows.head(100).to_parquet(folder / f"{name}.parquet")
        (folder / f"{name}.json").write_text(rows.head(1).to_json(orient="records"))


@contextmanager
def fastapi(path: Path) -> Iterator[str]:
    """The yardstick on a free port."""
    import os

    with socket.create_server(("127.0.0.1", 0)) as door:
        port = str(door.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "benchmarks.rivals.fastapi_sklearn:app", "--host", "127.0.0.1"]
    command += ["--port", port, "--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with started(command, env={**os.environ, **threads, "MODELS": str(path)}):
        yield f"http://127.0.0.1:{port}"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("this case loads the servers with wrk; install it first (Debian: apt-get install wrk)")
    about = machine.describe((*machine.PACKAGES, "fastapi", "uvicorn", "scikit-learn"))
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        models(folder)
        with running(folder / "home", workers=1) as server, payoff.connect(server.api) as client:
            for name in MODELS:
                client.deploy(folder / f"{name}.joblib", name, sample=folder / f"{name}.parquet", native=True)
        (folder / "wrk.lua").write_text(LUA)
        servers = {
            "payoff": stack.enter_context(payoff_worker(folder / "home", "payoff.gateway.worker")),
            YARDSTICK: stack.enter_context(fastapi(folder)),
        }
        rows = [row for name in MODELS for row in measure(name, servers, folder, options.seconds, options.repeats)]
    machine.write("framework", (__doc__ or "").strip(), rows, about)


def measure(model: str, servers: dict[str, str], folder: Path, seconds: float, repeats: int) -> list[dict[str, Any]]:
    """Both in turn, at both loads."""
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    urls = {name: f"{url}/predict/{model}" for name, url in servers.items()}
    body = folder / f"{model}.json"
    for url in urls.values():
        wait(url, body.read_bytes())
        load(url, folder / "wrk.lua", body, 8, 1)
    for _ in range(repeats):
        for connections in (1, 32):
            for name, url in urls.items():
                run = load(url, folder / "wrk.lua", body, connections, seconds)
                runs.setdefault((name, connections), []).append(run)
    return [row(model, name, connections, runs) for connections in (1, 32) for name in servers]


def row(model: str, name: str, connections: int, runs: dict[tuple[str, int], list[dict[str, float]]]) -> dict[str, Any]:
    """One line of the table."""
    rates = {one: _rate(runs[one, connections]) for one in (name, YARDSTICK)}
    own = runs[name, connections]
    return {
        "model": model, "server": name, "connections": connections, "requests per s": round(rates[name]),
        "against FastAPI": rates[name] / rates[YARDSTICK],
        "p50 us": round(statistics.median(run["p50_us"] for run in own)),
        "p99 us": round(statistics.median(run["p99_us"] for run in own)),
        "failed": int(sum(run["bad"] for run in own)),
    }  # fmt: skip


def _rate(runs: list[dict[str, float]]) -> float:
    return statistics.median(run["requests"] / run["seconds"] for run in runs)


if __name__ == "__main__":
    main()
