"""How a file becomes a version, and that a refused one leaves nothing."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper

from payoff.deploy.intake import Intake, Limits
from payoff.errors import BadInput, Busy, NotFound, PayoffError, TooLarge, Unavailable
from payoff.records import Field, Type
from payoff.registry import Registry
from payoff.store.blobs import Blobs

SAMPLE = pa.table({"x": pa.array([1.0, 2.0, 3.0], pa.float32())})


def model(path: Path, factor: float = 2.0) -> Path:
    """A model that multiplies."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [factor])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "doubles",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        [weight],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.fixture
def intake(home: Path, registry: Registry) -> Intake:
    return Intake(home, registry, lambda: 7)


@pytest.fixture
def blobs(home: Path) -> Blobs:
    return Blobs(home / "artifacts")


def left(home: Path) -> list[str]:
    """Every file that an intake may leave."""
    return sorted(path.name for part in ("artifacts", "intake") for path in (home / part).rglob("*") if path.is_file())


def test_a_file_becomes_a_version(intake: Intake, registry: Registry, blobs: Blobs, home: Path) -> None:
    taken = intake.take(
        model(home / "upload-1"),
        model="doubles",
        author="anna",
        file_name="My Model.onnx",
        sample=SAMPLE,
        tags={"a": "b"},
    )
    version = taken.version
    assert version == registry.find("doubles", 1)
    assert (version.number, version.flavor, version.author, version.created_at_us) == (1, "onnx", "anna", 7)
    assert (version.tags, version.provenance["file"]) == ({"a": "b"}, "My Model.onnx")
    assert version.served.signature.inputs == (Field("x", Type.FLOAT32),)
    assert [name for name, _ in taken.steps] == ["recognise", "try out", "store", "register"]
    assert version.digest == version.served.digest
    assert version.served.golden is not None
    assert sorted([version.digest, version.served.golden]) == left(home)
    assert version.size_bytes == len(blobs.read(version.digest))


