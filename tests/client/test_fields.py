"""What a user says in Python becomes the texts of a form."""

from pathlib import Path

import numpy as np
import pytest

from payoff.client.fields import fields, requirements
from payoff.errors import BadInput, NotFound


def test_values_become_texts_and_what_is_not_said_is_left_out() -> None:
    given = {"name": "x", "runners": 2, "native": True, "network": None, "call_timeout": 1.5, "tags": {}}
    assert fields(given) == {"name": "x", "runners": "2", "native": "yes", "call_timeout": "1.5"}


def test_objects_are_json_and_numpys_numbers_are_numbers() -> None:
    assert fields({"metrics": {"auc": np.float64(0.5), "rows": np.int64(3)}}) == {"metrics": '{"auc": 0.5, "rows": 3}'}


@pytest.mark.parametrize(("name", "value"), [("options", {"a": object()}), ("memory", [4])])
def test_what_is_no_text_is_named(name: str, value: object) -> None:
    with pytest.raises(BadInput, match=name):
        fields({name: value})


def test_requirements_are_a_file_a_text_or_a_list(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("a==1\n")
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nname = "x"\ndependencies = ["a==1", "b"]\n')
    assert requirements(file) == requirements(str(file)) == "a==1\n"
    assert requirements(project) == "a==1\nb"
    assert requirements("a==1, b") == "a==1, b"
    assert requirements(["a==1", "b"]) == "a==1\nb"
    assert requirements(None) is None


def test_a_requirements_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no requirements file"):
        requirements("no/such.txt")
    (tmp_path / "pyproject.toml").write_text("[tool.x]\n")
    with pytest.raises(BadInput, match="no dependencies"):
        requirements(tmp_path / "pyproject.toml")
    with pytest.raises(BadInput, match="requirements are a int"):
        requirements(3)
