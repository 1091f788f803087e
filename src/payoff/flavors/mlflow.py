"""MLflow: a model's folder with its MLmodel file, whatever flavor it was saved with, through MLflow's own pyfunc.

Signature, input example and environment are read from the folder's text files, and its pickles are looked through;
nothing of it is opened here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from payoff.environments.requirements import checked
from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.mlflow_example import example
from payoff.flavors.native import prepare_native
from payoff.flavors.needs import Needs, on_python, requirements
from payoff.flavors.scan import refuse_dangerous, scan

FILE, ABOUT = "MLmodel", "tracking.yaml"
_BYTES_MAX = 4 << 20
_SKINNY = frozenset(
    f"mlflow.{name}"
    for name in (
        "catboost", "keras", "lightgbm", "onnx", "pmdarima", "prophet", "pyfunc.loaders", "pyfunc.model", "pytorch",
        "sentence_transformers", "sklearn", "spacy", "statsmodels", "tensorflow", "transformers", "xgboost",
    )
)  # fmt: skip
_MLFLOW = re.compile(r"mlflow\s*([=<>!~].*)?$")
_CONDA = re.compile(r"([A-Za-z0-9_.-]+)")


class MLflow:
    """A model's folder as MLflow saves it."""

    name = "mlflow"
    takes = "an MLflow model (the folder with its MLmodel file)"

    def recognises(self, path: Path, head: bytes) -> bool:
        return path.is_dir() and (path / FILE).is_file()

    def prepare(self, arrival: Arrival) -> Prepared:
        """Served through pyfunc, in the environment that MLflow recorded."""
        path = arrival.path
        told = read(path / FILE)
        pyfunc = _pyfunc(told, path.name)
        with arrival.step("scan"):
            refuse_dangerous(scan(path), path.name)
        needs = needs_of(path, told)
        sample, found = (arrival.sample, "") if arrival.sample is not None else example(path, told)
        notes = [*needs.notes, *([found] if found else [])]
        return prepare_native(
            replace(on_python(arrival, needs.python), sample=sample),
            "mlflow",
            needs.requirements,
            options={"sampled": sample is not None},
            provenance={**_provenance(path, told, pyfunc), **({"mlflow notes": notes} if notes else {})},
        )


