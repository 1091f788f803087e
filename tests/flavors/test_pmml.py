"""PMML is recognised by its root, and read by nobody if it could make a reader open other files."""

from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.flavors.pmml import FLAVOR, check
from payoff.flavors.recognise import HEAD_BYTES

ROOT = '<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4">'


@pytest.mark.parametrize(
    ("text", "is_pmml"),
    [
        (ROOT, True),
        (f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- a > b --> <?style x?>\n{ROOT}', True),
        (f"\ufeff{ROOT}", True),
        ('<p:PMML xmlns:p="http://www.dmg.org/PMML-4_4">', True),
        (f'<!DOCTYPE PMML [<!ENTITY a "b">]>{ROOT}', True),
        ("<html><PMML ", False),
        ("<PMMLish>", False),
        (f"# {ROOT}", False),
    ],
)
def test_the_root_says_what_it_is(text: str, is_pmml: bool) -> None:
    assert FLAVOR.recognises(Path("x"), text.encode()) is is_pmml


def test_a_long_head_that_is_no_pmml_is_told_at_once() -> None:
    assert not FLAVOR.recognises(Path("x"), (b"<?" * HEAD_BYTES)[:HEAD_BYTES])
    assert not FLAVOR.recognises(Path("x"), (b"<!---->" * HEAD_BYTES)[:HEAD_BYTES])


@pytest.mark.parametrize("before", ["", " " * ((1 << 20) - 40)])
def test_a_document_type_is_refused_wherever_it_stands(tmp_path: Path, before: str) -> None:
    path = tmp_path / "model.pmml"
    path.write_text(f'{before}<!doctype PMML [<!ENTITY x SYSTEM "file:///etc/passwd">]>{ROOT}')
    with pytest.raises(BadInput, match=r"model\.pmml declares a document type or entities"):
        check(path)


def test_an_encoding_that_hides_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pmml"
    path.write_text(f"<!DOCTYPE a>{ROOT}", "utf-16")
    with pytest.raises(BadInput, match="is not in UTF-8"):
        check(path)
