"""What in an artefact can run code is found without opening it, and what is harmless is let through.

The files here are written and never opened: what they would do is not wanted by anybody.
"""

import functools
import io
import json
import operator
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from payoff.errors import BadInput, TooLarge
from payoff.flavors.scan import Scanned, refuse_dangerous, requirements_of, scan, unknown_to_requirements
from payoff.flavors.scan_child import told
from payoff.flavors.scan_files import Counted, scan_path
from payoff.flavors.scan_opcodes import Found, Unreadable


class Evil:
    """Would run a command when it is opened."""

    def __init__(self, call: Any = os.system, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments or ("touch it-ran",)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.arguments


def calls(module: str, name: str, *arguments: str) -> bytes:
    """A pickle that calls `module.name`, written by hand: the module need not be there."""
    given = b"".join(b"X" + len(one).to_bytes(4, "little") + one.encode() for one in arguments)
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + given + b"tR."


def text(word: str) -> bytes:
    return b"\x8c" + bytes([len(word)]) + word.encode()


def dangers(path: Path) -> list[str]:
    found = Found()
    scan_path(path, found)
    dangerous = told(found)["dangerous"]
    assert isinstance(dangerous, list)
    return dangerous


def of(content: bytes, folder: Path, name: str = "model.pkl") -> list[str]:
    (folder / name).write_bytes(content)
    return dangers(folder / name)


def zipped(**entries: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/").replace("_pkl", ".pkl").replace("_json", ".json"), content)
    return made.getvalue()


@pytest.mark.parametrize("protocol", range(6))
def test_a_command_is_found_in_every_protocol(protocol: int, tmp_path: Path) -> None:
    assert of(pickle.dumps(Evil(), protocol=protocol), tmp_path) == ["posix.system"]
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize(
    "name",
    [
        "os.system", "nt.system", "posix.popen", "subprocess.Popen", "subprocess.check_output", "builtins.eval",
        "builtins.exec", "builtins.__import__", "builtins.compile", "builtins.open", "builtins.breakpoint",
        "builtins.globals", "builtins.setattr", "__builtin__.eval", "__builtin__.execfile", "commands.getoutput",
        "runpy.run_path", "runpy._run_code", "pip.main", "pip._internal.main", "importlib.import_module",
        "imp.load_source", "importlib.util.spec_from_file_location", "multiprocessing.Process",
        "multiprocessing.popen_fork.Popen", "pty.spawn", "webbrowser.open", "code.InteractiveInterpreter",
        "timeit.timeit", "cProfile.run", "pdb.run", "bdb.Bdb.run", "doctest.debug_script", "trace.Trace.run",
        "marshal.loads", "pickle.loads", "_pickle.loads", "cPickle.loads", "zlib.decompress", "bz2.decompress",
        "base64.b64decode", "codecs.decode", "binascii.unhexlify", "ctypes.CDLL", "_ctypes.dlopen",
        "socket.create_connection", "shutil.rmtree", "urllib.request.urlopen", "http.client.HTTPSConnection",
        "asyncio.run", "uuid._get_command_stdout", "platform.popen", "pydoc.pipepager", "tempfile.mkstemp",
        "sqlite3.connect", "logging.FileHandler", "logging.config.listen", "io.open", "_io.FileIO",
        "pathlib.Path.write_text", "dataclasses._create_fn", "typing.get_type_hints", "enum.bltns.eval",
        "typing.ForwardRef", "_pydecimal._sys.modules", "numpy.ndarray.tofile", "scipy.io.loadmat",
        "threading.Thread", "atexit.register", "signal.signal", "sys.exit", "gc.get_objects", "pkgutil.resolve_name",
        "operator.attrgetter", "operator.methodcaller", "_operator.attrgetter", "test.support.x",
        "functools.partial.__class__", "numpy.load", "numpy.f2py.capi_maps.getinit",
        "numpy.testing._private.utils.runstring", "numpy.fromfile", "pandas.read_pickle", "pandas.eval",
        "pandas.core.frame.DataFrame.eval", "joblib.load", "joblib.numpy_pickle.load", "cloudpickle.loads",
        "dill.loads", "dill._dill._eval_repr", "torch.load", "torch.hub.load", "torch.serialization.load",
        "torch.utils.cpp_extension.load_inline", "torch._inductor.codecache.compile_file", "setuptools.setup",
        "requests.get", "yaml.unsafe_load", "six.moves.builtins.eval", "past.builtins.execfile", "numpy.os.system",
        "joblib.numpy_pickle.os.system", "sklearn.utils.sys.modules", "numpy.__builtins__",
        "numpy.core._internal.sys.modules", "numpy.ndarray.__class__.__base__.__subclasses__", "IPython.get_ipython",
        "sympy.core.sympify.sympify", "transformers.pipeline", "tensorflow.keras.models.load_model",
        "prophet.forecaster.np.load", "sktime.base.load", "nltk.download", "polars.read_csv",
    ],
)  # fmt: skip
def test_a_call_that_no_model_needs_is_found(name: str, tmp_path: Path) -> None:
    module, _, function = name.rpartition(".")
    for start in range(1, module.count(".") + 2):  # however the dots are shared out
        parts = name.split(".")
        head, tail = ".".join(parts[:start]), ".".join(parts[start:])
        if head not in ("numpy", "torch", "pandas", "joblib", "sklearn", "six", "past", "pip", "dill") or start > 1:
            assert of(b"\x80\x04" + text(head) + text(tail) + b"\x93" + text("x") + b"\x85R.", tmp_path)
    assert of(calls(module, function, "touch it-ran"), tmp_path)


MEMO = (
    b"\x80\x04" + text("os") + b"q\x00" + text("system") + b"q\x01" + text("numpy") + b"\x94" + text("array") + b"\x94"
)
PROD = (
    b"cnumpy\nprod\nN(" + text("a") + text("os") + b"d\x86b"  # numpy.prod.a = "os"
    b"0cnumpy\nprod.a\ncnumpy\nprod.b\n\x93" + text("touch it-ran") + b"\x85R."
)  # fmt: skip
TRICKS = {
    "a memo filled by two counts": MEMO + b"00h\x00h\x01\x93" + text("touch it-ran") + b"\x85R.",
    "a name made of attributes": PROD,
    "INST": b"(S'touch it-ran'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch it-ran'\no.",
    "an extension's code": b"\x80\x02\x82\x01.",
    "an attribute of a module": calls("builtins", "getattr", "numpy", "x"),
    "getattr of a name that hides": b"cnumpy\nndarray\n0cbuiltins\ngetattr\n(cnumpy\nndarray\nS'__class__'\ntR.",
    "getattr of a path": b"cbuiltins\ngetattr\n(cpathlib\nPath\n(S'it-ran'\ntRS'touch'\ntR.",
    "getattr of what writes": b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'tofile'\ntR.",
    "getattr of an imported module": (
        b"cbuiltins\ngetattr\n(ccloudpickle.cloudpickle\nsubimport\n(S'os'\ntRS'getpid'\ntR)R."
    ),
    "a call of what a call yields": calls("numpy", "prod", "x")[:-1] + b")R.",
    "a call of a function that came along": (
        b"ccloudpickle.cloudpickle\n_make_function\n(S'code'\ntR(S'x'\ntR."
    ),
    "a change of a module's dictionary": b"cnumpy\nsctypeDict\n(S'a'\nS'b'\nu.",
    "text unpacked into code": b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.",
    "nothing after the call": calls("os", "system", "touch it-ran")[:-1],
    "broken after the call": calls("os", "system", "touch it-ran")[:-1] + b"\xff\xff\xff",
    "without its mark, and broken": calls("os", "system", "touch it-ran")[2:-1] + b"\xff",
    "a second pickle": pickle.dumps({"a": 1}) + pickle.dumps(Evil()),
    "a torch file in the pickle": pickle.dumps({"a": 1})[:0]
    + b"\x80\x03ctorch.storage\n_load_from_bytes\nB" + (len(pickle.dumps(Evil()))).to_bytes(4, "little")
    + pickle.dumps(Evil()) + b"\x85R.",
}  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name"),
    [("xgboost.sklearn", "json.codecs.open"), ("sklearn.base", "inspect.linecache.getlines"), ("a.b", "pd.io.x")],
)
def test_a_way_through_the_modules_that_a_module_holds_is_found(module: str, name: str, tmp_path: Path) -> None:
    assert of(b"\x80\x04" + text(module) + text(name) + b"\x93" + text("x") + b"\x85R.", tmp_path)


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_is_found(trick: str, tmp_path: Path) -> None:
    try:
        assert of(TRICKS[trick], tmp_path)
    except Unreadable:
        assert trick in ("an extension's code",)


@pytest.mark.parametrize("compress", [0, "zlib", "gzip", "bz2", "xz", "lzma"])
@pytest.mark.parametrize(
    "holds",
    [
        pytest.param([np.zeros(1000), Evil()], id="behind an array"),
        pytest.param({"a": np.array([1, Evil()], object)}, id="in an array"),
        pytest.param({"a": np.array([(1.0, Evil())], [("x", "f8"), ("o", "O")])}, id="in a column of a record array"),
    ],
)
def test_what_joblib_puts_between_arrays_is_found(holds: Any, compress: Any, tmp_path: Path) -> None:
    joblib.dump(holds, tmp_path / "m.joblib", compress=(compress, 3) if compress else 0)
    assert dangers(tmp_path / "m.joblib") == ["posix.system"]


def test_arrays_of_objects_are_pickles(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([Evil()], object))
    np.savez(tmp_path / "b.npz", a=np.zeros(3), b=np.array([(1, Evil())], [("Order", "i4"), ("o", "O")]))
    assert dangers(tmp_path / "a.npy") == dangers(tmp_path / "b.npz") == ["posix.system"]


def test_a_pickle_in_an_archive_is_found_whatever_it_is_called(tmp_path: Path) -> None:
    evil = pickle.dumps(Evil())
    assert of(zipped(archive__data_pkl=evil, archive__version=b"3"), tmp_path, "m.pt") == ["posix.system"]
    assert of(zipped(archive__readme=evil), tmp_path, "m.zip") == ["posix.system"]
    assert of(zipped(inner=zipped(archive__data_pkl=evil)), tmp_path, "m.pt2") == ["posix.system"]
    assert of(evil + zipped(a=b"x"), tmp_path) == ["posix.system"]


def test_weights_that_begin_like_a_pickle_are_no_pickle(tmp_path: Path) -> None:
    raw = {"archive__data__0": b"\x80\x02" + b"\xff" * 99, "archive__data__1": b"NNR" + b"\xff" * 99}
    assert of(zipped(archive__data_pkl=pickle.dumps([1, 2]), **raw), tmp_path, "m.pt") == []
    assert of(pickle.dumps([1, 2]) + b"NNR\xff", tmp_path) == []


def test_a_name_does_not_hide_a_pickle(tmp_path: Path) -> None:
    for name in ("saved_model.pb", "model.py", "m.h5", "readme.txt"):
        assert of(pickle.dumps(Evil()), tmp_path, name) == ["posix.system"]


KERAS: dict[str, Any] = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {"layers": []},
    "registered_name": None,
}


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        ({"module": "keras.layers", "class_name": "Dense", "config": {"activation": "relu"}}, []),
        ({"module": "builtins", "class_name": "function", "config": "relu", "registered_name": "function"}, []),
        ({"module": "mycompany.layers", "class_name": "Odd", "config": {}}, []),
        (
            {"module": "keras.layers", "class_name": "Lambda", "config": {}},
            ["a Keras Lambda layer, which is Python code"],
        ),
        ({"module": "keras.layers", "class_name": "L\\u0061mbda"}, ["a Keras Lambda layer, which is Python code"]),
        ({"class_name": "__lambda__", "config": {}}, ["a Keras Lambda layer, which is Python code"]),
        ({"module": "os", "class_name": "function", "config": "system"}, ["os.system"]),
        ({"module": "subprocess", "class_name": "Popen", "config": {}}, ["subprocess.Popen"]),
    ],
)
def test_layers_of_keras_that_are_code(layer: dict[str, Any], found: list[str], tmp_path: Path) -> None:
    config = json.dumps(KERAS | {"config": {"layers": [layer]}}).replace("\\\\u", "\\u").encode()
    keras = zipped(config_json=config, metadata_json=b"{}")
    assert of(keras, tmp_path, "m.keras") == found