def read(file: Path) -> dict[str, Any]:
    """A YAML file of MLflow; BadInput for one that is no mapping."""
    try:
        if file.stat().st_size > _BYTES_MAX:
            raise BadInput(f"{file.name} is larger than {_BYTES_MAX:,} bytes; save the model again")
        found = yaml.load(file.read_bytes(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - safe ones
        if _unfolded(found, {}) > _BYTES_MAX:
            raise BadInput(f"{file.name} unfolds to more than {_BYTES_MAX:,} bytes; save the model again")
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{file.name} cannot be read: {error}; save the model again") from error
    if not isinstance(found, dict):
        raise BadInput(f"{file.name} is not what MLflow writes (it holds no mapping); save the model again")
    return found


def _unfolded(value: Any, known: dict[int, float]) -> float:
    """How much it holds, with all written out that YAML writes once and names again."""
    if id(value) not in known:
        known[id(value)] = math.inf  # what holds itself has no end
        parts = value if isinstance(value, list | set | tuple) else ()
        if isinstance(value, dict):
            parts = [*value.keys(), *value.values()]
        own = len(value) if isinstance(value, str | bytes) else 8
        known[id(value)] = own + sum(_unfolded(part, known) for part in parts)
    return known[id(value)]


def needs_of(path: Path, told: Mapping[str, Any]) -> Needs:
    """What MLflow recorded: requirements.txt, else the pip part of conda.yaml, else the versions in MLmodel."""
    conda = _conda(path)
    if (path / "requirements.txt").is_file():
        lines = requirements(path / "requirements.txt")
    elif conda.requirements:
        lines = conda.requirements
    else:
        lines = _from_flavors(told)
    pyfunc = told["flavors"]["python_function"]
    python = _minor(read(path / "python_env.yaml").get("python")) if (path / "python_env.yaml").is_file() else None
    return Needs(
        _with_mlflow(lines, told, str(pyfunc.get("loader_module", ""))),
        python or conda.python or _minor(pyfunc.get("python_version")),
        conda.notes,
    )


def _pyfunc(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    flavors = told.get("flavors")
    if not isinstance(flavors, dict):
        raise BadInput(f"{FILE} in {name} names no flavors; save the model again with mlflow.<flavor>.save_model")
    found = flavors.get("python_function")
    if not isinstance(found, dict):
        raise BadInput(
            f"{name} was saved for {', '.join(map(str, flavors)) or 'nothing'} only, and payoff asks MLflow's "
            "python_function; save it with a flavor that has it, or wrap it in an mlflow.pyfunc.PythonModel"
        )
    return found


def _provenance(path: Path, told: Mapping[str, Any], pyfunc: Mapping[str, Any]) -> dict[str, Any]:
    """Where the model came from, as MLflow tells it."""
    facts = {
        "flavors": [name for name in told["flavors"] if name != "python_function"],
        "loader": pyfunc.get("loader_module"),
        "mlflow_version": told.get("mlflow_version"),
        "run_id": told.get("run_id"),
        "model_id": told.get("model_id"),
        "created": told.get("utc_time_created"),
        "artifact_path": told.get("artifact_path"),
    }
    if (path / ABOUT).is_file():
        facts.update(read(path / ABOUT))
    return {"mlflow": {key: value for key, value in facts.items() if value}}


def _conda(path: Path) -> Needs:
    """The pip part of conda.yaml, its Python, and in words what else it names."""
    if not (path / "conda.yaml").is_file():
        return Needs()
    entries = read(path / "conda.yaml").get("dependencies")
    plain = [one for one in entries or () if isinstance(one, str)]
    pip = [line for one in entries or () if isinstance(one, dict) for line in one.get("pip") or ()]
    names = {_conda_name(one): one for one in plain}
    others = [one for name, one in names.items() if name not in ("python", "pip", "setuptools", "wheel")]
    note = f"conda.yaml also names {', '.join(others)}, which pip does not install; --requirements FILE can"
    found = re.search(r"[=<>~ ]+(3\.\d+)", names.get("python", ""))
    lines = checked([line for line in pip if not line.startswith("-r")], "conda.yaml")
    return Needs(lines, found[1] if found else None, (note,) if others else ())


def _conda_name(entry: str) -> str:
    found = _CONDA.match(entry.rpartition("::")[2].strip())
    return found[1].lower() if found else entry


def _from_flavors(told: Mapping[str, Any]) -> tuple[str, ...]:
    """Folders from before MLflow wrote requirements: what each flavor says of its library."""
    found = []
    for name, flavor in told["flavors"].items():
        for key, version in (flavor or {}).items() if isinstance(flavor, dict) else ():
            if key.endswith("_version") and key not in ("python_version", "code_version"):
                package = {"sklearn": "scikit-learn", "xgb": "xgboost", "lgb": "lightgbm"}.get(key[:-8], key[:-8])
                found.append(f"{package}=={version}" if version else name)
    return tuple(found)


def _with_mlflow(lines: tuple[str, ...], told: Mapping[str, Any], loader: str) -> tuple[str, ...]:
    """MLflow in its small form where that loads the flavor, of the version that wrote the folder, and what it needs."""
    version = str(told.get("mlflow_version") or "")
    asked = next(
        (found[1] or "" for line in lines if (found := _MLFLOW.match(line))), f"=={version}" if version else ""
    )
    others = [line for line in lines if not _MLFLOW.match(line)]
    if any(re.match(r"mlflow[-_]skinny\b|mlflow\s*\[", line) for line in others):
        return tuple(others)
    name = "mlflow-skinny" if loader in _SKINNY else "mlflow"
    return (f"{name}{asked}", *others, *_bounds(version, others))


def _bounds(version: str, others: list[str]) -> list[str]:
    """NumPy and pandas, which the small form does not ask for, of the time of that MLflow."""
    found = re.match(r"(\d+)\.(\d+)", version)
    release = (int(found[1]), int(found[2])) if found else (99, 0)
    numpy = "numpy<2" if release < (2, 16) else "numpy"
    pandas = "pandas<2" if release < (2, 0) else "pandas<3" if release < (3, 16) else "pandas"
    named = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in others}
    return [line for line in (numpy, pandas) if line.partition("<")[0] not in named]


def _minor(version: Any) -> str | None:
    """3.11 of 3.11.7."""
    found = re.match(r"3\.\d+", str(version or ""))
    return found[0] if found else None


FLAVOR = MLflow()
