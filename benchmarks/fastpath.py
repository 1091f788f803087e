"""What converting a model to ONNX is worth: the same model in the worker as ONNX, and in its own framework in a runner.

    python -m benchmarks.fastpath [--calls 300]

Models over 12 numeric columns, trained by their own libraries in the environments that payoff builds (100 trees of
boosting; a forest of 100 trees; a logistic regression behind a scaler), deployed twice, once with `--native`. One
caller asks both in turn, 1 and 64 rows at a time, through what a worker loads, without HTTP; medians of the calls.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from benchmarks import machine
from payoff.environments.environments import Environments
from payoff.flavors.flavor import FLAVORS, Arrival, Loaded, Prepared, Said, Servable
from payoff.flavors.recognise import recognise
from payoff.records.columns import Column
from payoff.records.model import Served
from payoff.runner.zygote import Zygotes

COLUMNS = [f"x{place}" for place in range(12)]
BATCHES = (1, 64)
START = """
import joblib, numpy as np, pandas as pd
rng = np.random.default_rng(0)
rows = pd.DataFrame(rng.normal(size=(2000, 12)), columns=[f"x{place}" for place in range(12)])
truth = (rows.sum(axis=1) + rng.normal(size=2000) > 0).astype(int)
"""
SKLEARN = ("scikit-learn==1.9.1", "pandas", "joblib")
MODELS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "scikit-learn, logistic regression": (
        SKLEARN,
        "model.joblib",
        "from sklearn.linear_model import LogisticRegression as L\nfrom sklearn.pipeline import make_pipeline as p\n"
        "from sklearn.preprocessing import StandardScaler as S\n"
        "joblib.dump(p(S(), L()).fit(rows, truth), 'model.joblib')",
    ),
    "scikit-learn, forest": (
        SKLEARN,
        "model.joblib",
        "from sklearn.ensemble import RandomForestClassifier as F\n"
        "joblib.dump(F(100, max_depth=8, random_state=0).fit(rows, truth), 'model.joblib')",
    ),
    "XGBoost": (
        ("xgboost-cpu==3.2.0", "scikit-learn==1.9.1", "pandas", "joblib"),
        "model.json",
        "import xgboost\nxgboost.XGBClassifier(n_estimators=100).fit(rows, truth).save_model('model.json')",
    ),
    "LightGBM": (
        ("lightgbm==4.7.0", "scikit-learn==1.9.1", "pandas", "joblib"),
        "model.txt",
        "import lightgbm\nlightgbm.LGBMClassifier(n_estimators=100).fit(rows, truth).booster_.save_model('model.txt')",
    ),
    "CatBoost": (
        ("catboost==1.2.10", "pandas", "joblib"),
        "model.cbm",
        "import catboost\nmodel = catboost.CatBoostClassifier(iterations=100, verbose=False)\n"
        "model.fit(rows, truth).save_model('model.cbm')",
    ),
}


@dataclass
class Around:
    """A worker's surroundings for one version."""

    made: Prepared
    environments: Environments
    room: Path
    zygotes: Zygotes | None = None

    def artefact(self, served: Served) -> Path:
        return self.made.served_path

    def python(self, environment: str) -> Path:
        return self.environments.find(environment).python

    def load(self, served: Served) -> Loaded:
        return cast(Servable, FLAVORS.take(served.flavor)).load(served, self)


def trained(name: str, environments: Environments, folder: Path) -> Path:
    """The artefact, made by its own library."""
    requirements, artefact, script = MODELS[name]
    python = environments.build(requirements).python
    (folder / "train.py").write_text(START + script)
    subprocess.run([python, "train.py"], cwd=folder, check=True, capture_output=True, timeout=600)
    return folder / artefact


def loaded(artefact: Path, environments: Environments, native: bool) -> Loaded:
    """Deployed as far as a worker's load."""
    rng = np.random.default_rng(1)
    sample = pa.table({name: rng.normal(size=100) for name in COLUMNS})
    into = Path(tempfile.mkdtemp(dir=artefact.parent))
    made = recognise(artefact).prepare(Arrival(artefact, into, environments, sample, Said(native=native)))
    expected = "native" if native else "onnx"
    if made.served_flavor != expected:
        raise SystemExit(f"{artefact.name} is served as {made.served_flavor}, not {expected}: {made.provenance}")
    return Around(made, environments, made.served_path.parent).load(
        Served(made.served_flavor, "", made.signature, None, made.place)
    )


def compared(name: str, sides: Mapping[str, Loaded], calls: int) -> list[dict[str, Any]]:
    """One row of the table for each size of a call."""
    rng = np.random.default_rng(2)
    found = []
    for rows in BATCHES:
        columns = {one: Column(rng.normal(size=rows)) for one in COLUMNS}
        taken: dict[str, list[float]] = {side: [] for side in sides}
        for call in range(calls + 20):
            for side, model in sides.items():
                started = time.perf_counter()
                model.run(columns)
                if call >= 20:
                    taken[side].append(time.perf_counter() - started)
        onnx, native = (statistics.median(taken[side]) * 1e6 for side in ("onnx", "native"))
        row = {"model": name, "rows": rows, "ONNX in the worker, us": onnx, "native in a runner, us": native}
        found.append({**row, "times": native / onnx})
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=300)
    options = parser.parse_args()
    about = machine.describe()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        environments = Environments(Path(os.environ.get("PAYOFF_ENVIRONMENTS") or f"{temporary}/environments"))
        for place, name in enumerate(MODELS):
            folder = Path(temporary) / str(place)
            folder.mkdir()
            artefact = trained(name, environments, folder)
            sides = {"onnx": loaded(artefact, environments, False), "native": loaded(artefact, environments, True)}
            rows += compared(name, sides, options.calls)
            for side in sides.values():
                side.close()
    machine.write("fastpath", (__doc__ or "").strip(), rows, about)


if __name__ == "__main__":
    main()
