"""Opens pickles of scikit-learn models with payoff's own scikit-learn, without letting them run anything else.

Only ever used in a child process, on the quick road. ModelFailed: not here, but perhaps in an environment of its own.

A pickle is a small program: it names callables and has them called. Here a name is looked up only if it stands on a
list: estimators, the parts that estimators are made of, and the few functions with which NumPy, SciPy and Cython put
their own objects together again. Anything else ends the reading at that point, before it is imported, let alone called.

Two doors that such lists often leave open are shut: a scorer of scikit-learn calls any method of any object (it becomes
a `Left`, a thing without behaviour, since no scorer is needed to predict), and an array of objects in a joblib file is
a pickle of its own (it is read by the same rules).
"""

import bz2
import codecs
import gzip
import io
import lzma
import re
import sys
import zlib
from pathlib import Path
from typing import Any

from joblib.numpy_pickle import NumpyUnpickler

from payoff.errors import BadInput, ModelFailed, PayoffError
from payoff.flavors.inside import Shut

_NUMPY = {
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy.core.numeric": {"_frombuffer"},
    "numpy.ma": {"MaskedArray"},
    "numpy.ma.core": {"MaskedArray", "_mareconstruct"},
    "numpy.random._pickle": {"__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor"},
    "numpy.random._mt19937": {"MT19937"},
    "numpy.random._pcg64": {"PCG64", "PCG64DXSM"},
    "numpy.random._philox": {"Philox"},
    "numpy.random._sfc64": {"SFC64"},
    "numpy.random.bit_generator": {"SeedSequence", "__pyx_unpickle_SeedSequence"},
    "numpy.random._bit_generator": {"SeedSequence", "__pyx_unpickle_SeedSequence"},
}
_OTHERS = {
    "builtins": {
        "object", "set", "frozenset", "slice", "complex", "bytearray", "range",
        "list", "dict", "tuple", "int", "float", "bool", "str", "bytes",
    },
    "collections": {"OrderedDict", "Counter", "deque"},
    "copyreg": {"_reconstructor"},
    "joblib.numpy_pickle": {"NumpyArrayWrapper"},
    "scipy.interpolate._bsplines": {"BSpline"},
    "scipy.sparse._csr": {"csr_matrix", "csr_array"},
    "scipy.sparse._csc": {"csc_matrix", "csc_array"},
}  # fmt: skip
_EXACT = {**_NUMPY, **_OTHERS}

# Modules of scikit-learn whose classes are parts of estimators: trees, losses, distances, kernels, optimizers.
_PARTS = re.compile(
    r"sklearn\.(_loss\.\w+|tree\._tree|ensemble\._hist_gradient_boosting\.(binning|predictor)|calibration"
    r"|neighbors\._(kd_tree|ball_tree)|metrics\._dist_metrics|linear_model\._sgd_fast|gaussian_process\.\w+"
    r"|neural_network\._stochastic_optimizers|model_selection\._split|cluster\._(birch|bisect_k_means)"
    r"|compose\._column_transformer|utils\._bunch|utils\._metadata_requests)"
)
# How objects of Cython's classes come back: functions that do no more than cls.__new__(cls).
_REBUILDERS = re.compile(
    r"sklearn\.((neighbors\._(kd_tree|ball_tree)|metrics\._dist_metrics)\.newObj|_loss\._loss\.__pyx_unpickle_\w+)"
)
_SCORERS = re.compile(
    r"sklearn\.metrics\._(scorer|classification|regression|ranking)|sklearn\.feature_selection\._univariate\w*"
)
_NEVER = re.compile(
    r"sklearn\.(externals|datasets|experimental|conftest|.*\btests?\b|utils\._test|.*callback|.*\b_test)"
)


class Refused(BadInput):
    """A pickle asked for something that no model needs."""


class Left:
    """Stands in for a scorer or a scoring function: it can be put back and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes whatever the real one took."""

    def __setstate__(self, state: Any) -> None:
        """Keeps nothing."""


class Careful(NumpyUnpickler):  # type: ignore[misc]
    """joblib's own reader (it reads plain pickles too), which finds only what is on the list."""

    def find_class(self, module: str, name: str) -> Any:
        return find(module, name)


