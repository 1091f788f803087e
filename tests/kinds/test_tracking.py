"""A model straight from an MLflow tracking server: named, fetched by a process apart, served."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from payoff.client import connect
from payoff.demo.server import Server, answers
from payoff.environments.environments import Environments
from payoff.errors import BadInput, NotFound, Unavailable
from tests.kinds.conftest import PATIENT
from tests.shared import ENVIRONMENTS, PATIENCE_S, until

pytestmark = pytest.mark.heavy

PACKAGES = ("mlflow==3.17.2", "pandas==3.1.1", "numpy==2.4.6")
LOG = """
import mlflow
import pandas as pd
from mlflow.models import infer_signature


class Doubled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"score": model_input["visits"] * 2.0})


rows = pd.DataFrame({"visits": [1.0, 2.5]})
with mlflow.start_run() as run:
    mlflow.pyfunc.log_model(
        name="model", python_model=Doubled(), registered_model_name="doubled", input_example=rows,
        signature=infer_signature(rows, pd.DataFrame({"score": [1.0]})),
        pip_requirements=["mlflow==3.17.2", "pandas==3.1.1"],
    )
mlflow.MlflowClient().set_registered_model_alias("doubled", "champion", "1")
print(run.info.run_id)
"""


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a tracking server with one model in it, and the run that the model is of."""
    room = tmp_path_factory.mktemp("tracking")
    python = Environments(ENVIRONMENTS).build(PACKAGES).python
    settings = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "HOME": str(room)}
    stores = ["--backend-store-uri", f"sqlite:///{room}/store.db", "--artifacts-destination", str(room / "artifacts")]
    command = [
        str(python),
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--workers",
        "1",
        *stores,
    ]
    with (room / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=room, env=settings, stdout=log, stderr=log, start_new_session=True)
        try:
            address = until(lambda: door(server, room / "log"), "a tracking server that answers")
            (room / "log_model.py").write_text(LOG)
            done = subprocess.run(
                [python, "log_model.py"],
                cwd=room,
                env={**settings, "MLFLOW_TRACKING_URI": address},
                capture_output=True,
                text=True,
                timeout=900,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            run = next(line for line in done.stdout.splitlines() if len(line) == 32)
            yield address, run
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def door(server: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where the server answers, on the port that it was given; "" as long as it does not."""
    said = log.read_text()
    assert server.poll() is None, said[-3000:]
    found = re.search(r"running on (http://127\.0\.0\.1:\d+)", said)
    return found[1] if found is not None and answers(f"{found[1]}/health") else ""


def test_a_model_of_a_tracking_server_is_deployed_by_its_name(tracking: tuple[str, str], server: Server) -> None:
    address, run = tracking
    with connect(server.api) as client:
        client.deploy("mlflow:models:/doubled@champion", "doubled", tracking=address, **PATIENT)
        version = client.versions("doubled")[0]
    came = version["provenance"]["mlflow"]
    assert (version["flavor"], came["name"], came["version"], came["run_id"]) == ("mlflow", "doubled", "1", run)
    assert (came["server"], came["asked"]) == (address, "models:/doubled@champion")
    reply = httpx.post(f"{server.inference}/predict/doubled", json=[{"visits": 4.5}], timeout=PATIENCE_S)
    assert reply.json()["predictions"][0]["score"] == 9.0


def test_what_the_server_does_not_have_is_told_in_its_words(tracking: tuple[str, str], server: Server) -> None:
    with connect(server.api) as client:
        with pytest.raises(NotFound, match=r"models:/doubled/7 could not be fetched from http.*doubled"):
            client.deploy("mlflow:models:/doubled/7", "doubled", tracking=tracking[0])
        with pytest.raises(Unavailable, match=r"could not be fetched from http://127\.0\.0\.1:9: "):
            client.deploy("mlflow:models:/doubled/1", "doubled", tracking="http://127.0.0.1:9")
        with pytest.raises(BadInput, match="without a password"):
            client.deploy("mlflow:models:/doubled/1", "doubled", tracking="http://me:secret@127.0.0.1:9")