def test_layers_of_code_in_hdf5_and_operations_on_files_in_a_saved_model(tmp_path: Path) -> None:
    start = b"\x89HDF\r\n\x1a\n" + bytes(2 << 20)
    assert of(start + b'{"class_name": "Dense"}' + bytes(1000), tmp_path, "m.h5") == []
    assert of(start[:-9] + b'{"class_name": "Lambda"}' + bytes(1000), tmp_path, "m.h5") != []
    assert of(start + b'{"class_name": "L\\u0061mbda"}' + bytes(1000), tmp_path, "m.h5") != []
    saved = tmp_path / "saved"
    saved.mkdir()
    for content, found in (
        (b"\x0a\x04conv\x12\x06Conv2D", []),
        (b'{"class_name": "Lambda"}', []),  # a note that TensorFlow does not read
        (b"\x0a\x04read\x12\x08ReadFile", ["the TensorFlow operation ReadFile"]),
        (b"\x0a\x04x\x12\x09WriteFile\x1a", ["the TensorFlow operation WriteFile"]),
    ):
        (saved / "saved_model.pb").write_bytes(content)
        assert dangers(saved) == found


def table() -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"a": rng.normal(size=80), "b": rng.normal(size=80), "c": rng.choice(["x", "y"], 80)})
    return rows, (rows.a > 0).to_numpy()