def find(module: str, name: str) -> Any:
    """What a pickle means by `module.name`; Refused, before anything is imported, if it is not on the list."""
    if name in _EXACT.get(module, ()):
        return _import(module, name)
    if module == "_codecs" and name == "encode":
        return _encode
    if not name.isidentifier() or _NEVER.match(module):
        raise Refused(f"{module}.{name}")
    if re.fullmatch(r"numpy|numpy\.dtypes", module):
        return _numpy_type(module, name)
    if not re.fullmatch(r"sklearn(\.\w+)+", module):
        raise Refused(f"{module}.{name}")
    if _SCORERS.fullmatch(module) and not _is_estimator(module, name):
        return Left
    if _PARTS.fullmatch(module) and _is_class_of(module, name):
        return _import(module, name)
    if _REBUILDERS.fullmatch(f"{module}.{name}"):
        return _import(module, name)
    if _is_estimator(module, name):
        return _import(module, name)
    raise Refused(f"{module}.{name}")


def allowed(full_name: str) -> bool:
    """The same list, asked by skops' names ("sklearn.tree._tree.Tree")."""
    module, _, name = full_name.rpartition(".")
    try:
        return find(module, name) is not Left
    except Refused:
        return False


def open_pickle(path: Path, name: str) -> Any:
    """The object in a pickle or joblib file, compressed or not; BadInput names what it wanted that it must not have."""
    try:
        with _decompressed(path) as file:
            return Careful(name, file, ensure_native_byte_order=True).load()
    except (Refused, Shut) as refused:
        raise ModelFailed(refusal(name, str(refused))) from refused
    except (PayoffError, MemoryError, RecursionError):
        raise
    except Exception as error:
        raise ModelFailed(
            f"{name} cannot be read as a pickle of a scikit-learn model ({type(error).__name__}: {error}); "
            "it may be cut short, or made by versions that do not fit those here"
        ) from error


def refusal(name: str, wanted: str) -> str:
    """Why a file is not opened here."""
    return (
        f"{name} was not opened with payoff's own scikit-learn, which makes scikit-learn's, NumPy's and SciPy's own "
        f"objects only: it asks for {wanted}, {_whose(wanted.partition('.')[0])}"
    )


def _whose(root: str) -> str:
    if root in ("sklearn", "numpy", "scipy", "pandas", "joblib", "functools"):
        return "which a fitted model has no need to call or to hold"
    if root in sys.stdlib_module_names and root != "__main__":
        return "which no model needs and which could run commands"
    return "which is code of your own (or of another package) and not in the file"


def _is_class_of(module: str, name: str) -> bool:
    """A class that is at home in the module, and not one that it imported: sklearn.calibration has a Parallel, too."""
    found = _import(module, name)
    return isinstance(found, type) and found.__module__ == module


def _is_estimator(module: str, name: str) -> bool:
    from sklearn.base import BaseEstimator

    return _is_class_of(module, name) and issubclass(_import(module, name), BaseEstimator)


def _numpy_type(module: str, name: str) -> Any:
    import numpy as np

    found = getattr(np.dtypes if module == "numpy.dtypes" else np, name, None)
    if isinstance(found, type) and issubclass(found, np.generic | np.dtype):
        return found
    raise Refused(f"{module}.{name}")


def _import(module: str, name: str) -> Any:
    from importlib import import_module

    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise BadInput(
            f"it needs {module}.{name}, which the scikit-learn or NumPy installed here does not have ({error}); "
            "install the versions it was saved with, or convert it to ONNX where it was trained"
        ) from error


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How older pickles write bytes; other encodings have no place in them."""
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode with {encoding!r}")
    return codecs.encode(text, "latin1")


def _decompressed(path: Path) -> Any:
    """The file as joblib would read it: by its first bytes, not its name."""
    with path.open("rb") as file:
        head = file.read(6)
    if head.startswith(b"\x1f\x8b"):
        return gzip.open(path, "rb")
    if head.startswith(b"BZ"):
        return bz2.open(path, "rb")
    if head.startswith((b"\xfd7zXZ", b"\x5d\x00")):
        return lzma.open(path, "rb")
    if head.startswith(b"\x78"):
        return io.BytesIO(zlib.decompress(path.read_bytes()))
    if head.startswith(b"\x04\x22\x4d\x18"):
        raise BadInput("it is compressed with lz4; save it with joblib.dump(model, path, compress=3) instead")
    return path.open("rb")
