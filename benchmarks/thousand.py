"""A thousand models on one machine, 50 of them hot: what a cold one takes to answer, and where the memory goes.

    python -m benchmarks.thousand [--models 1000] [--hot 50] [--native 15]

One inference worker. The ONNX models are one gradient boosting (100 trees, 30 features) with other leaf values each, so
that no two files are the same; each has 100 sample rows that it must reproduce whenever it is loaded. The native ones
are scikit-learn forests in processes of their own, all in one environment, 5 of them hot. Every model is published as
its own endpoint. One caller asks all in random order, so that nearly every call finds its model cold, three times over.
Memory is PSS of the worker with all its children; a cycle is a model let go of and one loaded.
"""

import argparse
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import artefacts, machine
from payoff.environments.environments import Environments
from payoff.flavors import FLAVORS, Arrival, golden
from payoff.flavors.rowfile import Rows
from payoff.flavors.running import load
from payoff.records import Arm, Column, Field, Policy, Revision, Role, Served, Signature, Type
from payoff.store import folders, live
from payoff.store.blobs import Blobs
from tests.walks.models import children

FEATURES = 30
MODEL = """
import pickle
from pathlib import Path

import numpy as np


class Forest:
    @classmethod
    def load(cls, path):
        made = cls()
        made.model = pickle.loads((Path(path) / "forest.pickle").read_bytes())
        return made

    def predict(self, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"score": self.model.predict(np.column_stack([columns[f"x{n}"] for n in range(8)]))}
"""
TRAIN = """
import pickle, sys
import numpy as np
from sklearn.ensemble import RandomForestRegressor
chance = np.random.default_rng(int(sys.argv[1]))
rows = chance.normal(size=(500, 8))
model = RandomForestRegressor(50, random_state=0).fit(rows, rows @ chance.normal(size=8))
open(sys.argv[2], "wb").write(pickle.dumps(model))
"""


def variants(path: Path, count: int, blobs: Blobs, folder: Path) -> Iterator[Served]:
    """The model with other leaf values, so many times, each with its sample rows."""
    import onnx

    model = onnx.load(path)
    trees = next(node for node in model.graph.node if "TreeEnsemble" in node.op_type)
    weights = next(one for one in trees.attribute if one.name in ("class_weights", "target_weights"))
    before, chance = list(weights.floats), np.random.default_rng(0)
    rows = Column(chance.normal(size=(100, FEATURES)).astype(np.float32))
    signature = None
    for number in range(count):
        weights.floats[:] = [value * (1 + number / 1_000) for value in before]
        made = folder / "variant.onnx"
        made.write_bytes(model.SerializeToString())
        signature = signature or _signature(model)
        answers = load(made, signature)({signature.inputs[0].name: rows})
        known = folder / "golden.npz"
        golden.write(known, Rows(signature.inputs, {signature.inputs[0].name: rows}), Rows(signature.outputs, answers))
        yield Served("onnx", blobs.put(made), signature, blobs.put(known))


def _signature(model: Any) -> Signature:
    """As a deployment would find it: a matrix in, probabilities out."""
    name = model.graph.input[0].name
    return Signature(
        (Field(name, Type.FLOAT32, (FEATURES,)),),
        (Field("probabilities", Type.FLOAT32, (2,)),),
    )


def natives(count: int, home: Path, folder: Path) -> Iterator[Served]:
    """Forests in a framework of their own, each trained on other rows."""
    import pyarrow as pa

    environments, blobs = Environments.of(home), Blobs(home / "artifacts")
    wanted = ("scikit-learn", "numpy")
    python = environments.build(wanted).python
    rows = np.random.default_rng(1).normal(size=(50, 8))
    sample = pa.table({f"x{n}": rows[:, n] for n in range(8)})
    for number in range(count):
        source = folder / f"forest-{number}"
        source.mkdir()
        (source / "model.py").write_text(MODEL)
        (source / "requirements.txt").write_text("\n".join(wanted))
        subprocess.run([python, "-c", TRAIN, str(number), str(source / "forest.pickle")], check=True)
        into = folder / f"into-{number}"
        into.mkdir()
        made = FLAVORS.take("python").prepare(Arrival(source, into, environments, sample))
        packed = folder / f"packed-{number}.tar"
        folders.pack(made.served_path, packed)
        known = blobs.put(made.golden_path) if made.golden_path else None
        yield Served(made.served_flavor, blobs.put(packed), made.signature, known, made.place, True)


def publish(home: Path, name: str, versions: Iterator[Served]) -> list[str]:
    """An endpoint for each; their names."""
    found = []
    for number, served in enumerate(versions):
        arm = Arm("champion", Role.CHAMPION, f"{name}-{number}", 1, served)
        found.append(Revision(f"{name}-{number}", 1, number, "benchmark", "", (arm,), Policy()))
    live.publish_all(home, found)
    return [revision.endpoint for revision in found]


