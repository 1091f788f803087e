"""A pickle may ask for anything; what is not on the list is refused before it runs, and in a process apart."""

import builtins
import gzip
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics._scorer import _Scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import export_graphviz

from payoff.errors import BadInput, ModelFailed, PayoffError, TooLarge
from payoff.flavors.apart import Job, Limits, run_apart
from payoff.flavors.pickles import Left, Refused, find, open_pickle
from tests.flavors.models import endless

CHILD = "payoff.flavors.sklearn_child"


class Calls:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def try_to_open(path: Path, limits: Limits | None = None) -> None:
    """What a deploy does with the file, in a child process; it must refuse."""
    run_apart(CHILD, Job(path.resolve(), path.parent.resolve(), path.name, limits=limits or Limits(wall_s_max=900)))


def in_a_pickle(path: Path, evil: Any) -> None:
    path.write_bytes(pickle.dumps(evil))


def in_an_attribute_of_a_model(path: Path, evil: Any) -> None:
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    model.coef_ = evil
    path.write_bytes(pickle.dumps(model))


def in_an_array_of_objects_of_a_compressed_joblib(path: Path, evil: Any) -> None:
    hidden = np.array([evil, None], object)
    joblib.dump({"model": LogisticRegression(), "classes": hidden}, path, compress=("gzip", 3))


HIDES = [in_a_pickle, in_an_attribute_of_a_model, in_an_array_of_objects_of_a_compressed_joblib]


