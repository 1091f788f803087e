"""What packages do not say of themselves: releases from before a change, which do not import or not work after it.

An old release seldom has an upper bound, so that a resolver gives scikit-learn 1.2.2 the NumPy of today, with which it
does not import. A bound is added where a requirement names a release exactly and none says which of the other to take.
`docs/decisions/0012-environments.md` says how each was found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from payoff.environments.requirements import package

Version = tuple[int, ...]

# package: (releases before this one, the bounds that they need)
ERAS: dict[str, tuple[tuple[Version, tuple[str, ...]], ...]] = {
    "scikit-learn": (
        ((1, 0), ("numpy<1.24", "scipy<1.9", "pandas<2", "joblib<1.5")),
        ((1, 2), ("numpy<1.27", "scipy<1.11", "pandas<2.1")),
        ((1, 4), ("numpy<2", "scipy<1.12", "pandas<2.2")),
        ((1, 4, 2), ("numpy<2", "scipy<1.13", "pandas<2.3")),
        ((1, 5), ("scipy<1.14", "pandas<3")),
        ((1, 6), ("scipy<1.15", "pandas<3")),
        ((1, 7), ("scipy<1.16", "pandas<3")),
        ((1, 8), ("scipy<1.17", "pandas<3")),
    ),
    "scipy": (((1, 13), ("numpy<2",)),),
    "pandas": (((1, 5), ("numpy<1.25",)), ((2, 2, 2), ("numpy<2",))),
    "xgboost": (
        ((1, 6), ("numpy<1.24", "pandas<2", "scipy<1.11", "scikit-learn<1.3")),
        ((2, 0), ("numpy<2", "pandas<2.2", "scipy<1.12", "scikit-learn<1.4")),
        ((2, 1), ("numpy<2", "pandas<3", "scipy<1.14", "scikit-learn<1.6")),
        ((2, 1, 4), ("pandas<3", "scikit-learn<1.6")),
    ),
    "lightgbm": (
        ((4,), ("numpy<1.25", "pandas<2.1", "scipy<1.12", "scikit-learn<1.4")),
        ((4, 4), ("numpy<2", "pandas<3", "scikit-learn<1.6")),
        ((4, 6), ("pandas<3", "scikit-learn<1.6")),
    ),
    "catboost": (((1, 2), ("numpy<1.25", "pandas<2.1")), ((1, 2, 8), ("numpy<2", "pandas<3"))),
    "statsmodels": (
        ((0, 14), ("numpy<1.25", "scipy<1.12", "pandas<2.1")),
        ((0, 14, 3), ("numpy<2", "scipy<1.16", "pandas<3")),
        ((0, 14, 5), ("scipy<1.16", "pandas<3")),
    ),
    "imbalanced-learn": (
        ((0, 11), ("numpy<2", "scikit-learn<1.3")),
        ((0, 12), ("numpy<2", "scikit-learn<1.4")),
        ((0, 13), ("numpy<2", "scikit-learn<1.6")),
        ((0, 14), ("scikit-learn<1.8",)),
    ),
    "prophet": (((1, 1, 6), ("numpy<2", "pandas<2.2")),),
    "sktime": (((0, 31), ("numpy<2",)),),
    "tensorflow": (((2, 18), ("numpy<2",)),),
    "torch": (((2, 3), ("numpy<2",)),),
    "onnxruntime": (((1, 19), ("numpy<2",)),),
    "pyarrow": (((16, 1), ("numpy<2",)),),
    "shap": (((0, 46), ("numpy<2",)),),
    "matplotlib": (((3, 8, 4), ("numpy<2",)),),
    "h5py": (((3, 11), ("numpy<2",)),),
    "numba": (((0, 60), ("numpy<2",)),),
}
_SAME = {"xgboost-cpu": "xgboost", "tensorflow-cpu": "tensorflow"}


def bounds(requirements: Sequence[str]) -> tuple[str, ...]:
    """The bounds that go with releases named exactly, on packages of which nobody says which release to take."""
    named = {package(line) for line in requirements if re.search(r"[<>=!~@]", line.partition(";")[0])}
    found: dict[str, None] = {}
    for line in requirements:
        name, release = package(line), exact(line)
        if release is not None:
            era = ERAS.get(_SAME.get(name, name), ())
            needed = next((needed for before, needed in era if release < before), ())
            found.update((bound, None) for bound in needed if package(bound) not in named)
    return tuple(found)


def exact(requirement: str) -> Version | None:
    """The release that a requirement names with `==`, None if it names none or several."""
    found = re.search(r"[^=!~<>]==\s*v?(\d+(?:\.\d+)*)(?![\w.]*\*)", requirement.partition(";")[0])
    return tuple(int(part) for part in found[1].split(".")) if found else None