def fitted() -> dict[str, Any]:
    rows, outcome = table()
    numbers = rows[["a", "b"]]
    mixed = make_column_transformer((StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["c"]))
    clip = functools.partial(np.clip, a_min=0, a_max=1)
    return {
        "forest": make_pipeline(mixed, RandomForestClassifier(5)).fit(rows, outcome),
        "boosting": HistGradientBoostingClassifier(max_iter=3).fit(numbers, outcome),
        "neighbours": KNeighborsClassifier().fit(numbers, outcome),
        "search": GridSearchCV(LogisticRegression(), {"C": [1, 2]}, scoring="roc_auc").fit(numbers, outcome),
        "functions": make_pipeline(FunctionTransformer(clip), LogisticRegression()).fit(numbers, outcome),
        "getter": FunctionTransformer(operator.itemgetter("a")),
        "rows": rows.assign(day=pd.Timestamp("2020-01-01"), kind=rows.c.astype("category")),
        "records": np.zeros(3, [("Order", "f8"), ("b", "S3")]),
        "days": [np.array(["2020-01-01"], "M8[D]"), np.zeros((0, 3)), np.array(["a", "bb"]), np.ones(5, bool)],
    }


def test_models_are_not_refused_however_they_were_saved(tmp_path: Path) -> None:
    for name, model in fitted().items():
        for protocol in range(6):
            assert of(pickle.dumps(model, protocol=protocol), tmp_path) == [], f"{name}, protocol {protocol}"
        for compress in (0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)):
            joblib.dump(model, tmp_path / "m.joblib", compress=compress)
            assert dangers(tmp_path / "m.joblib") == [], f"{name}, {compress}"


