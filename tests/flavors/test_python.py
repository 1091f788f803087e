"""Plain Python: which folders it takes, what it asks for by name, and how a model's code is called."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from payoff.environments.environments import Environments
from payoff.errors import BadInput
from payoff.flavors.flavor import Arrival, Said
from payoff.flavors.needs import HERE, Needs, needs_of, on_python
from payoff.flavors.python import FLAVOR
from payoff.flavors.recognise import recognise
from payoff.runner.guest.kinds.python import load

ROWS = {
    "age": (np.array([20, 30]), None),
    "job": (np.array(["admin", ""], object), np.array([True, False])),
    "visits": (np.array([1.5, 2.5]), None),
}
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(code: str = "class Model:\n    def predict(self, columns): ...", **files: str) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "model.py").write_text(code)
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text)
        return folder

    return write


NOTHING_SAID = Said()


def arrival(path: Path, said: Said = NOTHING_SAID) -> Arrival:
    return Arrival(path, path.parent / "into", Environments(path.parent / "environments"), said=said)


def asked(folder: Path, **options: str) -> dict[str, list[Any]]:
    """The answers, None where there is none."""
    answers = load(str(folder), options).ask(ROWS)
    return {
        name: [value if valid is None or valid[row] else None for row, value in enumerate(values.tolist())]
        for name, (values, valid) in answers.items()
    }


def method(predict: str, above: str = "") -> str:
    return f"{above}\nclass Model:\n    def {predict}\n"


def test_a_folder_with_model_py_is_plain_python_and_one_of_mlflow_is_not(write: Write) -> None:
    folder = write()
    assert recognise(folder) is FLAVOR
    (folder / "MLmodel").write_text("flavors: {}")
    assert not FLAVOR.recognises(folder, b"")


def test_a_folder_without_requirements_is_told_what_to_write(write: Write) -> None:
    with pytest.raises(BadInput, match=r"model has no requirements\.txt .* An empty file says that NumPy is enough"):
        FLAVOR.prepare(arrival(write()))


def test_a_model_py_without_a_class_is_refused_before_anything_is_built(write: Write) -> None:
    with pytest.raises(BadInput, match=r"model\.py in model has no class; write one: class Model with predict"):
        FLAVOR.prepare(arrival(write("def predict(columns): ...", requirements_txt="")))


def test_requirements_are_read_with_the_files_they_include(write: Write) -> None:
    text = "# what it needs\nnumpy==2.4.1 \\\n    --hash=sha256:00\n-r more.txt\nnumpy==2.4.1 --hash=sha256:00\n"
    folder = write(requirements_txt=text, more_txt="scipy>=1.10  # for one function\n\n")
    assert needs_of(folder) == Needs(("numpy==2.4.1", "scipy>=1.10"))


@pytest.mark.parametrize("line", ["-e .", "./wheel.whl", "--index-url https://example.com", "own @ file:///srv/own"])
def test_requirements_that_are_no_packages_are_refused(write: Write, line: str) -> None:
    with pytest.raises(BadInput, match=r"^requirements.txt: "):
        needs_of(write(requirements_txt=line))


def test_a_file_included_from_elsewhere_is_refused(write: Write) -> None:
    with pytest.raises(BadInput, match=r"includes passwd, which is not in the folder"):
        needs_of(write(requirements_txt="-r ../../../../../../../../etc/passwd"))


def test_requirement_files_that_include_each_other_are_refused(write: Write) -> None:
    with pytest.raises(BadInput, match="include each other"):
        needs_of(write(requirements_txt="-r more.txt", more_txt="-r requirements.txt"))


@pytest.mark.parametrize(
    ("asked", "given"), [(">=3.9", HERE), (">=3.9,<3.11", "3.10"), ("==3.12.*", "3.12"), ("~=3.10.4", "3.10")]
)
def test_a_pyproject_says_packages_and_python(write: Write, asked: str, given: str) -> None:
    project = f'[project]\nname = "x"\nrequires-python = "{asked}"\ndependencies = ["numpy>=2"]\n'
    assert needs_of(write(pyproject_toml=project)) == Needs(("numpy>=2",), given)


def test_the_python_that_the_user_said_goes_first(tmp_path: Path) -> None:
    assert on_python(arrival(tmp_path, Said(python="3.10")), "3.12").said.python == "3.10"
    assert on_python(arrival(tmp_path), "3.9").said.python == "3.9"
    assert on_python(arrival(tmp_path), HERE).said.python is None


def test_a_pyproject_without_dependencies_is_refused(write: Write) -> None:
    with pytest.raises(BadInput, match=r"pyproject\.toml has no list \[project\] dependencies"):
        needs_of(write(pyproject_toml="[tool.poetry]\nname = 'x'"))


SCALARS = "predict(self, age: int, job: str | None, visits: float = 0.0) -> float: return age + visits"
ARRAYS = "predict(self, age: list[int], visits: NDArray[np.float64]): return [a + v for a, v in zip(age, visits)]"
TYPED = "from typing import NamedTuple, TypedDict\n{}\n\n"
ROW = "class Row({}):\n    age: int\n    job: str | None\n    visits: float\n"
TWO = [21.5, 32.5]


@pytest.mark.parametrize(
    ("predict", "above"),
    [
        ("predict(self, columns): return columns['age'] + columns['visits']", ""),
        ("predict(self, columns: dict[str, np.ndarray]): return columns['age'] + columns['visits']", ""),
        ("predict(self, **columns): return columns['age'] + columns['visits']", ""),
        ("predict(self, age, visits): return age + visits", ""),
        (SCALARS, ""),
        ("async def predict(self, age: int, visits: float): return age + visits".removeprefix("async def "), ""),
        (ARRAYS, "from numpy.typing import NDArray"),
        ("predict(self, row: dict[str, float | str | None]): return row['age'] + row['visits']", ""),
        ("predict(self, row: Row): return row['age'] + row['visits']", TYPED.format(ROW.format("TypedDict"))),
        ("predict(self, row: Row): return row.age + row.visits", TYPED.format(ROW.format("NamedTuple"))),
        ("predict(self, rows: list[Row]): return [r['age'] + r['visits'] for r in rows]",
         TYPED.format(ROW.format("TypedDict"))),
        ("predict(self, rows: list[dict]): return [r['age'] + r['visits'] for r in rows]", ""),
        ("predict(self, frame: pd.DataFrame): return frame['age'] + frame['visits']", "import pandas as pd"),
        ("predict(self, frame: pd.DataFrame): return frame[['age', 'visits']].sum(axis=1).to_frame()",
         "import pandas as pd"),
    ],
)  # fmt: skip
def test_the_type_hints_say_how_predict_is_called(write: Write, predict: str, above: str) -> None:
    assert asked(write(method(predict, f"import numpy as np\n{above}"))) == {"prediction": TWO}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("{'a': columns['age'], 'b': ['x', None]}", {"a": [20, 30], "b": ["x", None]}),
        ("[{'a': 1, 'b': 'x'}, {'a': 2}]", {"a": [1, 2], "b": ["x", None]}),
        ("[Out(1, 'x'), Out(2, 'y')]", {"a": [1, 2], "b": ["x", "y"]}),
        ("np.array([[1.0, 2.0], [3.0, 4.0]])", {"prediction": [[1.0, 2.0], [3.0, 4.0]]}),
        ("np.array([[1.0], [3.0]])", {"prediction": [1.0, 3.0]}),
        ("[True, False]", {"prediction": [True, False]}),
        ("pd.DataFrame({'a': [1, 2], 'b': pd.Series(['x', None], dtype='category')})", {"a": [1, 2], "b": ["x", None]}),
        ("pd.Series([1, None], dtype='Int64', name='n')", {"n": [1, None]}),
    ],
)
def test_answers_in_the_forms_that_people_return(write: Write, answer: str, expected: dict[str, Any]) -> None:
    above = "import dataclasses\nimport numpy as np\nimport pandas as pd\n"
    above += "@dataclasses.dataclass\nclass Out:\n    a: int\n    b: str\n"
    assert asked(write(method(f"predict(self, columns): return {answer}", above))) == expected


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("None", r"predict answered nothing \(None\) to 2 rows; taken are"),
        ("1.0", "predict answered a single float to 2 rows"),
        ("[1]", "predict got 2 rows and answered 1 in 'prediction'"),
        ("{'a': 1}", "predict answered a single value in 'a'"),
        ("['x', 1]", "predict answered int and str in 'prediction'"),
        ("[[1], [1, 2]]", "lists of different lengths"),
        ("{}['age']", "^model.py, line 3, in predict: KeyError: 'age'$"),
        ("exit(3)", "^model.py, line 3, in predict: SystemExit: 3$"),
    ],
)
def test_what_is_no_answer_is_told_in_words(write: Write, answer: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        asked(write(method(f"predict(self, columns): return {answer}")))


def test_hints_that_say_all_give_the_signature(write: Write) -> None:
    told = load(str(write(method(SCALARS))), {}).describe()
    assert [(one["name"], one["type"], one["nullable"]) for one in told["inputs"]] == [
        ("age", "int64", False),
        ("job", "text", True),
        ("visits", "float64", True),
    ]


def test_names_without_types_are_asked_of_the_sample(write: Write) -> None:
    told = load(str(write(method("predict(self, age, job): ..."))), {}).describe()
    assert (told["inputs"], told["takes"]) == (None, ["age", "job"])


def test_a_promised_float_stays_a_float_where_whole_numbers_came(write: Write) -> None:
    values, _ = load(str(write(method("predict(self, age: int) -> float: return 0"))), {}).ask(ROWS)["prediction"]
    assert values.dtype == np.float64


def test_the_class_is_the_only_one_or_the_one_named(write: Write) -> None:
    two = "class A:\n    def predict(self, columns): return ['a', 'a']\nclass B(A): ...\n"
    folder = write(two)
    with pytest.raises(ValueError, match="several classes with predict: A, B; say which: --option class=NAME"):
        load(str(folder), {})
    assert asked(folder, **{"class": "B"}) == {"prediction": ["a", "a"]}
    with pytest.raises(ValueError, match="has no class 'C' with predict; it has: A, B"):
        load(str(folder), {"class": "C"})


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("class Model\n", "^model.py, line 1: SyntaxError: expected ':'"),
        ("import nowhere\n", r"^model.py, line 1, in <module>: ModuleNotFoundError: .* name it in requirements.txt"),
        ("class Model: ...", "model.py has no class with predict"),
        ("class Model:\n    def load(self, path): open(path + '/x')\n    def predict(self, c): ...",
         r"^model.py, line 2, in load: FileNotFoundError"),
        ("class Model:\n    @classmethod\n    def load(cls, path): ...\n    def predict(self, c): ...",
         "load gave NoneType, and an object with predict is expected"),
    ],
)  # fmt: skip
def test_code_that_does_not_load_is_told_with_its_line(write: Write, code: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(str(write(code)), {})
