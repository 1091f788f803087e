"""The quick road for scikit-learn models: payoff's own scikit-learn opens them, ONNX is served, nothing is built.

It is taken where the file was made by the release of scikit-learn that payoff has here and names nothing but
scikit-learn, NumPy and SciPy; the strict list of `pickles.py` holds there. Where it leads nowhere, the model goes into
an environment of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from payoff.errors import ModelFailed
from payoff.flavors.apart import Job, prepare_apart
from payoff.flavors.flavor import Arrival, Prepared
from payoff.flavors.scan import Scanned
from payoff.flavors.wire import check

_NEEDS = ("sklearn", "joblib", "skl2onnx", "onnx", "pandas", "skops")
_ROOTS = {"sklearn", "numpy", "scipy", "joblib", "builtins", "collections", "copyreg", "_codecs"}
_ROOTS |= {"copy_reg", "__builtin__"}  # as Python 2 called them, and pickles of the oldest kind still do


@dataclass(frozen=True, slots=True)
class Quick:
    """Where the quick road led: a version ready to be served, or why not; empty words if it was not tried."""

    prepared: Prepared | None = None
    words: str = ""


def quick(arrival: Arrival, scanned: Scanned) -> Quick:
    """Open, convert and compare apart. BadInput: the model or the sample is of no use on any road."""
    said = arrival.said
    if (
        arrival.sample is None
        or said.native
        or said.requirements is not None
        or said.python is not None
        or said.options
    ):
        return Quick()
    if not _ROOTS.issuperset(scanned.roots) or not _same_release(scanned.versions.get("scikit-learn")):
        return Quick()
    if any(find_spec(name) is None for name in _NEEDS):
        return Quick()
    job = Job(arrival.path.resolve(), arrival.into.resolve(), arrival.path.name)
    try:
        with arrival.step("convert"):
            prepared = prepare_apart("payoff.flavors.sklearn_child", job, arrival.sample)
        check(prepared.served_path)  # what the child made is a stranger's file too
    except ModelFailed as error:
        return Quick(None, " ".join(str(error).split())[:600])
    return Quick(prepared)


def _same_release(recorded: str | None) -> bool:
    """The minor release counts: scikit-learn keeps what it saved readable within one."""
    try:
        here = version("scikit-learn")
    except PackageNotFoundError:
        return False
    return recorded is None or recorded.split(".")[:2] == here.split(".")[:2]
