"""A scikit-learn pipeline in its own framework, single rows as JSON: payoff beside FastAPI that asks row by row.

    python -m benchmarks.framework [--seconds 4] [--repeats 3]

"matrix": scaling and logistic regression over 30 numbers; "frame": 4 text and 12 number columns in a pandas frame,
one-hot encoding, scaling, logistic regression. `--native`, so that payoff does not convert them.
One server each (payoff's runner beside its worker), all of it pinned to core 0; wrk on core 1, at 1 and 32 connections.
payoff journals every row. Servers are measured in turn, medians are shown.
"""

import argparse
import os
import statistics
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
from benchmarks import loading, machine, servers
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
def fastapi(path: Path) -> Iterator[servers.Server]:
    """The yardstick on a free port."""
    port = servers.free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.rivals.fastapi_sklearn:app", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--no-access-log", "--log-level", "warning", "--loop", "uvloop"]
    command += ["--http", "httptools"]
    surroundings = {**os.environ, **servers.ONE_THREAD, "MODELS": str(path)}
    with servers.started(YARDSTICK, command, path / "log", 0, env=surroundings) as one:
        one.url = f"http://127.0.0.1:{port}"
        yield one


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    loading.require("wrk", "taskset")
    about = machine.describe((*machine.PACKAGES, "fastapi", "uvicorn", "scikit-learn"))
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        models(folder)
        with running(folder / "home", workers=1) as server, payoff.connect(server.api) as client:
            for name in MODELS:
                client.deploy(folder / f"{name}.joblib", name, sample=folder / f"{name}.parquet", native=True)
        worker = servers.payoff_worker("payoff", folder / "home", "payoff.gateway.worker", folder / "log")
        both = [stack.enter_context(worker), stack.enter_context(fastapi(folder))]
        rows = [row for name in MODELS for row in measure(name, both, folder, options.seconds, options.repeats)]
    machine.write("framework", (__doc__ or "").strip(), rows, about)


def measure(model: str, both: list[servers.Server], folder: Path, seconds: float, repeats: int) -> list[dict[str, Any]]:
    """Both in turn, at both loads."""
    runs: dict[tuple[str, int], list[loading.Run]] = {}
    body, again_until = folder / f"{model}.json", time.monotonic() + seconds * repeats * 20
    for one in both:
        wait(f"{one.url}/predict/{model}", body.read_bytes())
        loading.watched(loading.Ask(f"{one.url}/predict/{model}", body, 8), 1, one.cpu_s)
    for _ in range(repeats):
        for connections in (1, 32):
            for one in both:
                ask = loading.Ask(f"{one.url}/predict/{model}", body, connections)
                run = loading.quietly(ask, seconds, one.cpu_s, again_until)
                runs.setdefault((one.name, connections), []).append(run)
    return [row(model, one.name, connections, runs) for connections in (1, 32) for one in both]


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


def row(model: str, name: str, connections: int, runs: dict[tuple[str, int], list[loading.Run]]) -> dict[str, Any]:
    """One line of the table."""
    rates = {one: statistics.median(run.per_s for run in runs[one, connections]) for one in (name, YARDSTICK)}
    own = runs[name, connections]
    return {
        "model": model, "server": name, "connections": connections, "requests per s": round(rates[name]),
        "against FastAPI": rates[name] / rates[YARDSTICK],
        "p50 us": round(statistics.median(run.p50_us for run in own)),
        "p99 us": round(statistics.median(run.p99_us for run in own)),
        "failed": sum(run.bad for run in own),
    }  # fmt: skip


if __name__ == "__main__":
    main()
