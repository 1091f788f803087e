"""Every kind of artefact: trained with its own library, deployed with one call, answering over HTTP as at home."""

import json
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from payoff.client import connect
from payoff.demo.server import Server
from payoff.environments.environments import Environments
from tests.kinds.case import Case
from tests.kinds.conftest import PATIENT
from tests.shared import ENVIRONMENTS, PATIENCE_S

HERE = Path(__file__).parent
IN_CHECK = {  # of the heavy ones; `make heavy` runs them all
    "torch script", "torch export", "tensorflow", "keras sequential", "jax", "huggingface text classes",
    "mlflow sklearn", "mlflow own", "pmml linear", "prophet pickle", "sktime pickle",
}  # fmt: skip


def all_cases() -> list[Case]:
    names = sorted(path.stem for path in (HERE / "cases").glob("[a-z]*.py"))
    found: list[Case] = [case for name in names for case in import_module(f"tests.kinds.cases.{name}").CASES]
    assert len({case.name for case in found}) == len(found)
    return found


def cases() -> list[Any]:
    return [pytest.param(case, id=case.name.replace(" ", "-"), marks=marks(case)) for case in all_cases()]


def marks(case: Case) -> list[pytest.MarkDecorator]:
    if not case.heavy:
        return [pytest.mark.kinds]
    return [pytest.mark.heavy] if case.name in IN_CHECK else [pytest.mark.heavy, pytest.mark.more]


@pytest.mark.parametrize("case", cases())
def test_a_model_answers_in_production_as_it_does_at_home(case: Case, server: Server, tmp_path: Path) -> None:
    trained = train(case, tmp_path)
    name = case.name.replace(" ", "-").replace(".", "-")
    sample = None if case.sample is None else trained / case.sample
    with connect(server.api) as client:
        client.deploy(trained / case.artefact, name, sample=sample, **PATIENT, **case.said)
        version = client.versions(name)[0]
    assert (version["flavor"], version["served"]["flavor"]) == (case.flavor, case.served), version["provenance"]
    rows = rows_of(trained)
    answered = asked(server, name, rows)
    expected = json.loads((trained / "expected.json").read_text())
    for column, values in expected.items():
        assert_same([row[column] for row in answered], values, case.tolerance)
    alone = asked(server, name, rows[:1])
    for column, values in expected.items():
        assert_same([alone[0][column]], values[:1], case.tolerance)


def asked(server: Server, name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the model answers in production."""
    reply = httpx.post(f"{server.inference}/predict/{name}", json={"rows": rows}, timeout=PATIENCE_S)
    assert reply.status_code == 200, reply.text[:2000]
    return list(reply.json()["predictions"])


def train(case: Case, folder: Path) -> Path:
    """The folder with the artefact, made by the library itself."""
    environment = Environments(ENVIRONMENTS).build(case.requirements, case.python)
    (folder / "made").mkdir()
    script = folder / "train.py"
    script.write_text(case.script)
    done = subprocess.run(
        [environment.python, script], cwd=folder / "made", capture_output=True, text=True, timeout=1_800, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "made"


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The sample as JSON rows, whatever file it is in."""
    if (folder / "sample.json").exists():
        return list(json.loads((folder / "sample.json").read_text()))
    import pandas as pd

    frame = (
        pd.read_parquet(folder / "sample.parquet")
        if (folder / "sample.parquet").exists()
        else pd.read_csv(folder / "sample.csv")
    )
    return list(json.loads(frame.to_json(orient="records", date_format="iso")))


def assert_same(got: list[Any], expected: list[Any], tolerance: float) -> None:
    """Numbers within tolerance, everything else equal."""
    if isinstance(np.asarray(expected).flat[0], str | np.str_ | bool | np.bool_):
        assert got == expected
    else:
        np.testing.assert_allclose(np.asarray(got, float), np.asarray(expected, float), rtol=tolerance, atol=1e-6)
