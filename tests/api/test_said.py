"""What a deploy's form says: read in one place, and a wrong word is answered with a right one."""

from collections.abc import Callable
from typing import Any

import pytest

from payoff.api import said
from payoff.errors import BadInput
from payoff.flavors.flavor import Said
from payoff.records.model import Bounds


def test_nothing_said_is_the_usual() -> None:
    assert said.read({}) == Said()
    assert said.lineage({}) == {}
    assert said.tags({}) == {}


def test_all_of_it() -> None:
    found = said.read({
        "requirements": "a==1, b>=2,<3", "python": "3.12", "memory": "512M", "call_timeout": "1.5s", "runners": "2",
        "load_timeout": "2m", "threads": "4", "network": "yes", "native": "true", "options": '{"task": "x", "k": 1e-3}',
    })  # fmt: skip
    assert found == Said(
        ("a==1", "b>=2,<3"), "3.12", Bounds(512 << 20, 120.0, 1.5, 4, 2, True), True, {"task": "x", "k": 0.001}
    )


@pytest.mark.parametrize(("text", "expected"), [
    ("numpy", ("numpy",)),
    ("a==1\n\n# a comment\nb[x,y]>=2  # why\n", ("a==1", "b[x,y]>=2")),
    ("a==1, b[x,y]>=2,!=2.5 ,c", ("a==1", "b[x,y]>=2,!=2.5", "c")),
    ('a==1; python_version < "3.12", extra == "y"', ('a==1; python_version < "3.12", extra == "y"',)),
    ("a==1 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\nb==2", ("a==1", "b==2")),
    ("a @ https://example.org/a.whl", ("a @ https://example.org/a.whl",)),
])  # fmt: skip
def test_requirements_are_lines_or_names_with_commas(text: str, expected: tuple[str, ...]) -> None:
    assert said.requirements(text) == expected


@pytest.mark.parametrize(("text", "size"), [
    ("4G", 4 << 30), ("4 GiB", 4 << 30), ("4gb", 4 << 30), ("512m", 512 << 20), ("0.5g", 512 << 20),
    ("134217728", 128 << 20),
])  # fmt: skip
def test_memory_is_written_as_people_write_it(text: str, size: int) -> None:
    assert said.read({"memory": text}).bounds.memory_bytes_max == size


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("30", 30), ("500ms", 0.5), ("2m", 120), ("1h", 3600)])
def test_times_are_written_as_people_write_them(text: str, seconds: float) -> None:
    assert said.read({"call_timeout": text}).bounds.call_s_max == seconds


@pytest.mark.parametrize(("name", "text", "words"), [
    ("python", "python3", "say a version such as 3.11"),
    ("python", "2.7", "3.11"),
    ("memory", "lots", "memory is 'lots'; write it as in 4G"),
    ("memory", "4", "too little"),
    ("memory", "-4G", "write it as in"),
    ("call_timeout", "0s", "more than nothing"),
    ("call_timeout", "2d", "30s"),
    ("runners", "0", "a whole number from 1 to 64"),
    ("runners", "two", "a whole number"),
    ("threads", "1.5", "a whole number"),
    ("native", "perhaps", "say yes or no"),
    ("requirements", "# nothing", "name no package"),
    ("requirements", "--index-url https://x", "an option of pip"),
    ("options", "[1]", "an object with names"),
    ("options", "a: 2020-01-01", "put it in quotes"),
    ("options", "{", "not JSON"),
])  # fmt: skip
def test_a_wrong_word_is_told_with_a_right_one(name: str, text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        said.read({name: text})


def test_lineage_is_kept_under_its_names() -> None:
    texts = {"code": "9f584d0-dirty", "data": "s3://calls/2026", "metrics": '{"auc": 0.93, "rows": 4}', "note": "n"}
    assert said.lineage(texts) == {"lineage": texts | {"metrics": {"auc": 0.93, "rows": 4.0}}}


@pytest.mark.parametrize(("read", "texts", "words"), [
    (said.lineage, {"metrics": '{"auc": "good"}'}, "the metric 'auc' is 'good'; say a number"),
    (said.lineage, {"metrics": '{"auc": NaN}'}, "say a number"),
    (said.lineage, {"metrics": '{"auc": true}'}, "say a number"),
    (said.lineage, {"note": "x" * 10_001}, "10,001 characters"),
    (said.tags, {"tags": '{"a": 1}'}, "object of texts"),
])  # fmt: skip
def test_wrong_lineage_is_told(read: Callable[[dict[str, str]], Any], texts: dict[str, str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read(texts)


@pytest.mark.parametrize("field", ["options", "tags", "metrics"])
def test_what_unfolds_without_end_is_refused(field: str) -> None:
    with pytest.raises(BadInput, match="aliases"):
        said.mapping("a: &a [1, 1]\nb: [*a, *a]", field)
