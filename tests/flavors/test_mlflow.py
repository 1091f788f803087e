"""MLflow's folders: what is read from their files, and how a tracking server is asked."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from payoff.environments.environments import Environments
from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival
from payoff.flavors.mlflow import FLAVOR, needs_of, read
from payoff.flavors.mlflow_example import example
from payoff.flavors.recognise import recognise
from payoff.flavors.tracking import FLAVOR as TRACKING
from payoff.flavors.tracking import Where, variables
from payoff.flavors.tracking import read as where

SKLEARN = """
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.10.4}
  sklearn: {sklearn_version: 1.3.0, pickled_model: model.pkl}
mlflow_version: 2.9.2
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(mlmodel: str = SKLEARN, **files: str) -> Path:
        (tmp_path / "MLmodel").write_text(mlmodel)
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        return tmp_path

    return write


def requirements(folder: Path) -> tuple[str, ...]:
    return needs_of(folder, read(folder / "MLmodel")).requirements


def test_a_folder_with_an_mlmodel_file_is_a_model_of_mlflow(write: Write) -> None:
    assert recognise(write()) is FLAVOR


def test_what_was_recorded_is_asked_for_with_mlflow_in_its_small_form(write: Write) -> None:
    folder = write(requirements__txt="mlflow==2.9.2\nscikit-learn==1.3.0\nnumpy==1.26.4\n")
    assert requirements(folder) == ("mlflow-skinny==2.9.2", "scikit-learn==1.3.0", "numpy==1.26.4", "pandas<3")


def test_a_folder_with_a_dangerous_pickle_is_refused_before_anything_is_built(write: Write, tmp_path: Path) -> None:
    folder = write()
    (folder / "model.pkl").write_bytes(b"cposix\nsystem\n(S'touch trapped'\ntR.")
    with pytest.raises(BadInput, match=r"was not opened: it holds .*posix"):
        FLAVOR.prepare(Arrival(folder, tmp_path / "into", Environments(tmp_path / "environments")))


def test_a_loader_that_needs_all_of_mlflow_gets_it(write: Write) -> None:
    folder = write(SKLEARN.replace("mlflow.sklearn", "mlflow.langchain"), requirements__txt="mlflow<3,>=2.3\n")
    assert requirements(folder) == ("mlflow<3,>=2.3", "numpy<2", "pandas<3")


def test_the_pip_part_of_conda_stands_in_and_the_rest_is_named(write: Write) -> None:
    conda = {"dependencies": ["python=3.9.7", "pip", "conda-forge::libgomp=12", {"pip": ["mlflow", "pandas==2.1.0"]}]}
    needs = needs_of(write(conda__yaml=yaml.safe_dump(conda)), read(write() / "MLmodel"))
    assert (needs.requirements, needs.python) == (("mlflow-skinny", "pandas==2.1.0", "numpy<2"), "3.9")
    assert needs.notes[0].startswith("conda.yaml also names conda-forge::libgomp=12, which pip does not install")


def test_the_versions_of_the_flavors_are_the_last_resort(write: Write) -> None:
    needs = needs_of(write(), read(write() / "MLmodel"))
    assert (needs.requirements[:2], needs.python) == (("mlflow-skinny==2.9.2", "scikit-learn==1.3.0"), "3.10")


def test_a_folder_without_pyfunc_is_told_the_way_out(write: Write) -> None:
    from payoff.flavors.mlflow import _pyfunc

    with pytest.raises(BadInput, match=r"was saved for spark only.*wrap it in an mlflow.pyfunc.PythonModel"):
        _pyfunc(read(write("flavors: {spark: {}}") / "MLmodel"), "model")


@pytest.mark.parametrize("text", ["- a list", "{", "a: !!python/object/apply:os.system ['true']"])
def test_an_mlmodel_that_is_none_is_refused(write: Write, text: str) -> None:
    with pytest.raises(BadInput, match=r"MLmodel (cannot be read|is not what MLflow writes)"):
        read(write(text) / "MLmodel")


@pytest.mark.parametrize(
    "text",
    [
        '{"dataframe_split": {"columns": ["a", "at"], "data": [[1, "2026-01-02T00:00:00"], [2, null]]}}',
        '{"columns": ["a", "at"], "data": [[1, "2026-01-02T00:00:00"], [2, null]]}',
        '{"dataframe_records": [{"a": 1, "at": "2026-01-02T00:00:00"}, {"a": 2, "at": null}]}',
        '{"inputs": {"a": [1, 2], "at": ["2026-01-02T00:00:00", null]}}',
    ],
)
def test_the_example_is_read_in_each_of_its_forms(write: Write, text: str) -> None:
    told = {"signature": {"inputs": '[{"name": "a", "type": "long"}, {"name": "at", "type": "datetime"}]'}}
    table, words = example(write(input_example__json=text), told)
    assert table is not None
    assert (table["a"].to_pylist(), str(table["at"].type)) == ([1, 2], "timestamp[us]")
    assert words == "the sample is the model's own input_example.json"


def test_an_example_that_cannot_be_read_is_none(write: Write) -> None:
    assert example(write(input_example__json='"text"'), {}) == (None, "")


def test_an_array_without_a_name_is_the_column_inputs(write: Write) -> None:
    table, _ = example(write(serving_input_example__json='{"inputs": [[1.0, 2.0], [3.0, 4.0]]}'), {})
    assert table is not None
    assert table.to_pydict() == {"inputs": [[1.0, 2.0], [3.0, 4.0]]}


def test_a_line_of_text_names_a_model_in_a_tracking_server(tmp_path: Path) -> None:
    path = tmp_path / "model.mlflow"
    path.write_text("mlflow: models:/churn@champion\ntracking: http://127.0.0.1:5000/\n")
    assert recognise(path) is TRACKING
    assert where(path) == Where("models:/churn@champion", "http://127.0.0.1:5000")


@pytest.mark.parametrize("server", ["file:///etc", "sqlite:///x.db", "http://me:secret@host", "http://a b"])
def test_a_server_that_is_none_is_not_asked(tmp_path: Path, server: str) -> None:
    path = tmp_path / "model.mlflow"
    path.write_text(f"mlflow: models:/churn/1\ntracking: {server}\n")
    with pytest.raises(BadInput, match="is none that payoff asks"):
        where(path)


def test_a_server_gets_no_key_but_its_own(tmp_path: Path) -> None:
    ours = {"MLFLOW_TRACKING_URI": "http://ours:5000/", "MLFLOW_TRACKING_TOKEN": "t", "AWS_SECRET": "a", "OTHER": "o"}
    assert "MLFLOW_TRACKING_TOKEN" not in variables("http://theirs:5000", tmp_path, ours)
    assert "AWS_SECRET" not in variables("http://theirs:5000", tmp_path, ours)
    given = variables("http://ours:5000", tmp_path, ours)
    assert (given["MLFLOW_TRACKING_TOKEN"], given["AWS_SECRET"], "OTHER" in given) == ("t", "a", False)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]",
        "a: &a [1, 1]\n"
        + "\n".join(
            f"{n}: &{n} [{', '.join(f'*{m}' for _ in range(10))}]" for m, n in zip("abcdefg", "bcdefgh", strict=True)
        ),
    ],
)
def test_a_file_that_unfolds_without_end_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "MLmodel").write_text(text)
    with pytest.raises(BadInput, match="unfolds"):
        read(tmp_path / "MLmodel")


def test_what_mlflow_names_twice_is_read(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("a: &id001 [1, 2]\nb: *id001\n")
    assert read(tmp_path / "MLmodel") == {"a": [1, 2], "b": [1, 2]}