def test_functions_that_come_along_as_code_are_told_and_let_through(tmp_path: Path) -> None:
    def risk(rows: Any) -> Any:
        return np.clip(rows["a"], 0, len(os.sep))

    risk.__module__ = "__main__"
    (tmp_path / "risk.pkl").write_bytes(cloudpickle.dumps(risk))
    scanned = scan(tmp_path / "risk.pkl")
    assert scanned.dangerous == ()
    assert scanned.code
    assert {"numpy", "os"} <= set(scanned.globals)


def test_what_a_pickle_records_becomes_its_requirements(tmp_path: Path) -> None:
    joblib.dump(fitted()["forest"], tmp_path / "m.joblib", compress=3)
    import sklearn

    scanned = scan(tmp_path / "m.joblib")
    assert scanned.versions == {"scikit-learn": sklearn.__version__, "numpy": ">=2"}
    assert f"scikit-learn=={sklearn.__version__}" in requirements_of(scanned)
    assert {"joblib", "pandas", "numpy>=2"} <= set(requirements_of(scanned))


@pytest.mark.parametrize(
    ("names", "versions", "expected"),
    [
        (["sklearn.svm.SVC"], {"scikit-learn": "1.2.2", "numpy": "<2"}, ("joblib", "pandas", "scikit-learn==1.2.2")),
        (["xgboost.core.Booster"], {"xgboost": "1.7.6"}, ("joblib", "pandas", "xgboost==1.7.6")),
        (["xgboost.core.Booster"], {"xgboost": "3.2.0"}, ("joblib", "pandas", "xgboost-cpu==3.2.0")),
        (["lightgbm.sklearn.LGBMClassifier"], {}, ("joblib", "lightgbm", "pandas", "scikit-learn")),
        (["catboost.core.CatBoost"], {"numpy": "<2"}, ("catboost", "joblib", "numpy<2")),
        (["mycompany.models.Risk"], {}, ("joblib",)),
        (["sklearn.svm.SVC"], {"scikit-learn": "1.2; rm"}, ("joblib", "pandas", "scikit-learn")),
    ],
)
def test_requirements_of_what_was_found(names: list[str], versions: dict[str, str], expected: tuple[str, ...]) -> None:
    assert requirements_of(Scanned(globals=tuple(names), versions=versions)) == expected