def test_a_command_in_a_pickle_is_never_run(tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    in_a_pickle(tmp_path / "model.pkl", Calls(os.system, f"touch {marker}"))
    with pytest.raises(
        ModelFailed, match=r"model\.pkl was not opened .*: it asks for posix\.system, which no model needs"
    ):
        try_to_open(tmp_path / "model.pkl")
    assert not marker.exists()


@pytest.mark.parametrize("hide", HIDES)
@pytest.mark.parametrize(
    ("function", "arguments", "wanted"),
    [
        pytest.param(os.system, ("touch MARKER",), "posix.system", id="a command"),
        pytest.param(
            subprocess.Popen,
            ("touch MARKER", -1, None, None, None, None, None, True, True),
            "subprocess.Popen",
            id="a process",
        ),
        pytest.param(builtins.eval, ("open('MARKER', 'w')",), "builtins.eval", id="eval"),
        pytest.param(builtins.exec, ("open('MARKER', 'w')",), "builtins.exec", id="exec"),
        pytest.param(np.ndarray.tofile, (np.zeros(1), "MARKER"), "builtins.getattr", id="a method that writes"),
        pytest.param(np.save, ("MARKER", 1), "numpy.save", id="a function of NumPy's that writes"),
        pytest.param(joblib.dump, (1, "MARKER"), "joblib.numpy_pickle.dump", id="a function of joblib's that writes"),
        pytest.param(
            export_graphviz, (0, "MARKER"), "sklearn.tree._export.export_graphviz", id="one of scikit-learn's"
        ),
    ],
)
def test_no_way_to_do_harm_is_taken(
    tmp_path: Path, hide: Callable[[Path, Any], None], function: Any, arguments: tuple[Any, ...], wanted: str
) -> None:
    marker = tmp_path / "it-ran"
    hide(tmp_path / "model.pkl", Calls(function, *_fill(list(arguments), str(marker))))
    with pytest.raises(ModelFailed, match=f"asks for {wanted}"):
        open_pickle(tmp_path / "model.pkl", "model.pkl")
    assert not marker.exists()


def _fill(argument: Any, marker: str) -> Any:
    if isinstance(argument, str):
        return argument.replace("MARKER", marker)
    if isinstance(argument, list | tuple):
        return type(argument)(_fill(one, marker) for one in argument)
    return argument


def test_a_pickle_of_the_oldest_kind_is_held_to_the_same_list(tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    (tmp_path / "old.pkl").write_bytes(f"cposix\nsystem\n(S'touch {marker}'\ntR.".encode())
    with pytest.raises(ModelFailed, match=r"asks for posix\.system"):
        open_pickle(tmp_path / "old.pkl", "old.pkl")
    assert not marker.exists()


def test_a_scorer_that_would_call_any_method_comes_back_without_behaviour(tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    # _Scorer(...)(estimator, X, y) calls estimator.<response_method>(X): here ndarray.tofile(marker).
    scorer = _Scorer(find("numpy", "float64"), 1, {}, "tofile")
    in_a_pickle(tmp_path / "model.pkl", Calls(scorer, np.zeros(1), str(marker), [0]))
    with pytest.raises(ModelFailed, match="cannot be read as a pickle of a scikit-learn model"):
        open_pickle(tmp_path / "model.pkl", "model.pkl")
    assert not marker.exists()
    assert find("sklearn.metrics._scorer", "_Scorer") is Left


@pytest.mark.parametrize(
    "wanted",
    [
        "os.system", "posix.system", "builtins.eval", "builtins.getattr", "builtins.__import__", "builtins.open",
        "builtins.type", "operator.attrgetter", "functools.partial", "importlib.import_module", "pickle.loads",
        "_pickle.loads", "marshal.loads", "types.FunctionType", "types.CodeType", "ctypes.CDLL", "pty.spawn",
        "codecs.encode", "_codecs.lookup", "webbrowser.open", "timeit.timeit", "runpy.run_path", "shutil.rmtree",
        "numpy.load", "numpy.memmap", "numpy.fromfile", "numpy.vectorize", "numpy.lib.npyio.DataSource",
        "numpy.f2py.compile", "numpy.f2py.crackfortran.myeval", "numpy.testing._private.utils.runstring",
        "numpy.distutils.exec_command.exec_command", "numpy._core._multiarray_umath._load_from_filelike",
        "numpy._core.multiarray.fromfile", "numpy.ctypeslib.load_library", "numpy.random.mtrand.__dict__",
        "scipy.io.loadmat", "scipy._lib._ccallback.LowLevelCallable", "scipy.sparse._csr.os",
        "joblib.load", "joblib.numpy_pickle.load", "joblib.numpy_pickle.ZNDArrayWrapper", "joblib.memory.Memory",
        "joblib.numpy_pickle.NDArrayWrapper", "joblib.parallel.Parallel", "joblib.externals.cloudpickle.loads",
        "sklearn.utils.parallel.Parallel", "sklearn.utils._testing.TempMemmap", "sklearn.datasets.fetch_openml",
        "sklearn.datasets._base.load_files", "sklearn.externals._arff.load", "sklearn.utils.parallel._FuncWrapper",
        "sklearn.utils.fixes.parse_version", "sklearn.show_versions", "sklearn.base.clone", "sklearn.base.os",
        "sklearn.pipeline.Pipeline.fit", "sklearn.model_selection._validation.cross_val_score",
        "sklearn.tree._export.export_graphviz", "sklearn.utils._metadata_requests.process_routing",
        "sklearn.linear_model._logistic.np", "sklearn.tests.test_base.MyEstimator", "sklearn.calibration.Parallel",
        "sklearn.compose._column_transformer.Parallel", "pandas.read_pickle", "pandas.eval", "pandas.DataFrame",
        "payoff.flavors.pickles.open_pickle", "skops.io.load", "__main__.Mine", "mypackage.models.Mine",
    ],
)  # fmt: skip
def test_what_no_model_needs_is_not_on_the_list(wanted: str) -> None:
    module, _, name = wanted.rpartition(".")
    with pytest.raises(BadInput):
        find(module, name)


def test_a_name_with_dots_reaches_into_nothing() -> None:
    with pytest.raises(Refused):
        find("sklearn.linear_model._logistic", "LogisticRegression.__init__")
    with pytest.raises(Refused):
        find("sklearn.base", "os.system")


def test_ones_own_class_and_function_are_refused_by_name(tmp_path: Path) -> None:
    in_a_pickle(tmp_path / "model.pkl", make_pipeline(FunctionTransformer(_fill), LogisticRegression()))
    with pytest.raises(ModelFailed, match=r"asks for tests\.flavors\.test_pickles\._fill, which is code of your own"):
        open_pickle(tmp_path / "model.pkl", "model.pkl")


def test_a_skops_file_is_held_to_the_same_list(tmp_path: Path) -> None:
    skops.io.dump(make_pipeline(FunctionTransformer(_fill), LogisticRegression()), tmp_path / "model.skops")
    with pytest.raises(ModelFailed, match=r"asks for tests\.flavors\.test_pickles\._fill, which is code of your own"):
        try_to_open(tmp_path / "model.skops")


@pytest.mark.slow
def test_a_pickle_that_never_ends_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match=r"it used more than the 6 s of computing"):
        try_to_open(endless(tmp_path / "knot.pkl"), Limits(wall_s_max=900, cpu_s_max=6))


@pytest.mark.slow
def test_a_small_file_that_unpacks_to_a_huge_one_is_stopped(tmp_path: Path) -> None:
    times, size = 60, 20_000_000
    begins = b"\x80\x04\x8e" + (times * size).to_bytes(8, "little")
    parts = [gzip.compress(begins), *[gzip.compress(bytes(size))] * times, gzip.compress(b".")]
    (tmp_path / "bomb.pkl").write_bytes(b"".join(parts))
    with pytest.raises(TooLarge, match=r"bomb\.pkl needs more memory than the 1\.5 GiB it may use"):
        try_to_open(tmp_path / "bomb.pkl", Limits(wall_s_max=900, memory_bytes_max=3 << 29))


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_pickle_that_is_cut_short_is_refused(tmp_path: Path, keep: float) -> None:
    whole = pickle.dumps(RandomForestClassifier(2).fit([[0.0], [1.0]], [0, 1]))
    (tmp_path / "cut.pkl").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(PayoffError, match=r"cut\.pkl cannot be read as a pickle.*it may be cut short"):
        open_pickle(tmp_path / "cut.pkl", "cut.pkl")


def test_something_other_than_a_model_is_refused(tmp_path: Path) -> None:
    in_a_pickle(tmp_path / "model.pkl", {"weights": [1, 2]})
    with pytest.raises(BadInput, match="holds a dict, which predicts nothing; save a fitted model"):
        try_to_open(tmp_path / "model.pkl")