def test_the_same_bytes_are_the_same_version(intake: Intake, registry: Registry, home: Path) -> None:
    first = intake.take(model(home / "a.onnx"), model="doubles", author="anna")
    again = intake.take(model(home / "b.onnx"), model="doubles", author="ben")
    assert (first.known, again.known) == (False, True)
    assert again.version == first.version
    assert [name for name, _ in again.steps] == ["recognise"]
    other = intake.take(model(home / "c.onnx", 3.0), model="doubles", author="ben").version
    elsewhere = intake.take(model(home / "a.onnx"), model="triples", author="ben").version
    assert (other.number, elsewhere.number, elsewhere.digest) == (2, 1, first.version.digest)
    assert len(registry.versions("doubles")) == 2


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (
            pa.table({"z": [1.0], "w": [2.0]}),
            r"doubles v1 already, which takes x; the sample lacks 'x' \(it has z, w\)",
        ),
        (pa.table({"x": ["abc"]}), "column 'x' of the sample, row 0: 'abc'"),
        (pa.table({"x": [[1.0, 2.0]]}), r"takes 'x' as float32; the sample has \[2\] there"),
        (pa.table({"x": [1.0, None]}), "takes 'x' as float32; the sample has nulls there"),
        (pa.table({"x": [1.0, 1e300]}), r"column 'x' of the sample, row 1: '1e\+300' is no float32"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused_for_known_bytes_too(
    sample: pa.Table, words: str, intake: Intake, home: Path
) -> None:
    intake.take(model(home / "a.onnx"), model="doubles", author="anna", sample=SAMPLE)
    with pytest.raises(BadInput, match=words):
        intake.take(model(home / "a.onnx"), model="doubles", author="ben", sample=sample)
    assert intake.take(model(home / "a.onnx"), model="doubles", author="ben", sample=SAMPLE).known


def test_the_same_file_twice_at_once_is_one_version(intake: Intake, registry: Registry, home: Path) -> None:
    path = model(home / "a.onnx")
    with ThreadPoolExecutor(3) as pool:
        taken = [pool.submit(intake.take, path, model="doubles", author="anna") for _ in range(3)]
        assert {one.result(60).version.number for one in taken} == {1}
    assert len(registry.versions("doubles")) == 1
    assert left(home) == [registry.find("doubles").digest]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("age,job\n1,admin\n")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(("damage", "words"), [
    (cut, "cut short"), (empty, "is empty"), (text, "looks like text"), (folder, "empty folder"), (gone, "no file"),
])  # fmt: skip
def test_what_is_no_model_leaves_nothing(
    damage: Callable[[Path], None], words: str, intake: Intake, registry: Registry, home: Path
) -> None:
    path = model(home / "upload-1")
    damage(path)
    with pytest.raises((BadInput, NotFound), match=words) as refused:
        intake.take(path, model="doubles", author="anna", file_name="mine.onnx")
    assert "mine.onnx" in str(refused.value)
    assert left(home) == []
    assert registry.models() == []


def test_a_sample_that_does_not_fit_leaves_nothing(intake: Intake, registry: Registry, home: Path) -> None:
    with pytest.raises(PayoffError):
        intake.take(model(home / "a.onnx"), model="doubles", author="anna", sample=pa.table({"z": ["a"]}))
    assert left(home) == []
    assert registry.models() == []


def test_a_version_that_cannot_be_registered_leaves_nothing(intake: Intake, registry: Registry, home: Path) -> None:
    with pytest.raises((TypeError, PayoffError)):
        intake.take(model(home / "a.onnx"), model="doubles", author="anna", provenance={"why": object()})
    assert left(home) == []


def test_what_others_count_on_stays_when_an_intake_fails(intake: Intake, home: Path) -> None:
    version = intake.take(model(home / "a.onnx"), model="doubles", author="anna").version
    with pytest.raises((TypeError, PayoffError)):
        intake.take(model(home / "a.onnx"), model="other", author="anna", provenance={"why": object()})
    assert left(home) == [version.digest]


def test_a_lost_artefact_comes_back_with_the_file(intake: Intake, registry: Registry, blobs: Blobs, home: Path) -> None:
    version = intake.take(model(home / "a.onnx"), model="doubles", author="anna").version
    shutil.rmtree(home / "artifacts")
    again = intake.take(model(home / "a.onnx"), model="doubles", author="anna")
    assert (again.version, again.known) == (version, True)
    assert blobs.has(version.digest)


def test_an_artefact_that_does_not_come_back_is_told(intake: Intake, home: Path) -> None:
    intake.take(model(home / "a.onnx"), model="doubles", author="anna", sample=SAMPLE)
    shutil.rmtree(home / "artifacts")
    with pytest.raises(Unavailable, match="doubles v1 has lost its artefact"):
        intake.take(model(home / "a.onnx"), model="doubles", author="anna")  # and without a sample, no golden rows


def test_there_are_limits(registry: Registry, home: Path) -> None:
    intake = Intake(home, registry, limits=Limits(artefact_bytes_max=10, tags_max=1, wait_s_max=0.01))
    with pytest.raises(TooLarge, match=r"a\.onnx has [\d,]+ bytes; a model may have 10"):
        intake.take(model(home / "a.onnx"), model="doubles", author="anna")
    with pytest.raises(BadInput, match="2 tags are too many; the limit is 1"):
        intake.take(model(home / "a.onnx"), model="doubles", author="anna", tags={"a": "b", "c": "d"})
    with pytest.raises(BadInput, match="cannot name a model"):
        intake.take(model(home / "a.onnx"), model="../doubles", author="anna")
    assert left(home) == []


def test_few_models_are_converted_at_once(registry: Registry, home: Path) -> None:
    intake = Intake(home, registry, limits=Limits(wait_s_max=0.01))
    with intake._turn(), intake._turn(), pytest.raises(Busy, match="2 other models are being converted"):
        intake.take(model(home / "a.onnx"), model="doubles", author="anna")
    assert left(home) == []
    assert intake.take(model(home / "a.onnx"), model="doubles", author="anna").version.number == 1


@pytest.mark.parametrize("name", ["../../../etc/passwd", "a/b\0c\n.pkl", "..", "", "x" * 500, "ä b (1).onnx"])
def test_no_file_name_leaves_the_folder(name: str, intake: Intake, home: Path) -> None:
    version = intake.take(model(home / "upload-1"), model="doubles", author="anna", file_name=name).version
    shown = version.provenance["file"]
    assert "/" not in shown
    assert 0 < len(shown) <= 100


def test_leftovers_of_a_crash_are_swept(intake: Intake, home: Path) -> None:
    (home / "intake" / "tmp123" / "came").mkdir(parents=True)
    intake.sweep()
    assert not (home / "intake").exists()
    assert intake.take(model(home / "a.onnx"), model="doubles", author="anna").version.number == 1
