"""A model in an MLflow tracking server, named by a line of text: fetched by a process apart, then taken as a folder.

Only that process has the network and what lets it in (MLFLOW_TRACKING_TOKEN and the like, from payoff's own
environment), and only if the server asked is the one that payoff's own MLFLOW_TRACKING_URI names: whoever may deploy
may name a server, and must not learn the key of another.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from payoff.environments.environments import Environments
from payoff.errors import BadInput, NotFound, Unavailable
from payoff.flavors.flavor import Arrival, Prepared, Said
from payoff.flavors.mlflow import ABOUT, FILE

PACKAGES = ("mlflow-skinny>=3.1,<4", "pandas", "numpy")
CHILD = Path(__file__).parent / "tracking_child.py"
_STORES = {"boto3": "boto3", "google": "google-cloud-storage", "azure": "azure-storage-blob", "botocore": "boto3"}
_WHERE = re.compile(r"(models|runs):/[^\s]+")
_BYTES_MAX, _FETCH_S_MAX = 64 << 10, 1_800.0
_KEPT = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXIES = tuple(name for stem in ("http_proxy", "https_proxy", "no_proxy") for name in (stem, stem.upper()))
_SECRETS = ("MLFLOW_", "AWS_", "AZURE_", "GOOGLE_", "DATABRICKS_")
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
_QUIET["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"


@dataclass(frozen=True, slots=True)
class Where:
    """A model in a tracking server."""

    model: str  # models:/churn/3
    server: str  # http://127.0.0.1:5000


class Tracking:
    """A few lines of text: `mlflow: models:/churn/3`, `tracking: http://...`."""

    name = "mlflow-server"
    takes = "mlflow:models:/NAME/VERSION or mlflow:models:/NAME@ALIAS, in an MLflow tracking server"

    def recognises(self, path: Path, head: bytes) -> bool:
        return re.match(rb"mlflow:\s*(models|runs):/", head) is not None and len(head) < _BYTES_MAX

    def prepare(self, arrival: Arrival) -> Prepared:
        raise BadInput(f"{arrival.path.name} only says where a model is; it is fetched first, and was not")

    def fetch(self, path: Path, said: Said, environments: Environments, into: Path) -> Path:
        """The model's folder, downloaded."""
        where = read(path, said.options.get("tracking"))
        into.mkdir(parents=True, exist_ok=True)
        told = _download(where, environments, into)
        folder = Path(told["folder"])
        if not folder.resolve().is_relative_to(into.resolve()) or not (folder / FILE).is_file():
            raise BadInput(f"{where.model} in {where.server} is no MLflow model (there is no {FILE} in it)")
        facts = {"server": where.server, "asked": where.model, **told["facts"]}
        (folder / ABOUT).write_text(yaml.safe_dump({key: value for key, value in facts.items() if value}))
        return folder


def read(path: Path, server: str | None = None) -> Where:
    """What the text says; BadInput for a place that is not in a tracking server."""
    split = [line.partition(":") for line in path.read_text("utf-8").splitlines()]
    lines = {name.strip(): value.strip() for name, _, value in split}
    model, ours = lines.get("mlflow", ""), os.environ.get("MLFLOW_TRACKING_URI", "")
    asked = (server or lines.get("tracking") or ours).rstrip("/")
    if not _WHERE.fullmatch(model):
        raise BadInput(f"{model!r} names no model; write models:/NAME/VERSION, models:/NAME@ALIAS or runs:/RUN/PATH")
    if not asked:
        raise BadInput(f"{model} is in which tracking server? Say it: --tracking http://HOST:PORT")
    if asked != ours.rstrip("/") and not re.match(r"https?://[^@\s]+$", asked):
        raise BadInput(
            f"the tracking server {asked!r} is none that payoff asks; give its address without a password "
            "(http://HOST:PORT). What lets payoff in is set where payoff runs: MLFLOW_TRACKING_URI and _TOKEN"
        )
    return Where(model, asked)


def variables(server: str, home: Path, ours: Mapping[str, str]) -> dict[str, str]:
    """What the fetching process is given; the keys only if the server is payoff's own."""
    is_own = server == ours.get("MLFLOW_TRACKING_URI", "").rstrip("/")
    given = {name: value for name, value in ours.items() if name in _KEPT + _PROXIES}
    if is_own:
        given.update({name: value for name, value in ours.items() if name.startswith(_SECRETS)})
    return {**given, **_QUIET, "HOME": str(home), "TMPDIR": str(home), "MLFLOW_TRACKING_URI": server}


def _download(where: Where, environments: Environments, into: Path) -> dict[str, Any]:
    """Have it fetched; where the artefacts lie in a store whose client is not there, once more with the client."""
    told = _fetched(where, environments.build(PACKAGES).python, into)
    package = _STORES.get(str(told.get("lacks", "")).partition(".")[0])
    if package is not None:
        told = _fetched(where, environments.build((*PACKAGES, package)).python, into)
    if "folder" in told:
        return told
    words = f"{where.model} could not be fetched from {where.server}: {told.get('error', 'no reason was given')}"
    if told.get("code") in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"):
        raise NotFound(words)
    raise Unavailable(f"{words}. Is it the server's address, and may payoff read there (MLFLOW_TRACKING_TOKEN)?")


def _fetched(where: Where, python: Path, into: Path) -> dict[str, Any]:
    """What the fetching process says: {"folder", "facts"} or {"error", "code", "lacks"}."""
    with tempfile.TemporaryDirectory(dir=into.parent) as home:
        child = subprocess.Popen(  # noqa: S603 - our own file, no shell
            [python, "-I", str(CHILD), where.model, str(into.resolve())],
            cwd=home,
            env=variables(where.server, Path(home), os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            answered, said = child.communicate(timeout=_FETCH_S_MAX)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"{where.model} did not come from {where.server} in {_FETCH_S_MAX:g} s") from error
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    try:
        told = json.loads(answered.decode("utf-8", "replace").strip().rpartition("\n")[2])
        return dict(told)
    except ValueError:
        last = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return {"error": f"the process that fetches it ended ({child.returncode}): {last[-500:]}"}


FLAVOR = Tracking()