@dataclass(slots=True)
class Worker:
    """A worker that runs, and one connection to it."""

    home: Path
    pid: int
    line: http.client.HTTPConnection
    started_s: float

    def ask(self, endpoint: str, body: bytes) -> float:
        """Seconds that one call took."""
        began = time.perf_counter()
        self.line.request("POST", f"/predict/{endpoint}", body, {"content-type": "application/json"})
        reply = self.line.getresponse()
        said = reply.read()
        took = time.perf_counter() - began
        if reply.status != 200:
            raise SystemExit(f"{endpoint}: {reply.status} {said[:500]!r}")
        return took

    def counters(self) -> dict[str, int]:
        """What it last reported."""
        return live.statuses(self.home)[0].counters

    def settled(self, hot: int) -> None:
        """Wait until it has warmed what it warms, and reported it."""
        until = time.monotonic() + 120
        while self.counters().get("models_hot", 0) < hot and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1.5)

    def megabytes(self) -> float:
        """PSS of the worker and all it started."""
        pids, found = [self.pid], 0
        while pids:
            pid = pids.pop()
            pids += children(pid)
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            found += int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
        return found / 1024


@contextmanager
def working(home: Path, hot: int) -> Iterator[Worker]:
    """A worker on a free port, from the moment it is started."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as door_socket:
        command = [sys.executable, "-m", "payoff.gateway.worker", "--home", str(home)]
        command += ["--fd", str(door_socket.fileno()), "--hot-max", str(hot)]
        began = time.perf_counter()
        process = subprocess.Popen(command, pass_fds=(door_socket.fileno(),), env=dict(os.environ))
        line = http.client.HTTPConnection("127.0.0.1", door_socket.getsockname()[1], timeout=120)
        try:
            line.request("GET", "/v2/health/ready")
            line.getresponse().read()
            yield Worker(home, process.pid, line, time.perf_counter() - began)
        finally:
            process.terminate()
            process.wait()


def rounds(worker: Worker, names: list[str], body: bytes, hot: int, what: str) -> list[dict[str, Any]]:
    """All models in random order, three times; then one that is hot."""
    worker.settled(hot)
    rows = [line(f"{what}: worker with {hot} hot, MB", [worker.megabytes()])]
    cold: list[float] = []
    loaded, after = worker.counters()["models_loaded"], 0.0
    chance = random.Random(0)
    for turn in range(3):
        for place, name in enumerate(chance.sample(names, len(names))):
            cold.append(worker.ask(name, body) * 1e3)
            if turn == 0 and place == 100:
                time.sleep(1.5)
                after = worker.megabytes()
    time.sleep(2.5)
    rows += [line(f"{what}: after 100 cycles, MB", [after])] if after else []
    cycles = worker.counters()["models_loaded"] - loaded
    rows.append(line(f"{what}: after {cycles:,} cycles, MB", [worker.megabytes()]))
    rows.append(line(f"{what}: answer from cold, ms", cold))
    rows.append(line(f"{what}: answer from hot, ms", [worker.ask(names[0], body) * 1e3 for _ in range(500)][1:]))
    return rows


def line(figure: str, values: list[float]) -> dict[str, Any]:
    """One row of the table."""
    if len(values) == 1:
        return {"figure": figure, "p50": values[0]}
    cuts = statistics.quantiles(values, n=100)
    return {"figure": figure, "p50": cuts[49], "p99": cuts[98], "most": max(values)}


def starts(home: Path, hot: int, name: str, body: bytes) -> tuple[list[float], list[float]]:
    """Seconds until the door answers, and until a model does, of five starts."""
    doors, models = [], []
    for _ in range(5):
        began = time.perf_counter()
        with working(home, hot) as worker:
            worker.ask(name, body)
            models.append(time.perf_counter() - began)
            doors.append(worker.started_s)
    return doors, models


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=1_000)
    parser.add_argument("--hot", type=int, default=50)
    parser.add_argument("--native", type=int, default=15)
    options = parser.parse_args()
    about = machine.describe((*machine.PACKAGES, "scikit-learn", "onnx"))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = artefacts.make(folder).path("tabular")
        chance = np.random.default_rng(0)
        for count in (1, options.models):
            home = folder / f"home-{count}"
            names = publish(home, "tabular", variants(path, count, Blobs(home / "artifacts"), folder))
            signature = next(iter(live.read_all(home).values())).current.arms[0].served.signature  # type: ignore[union-attr]
            body = json.dumps([{signature.inputs[0].name: chance.normal(size=FEATURES).round(4).tolist()}]).encode()
            doors, models = starts(home, options.hot, names[0], body)
            rows.append(line(f"start to open door, {count:,} endpoints, s", doors) | {"p99": None})
            rows.append(line(f"start to first answer, {count:,} endpoints, s", models) | {"p99": None})
        with working(home, options.hot) as worker:
            rows += rounds(worker, names, body, options.hot, f"{options.models:,} ONNX models")
        home = folder / "native"
        names = publish(home, "forest", natives(options.native, home, folder))
        body = json.dumps([{f"x{n}": 0.5 for n in range(8)}]).encode()
        with working(home, 5) as worker:
            rows += rounds(worker, names, body, 5, f"{options.native:,} native models")
    machine.write("thousand", (__doc__ or "").strip(), rows, about)


if __name__ == "__main__":
    main()
