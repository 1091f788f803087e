"""Engines: which are worth a try here, and what a session does on one that is not there."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper
from onnx.helper import make_node

from payoff.errors import ModelFailed
from payoff.flavors import onnx
from payoff.flavors.engine import CPU, Engine, others
from payoff.flavors.running import load
from payoff.flavors.session import open_session
from payoff.records.columns import Column
from payoff.records.model import Served
from payoff.records.signature import Field, Signature, Type
from tests.flavors.arrivals import Around
from tests.flavors.models import onnx_model, port, row_sums, save

EVERYTHING = [
    "TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider", "CoreMLExecutionProvider",
    "AzureExecutionProvider", "CPUExecutionProvider",
]  # fmt: skip
SIGNATURE = Signature((Field("x", Type.FLOAT32, (3,)),), (Field("total", Type.FLOAT32),))


def test_on_a_machine_with_one_core_and_no_accelerator_there_is_nothing_to_try() -> None:
    assert others(["AzureExecutionProvider", "CPUExecutionProvider"], threads_max=1) == []


def test_what_is_there_is_tried_and_tensorrt_only_if_it_is_asked_for() -> None:
    assert [str(one) for one in others(EVERYTHING, 4)] == ["cuda", "openvino", "coreml", "cpu, 4 threads"]
    assert [one.name for one in others(EVERYTHING, 1, ["tensorrt"])] == ["tensorrt", "cuda", "openvino", "coreml"]
    assert str(CPU) == "cpu, 1 thread"


def test_a_session_on_an_engine_that_is_not_here_fails_instead_of_taking_another(tmp_path: Path) -> None:
    path = save(row_sums(), tmp_path / "sums.onnx")
    with pytest.raises(ModelFailed, match="has no CUDAExecutionProvider here"):
        open_session(path, Engine("cuda", "CUDAExecutionProvider"))


def test_more_threads_answer_the_same(tmp_path: Path) -> None:
    path = save(row_sums(), tmp_path / "sums.onnx")
    rows = {"x": Column(np.arange(300, dtype=np.float32).reshape(100, 3))}
    one, two = (load(path, SIGNATURE, Engine("cpu", CPU.provider, threads)) for threads in (1, 2))
    assert np.array_equal(one(rows)["total"].values, two(rows)["total"].values)


def heavy(folder: Path, size: int = 1_024, layers: int = 4) -> Path:
    """A network whose weights take 16 MiB."""
    chance = np.random.default_rng(0)
    weights = [(chance.standard_normal((size, size)) / 32).astype(np.float32) for _ in range(layers)]
    names = ["x", *(f"h{place}" for place in range(1, layers)), "y"]
    nodes = [make_node("MatMul", [names[place], f"w{place}"], [names[place + 1]]) for place in range(layers)]
    model = onnx_model(
        [port("x", TensorProto.FLOAT, (None, size))], [port("y", TensorProto.FLOAT, (None, size))], nodes,
        [numpy_helper.from_array(one, f"w{place}") for place, one in enumerate(weights)],
    )  # fmt: skip
    return save(model, folder / "heavy.onnx")


def served(path: Path, around: Around) -> Served:
    fields = (Field("x", Type.FLOAT32, (1_024,)),), (Field("y", Type.FLOAT32, (1_024,)),)
    around.paths["heavy"] = path
    return Served("onnx", "heavy", Signature(*fields))


def mapped(folder: Path) -> int:
    """How many bytes of files in this folder this process has mapped."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(folder) in line]
    return sum(int(end, 16) - int(start, 16) for start, end in (line[0].split("-") for line in lines))


def test_large_weights_are_laid_out_once_and_mapped(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    plain, kept = Around(), Around(shared=shared)
    version = served(heavy(tmp_path), kept)
    served(tmp_path / "heavy.onnx", plain)
    rows = {"x": Column(np.random.default_rng(1).random((10, 1_024), np.float32))}
    expected = onnx.FLAVOR.load(version, plain).run(rows)["y"].values
    assert mapped(shared) == 0
    first = onnx.FLAVOR.load(version, kept)
    assert np.allclose(first.run(rows)["y"].values, expected, rtol=1e-5)
    assert mapped(shared) >= 16 << 20
    (made,) = shared.iterdir()
    (shared / "heavy-0123").mkdir()  # of another onnxruntime
    (shared / "other-0123").mkdir()
    stamp = made.stat().st_mtime_ns
    again = onnx.FLAVOR.load(version, kept)
    assert np.array_equal(again.run(rows)["y"].values, first.run(rows)["y"].values)
    assert made.stat().st_mtime_ns == stamp
    made.rename(shared / "heavy-4567")
    onnx.FLAVOR.load(version, kept)
    assert {one.name for one in shared.iterdir()} == {made.name, "other-0123"}


def test_where_weights_cannot_be_laid_out_the_model_is_loaded_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "shared").touch()  # a file where the folder should be
    around = Around(shared=tmp_path / "shared")
    loaded = onnx.FLAVOR.load(served(heavy(tmp_path), around), around)
    assert len(loaded.run({"x": Column(np.ones((3, 1_024), np.float32))})["y"]) == 3


def test_small_models_are_not_laid_out(tmp_path: Path) -> None:
    around = Around(paths={"sums": save(row_sums(), tmp_path / "sums.onnx")}, shared=tmp_path / "shared")
    onnx.FLAVOR.load(Served("onnx", "sums", SIGNATURE), around)
    assert not (tmp_path / "shared").exists()