def test_a_module_of_which_no_package_is_known_is_not_guessed() -> None:
    found = Scanned(globals=("mycompany.models.Risk", "sklearn.svm.SVC", "collections.OrderedDict", "numpy.ndarray"))
    assert unknown_to_requirements(found) == ("mycompany",)


def test_the_version_of_xgboost_stands_in_its_model(tmp_path: Path) -> None:
    model = b'{"learner":{"x":1},"version":[1,7,6]}'
    of_json = b"\x80\x03B" + len(model).to_bytes(4, "little") + model + b"."
    (tmp_path / "m.pkl").write_bytes(of_json)
    assert scan(tmp_path / "m.pkl").versions == {"xgboost": "1.7.6"}


def test_a_refusal_says_what_was_found_and_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(
        BadInput, match=r"m\.pkl was not opened: it holds posix\.system\. A model has no need of that.*ONNX"
    ):
        refuse_dangerous(scan(tmp_path / "m.pkl"), "m.pkl")
    with pytest.raises(BadInput, match="Rescaling"):
        refuse_dangerous(Scanned(("a Keras Lambda layer, which is Python code",)), "m.keras")
    refuse_dangerous(Scanned(), "m.pkl")
    assert not (tmp_path / "it-ran").exists()


UNREADABLE: dict[str, Callable[[], bytes]] = {
    "cut short": lambda: pickle.dumps([1.5] * 1000)[:500],
    "no pickle": lambda: b"Once upon a time there was a model",
    "an array cut short": lambda: _dumped([np.zeros(10_000)])[:5_000],
    "compressed and cut short": lambda: _dumped([np.arange(10_000)], compress=3)[:5_000],
    "lz4": lambda: b"\x04\x22\x4d\x18" + bytes(100),
    "an archive cut short": lambda: b"PK\x03\x04" + bytes(100),
    "an archive with a broken entry": lambda: zipped(data_pkl=pickle.dumps([1] * 99)).replace(
        b"K\x01K\x01", b"K\x02K\x01"
    ),
    "arrays beside the file": lambda: b"cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81}b.",
    "empty stack": lambda: b"\x80\x02R.",
}


def _dumped(what: Any, compress: int = 0) -> bytes:
    made = io.BytesIO()
    joblib.dump(what, made, compress=compress)
    return made.getvalue()


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_cannot_be_followed_to_its_end_is_refused(what: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(UNREADABLE[what]())
    with pytest.raises(BadInput, match=r"m\.pkl was not opened"):
        refuse_dangerous(scan(path), path.name)


def test_what_unfolds_without_end_is_refused() -> None:
    stream = io.BufferedReader(Counted(io.BytesIO(bytes(10_000)), 5_000))
    with pytest.raises(TooLarge, match="unfolds to more than 5,000 bytes"):
        stream.read()


def test_all_files_of_a_folder_are_looked_at(tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "data").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors:\n  python_function:\n")
    (model / "data" / "weights.bin").write_bytes(np.random.default_rng(0).bytes(1000))
    (model / "notes.txt").write_text("cat\nand dog\n")
    assert scan(model).dangerous == ()
    (model / "data" / "loader").write_bytes(pickle.dumps(Evil()))
    assert scan(model).dangerous == ("posix.system",)
