"""What in an artefact can run code, found without opening it: `scan` looks, `refuse_dangerous` says no and the way out.

A scan is the first wall and no proof: what passes is opened in a process of its own, with few rights. See
docs/decisions/0011-a-scanner-for-what-can-run-code.md.
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from payoff.environments.eras import bounds
from payoff.environments.requirements import package
from payoff.errors import BadInput
from payoff.flavors.apart import Job, Limits, run_apart

LIMITS = Limits(wall_s_max=600.0, cpu_s_max=600, file_bytes_max=16 << 20)

_SAME_NAME = (
    "catboost cloudpickle cmdstanpy dask dill formulaic geopandas holidays interpret jax keras lifelines "
    "lightgbm lightning mapie mlxtend nltk numba optuna pandas patsy pmdarima polars prophet pyarrow pyod river "
    "scipy shap skorch sktime spacy stanio statsmodels statsforecast sympy tensorflow tokenizers torch "
    "torchvision transformers tsfresh xarray xgboost"
)
# What stands before the first dot of a class -> the package that has it. None is guessed: a pickle may name anything.
PACKAGES = {
    "sklearn": "scikit-learn",
    "imblearn": "imbalanced-learn",
    "skbase": "scikit-base",
    "skimage": "scikit-image",
    "category_encoders": "category-encoders",
    "feature_engine": "feature-engine",
    "sentence_transformers": "sentence-transformers",
    "sklearn_pandas": "sklearn-pandas",
    "PIL": "pillow",
    "umap": "umap-learn",
    "hdbscan": "hdbscan",
} | {name: name for name in _SAME_NAME.split()}
_LIKE_SKLEARN = ("xgboost.sklearn.", "lightgbm.sklearn.", "imblearn.", "sktime.")
_WITH_PANDAS = ("sklearn", "xgboost", "lightgbm", "statsmodels", "sktime", "prophet")


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a file or folder was found to hold."""

    dangerous: tuple[str, ...] = ()  # in words: what no model needs and could do harm
    globals: tuple[
        str, ...
    ] = ()  # the functions and classes that it names: "sklearn.tree._classes.DecisionTreeClassifier"
    versions: dict[str, str] = field(default_factory=dict)  # package -> what it records: "1.2.2", or "<2" for NumPy
    code: bool = False  # functions or classes come along as code, as from a notebook

    @property
    def roots(self) -> tuple[str, ...]:
        """The packages that it names things of."""
        return tuple(sorted({name.partition(".")[0] for name in self.globals}))


def scan(path: Path) -> Scanned:
    """What is in a file, or in all files of a folder; BadInput if one cannot be read to its end."""
    with tempfile.TemporaryDirectory(prefix="payoff-scan-") as folder:
        report = run_apart("payoff.flavors.scan_child", Job(path.absolute(), Path(folder), path.name, limits=LIMITS))
    told: dict[str, Any] = report.provenance
    if "unreadable" in told:
        raise BadInput(
            f"{path.name} was not opened, because it could not be looked through: {told['unreadable']}. "
            "Save the model again, or deploy it in a form that holds no code: ONNX, skops, the library's own format"
        )
    return Scanned(tuple(told["dangerous"]), tuple(told["globals"]), dict(told["versions"]), bool(told["code"]))


def refuse_dangerous(scanned: Scanned, name: str) -> None:
    """BadInput for an artefact with something dangerous in it: what was found, and the way out."""
    if not scanned.dangerous:
        return
    some = ", ".join(scanned.dangerous[:5])
    more = f" and {len(scanned.dangerous) - 5} more" if len(scanned.dangerous) > 5 else ""
    raise BadInput(f"{name} was not opened: it holds {some}{more}. {_way_out(scanned.dangerous)}")


def _way_out(dangerous: tuple[str, ...]) -> str:
    words = " ".join(dangerous)
    if "Lambda" in words:
        return (
            "Opening it would run that code. Put a layer of Keras in its place (Rescaling, Normalization, ...) or a "
            "class of your own registered with keras.saving.register_keras_serializable, or export the model to ONNX"
        )
    if "TensorFlow operation" in words:
        return (
            "It would read or write files of the server. Export the model without it: files are read before the model"
        )
    return (
        "A model has no need of that, and opening the file could run commands. If it is yours, find out what put that "
        "in (a custom __reduce__, a loader kept in the model), or save it in a form that holds no code: ONNX, skops, "
        "or the library's own format (save_model). If it is not yours, do not open it anywhere"
    )


def requirements_of(scanned: Scanned) -> tuple[str, ...]:
    """The packages to open it with, exact where a version is recorded; environments know the bounds of its time."""
    roots = scanned.roots
    packages = {PACKAGES[root] for root in roots if root in PACKAGES}
    if any(root in _WITH_PANDAS for root in roots):
        packages.add("pandas")
    if any(name.startswith(_LIKE_SKLEARN) for name in scanned.globals):
        packages.add("scikit-learn")
    lines = sorted(_line(name, scanned.versions.get(name)) for name in packages | {"joblib"})
    era = bounds(lines)
    numpy = scanned.versions.get("numpy", "")
    if numpy and not any(package(line) == "numpy" for line in era):
        lines.append(f"numpy{numpy}")
    return tuple(lines)


def unknown_to_requirements(scanned: Scanned) -> tuple[str, ...]:
    """The roots of which no package is known: somebody's own modules, or rarer packages; to be given by the user."""
    ours = {*PACKAGES, *sys.stdlib_module_names, "numpy", "joblib", "__main__", "__torch__", "__builtin__", "copy_reg"}
    return tuple(root for root in scanned.roots if root not in ours and not root.startswith("_"))


def _line(name: str, version: str | None) -> str:
    if version is None or not re.fullmatch(r"\d+(\.\d+)*(rc\d+|\.post\d+)?", version):
        return name
    if name == "xgboost" and tuple(map(int, version.split(".")[:3])) >= (2, 1, 1):
        name = "xgboost-cpu"  # the same without the parts for graphics cards, which are large; there is none before
    return f"{name}=={version}"
