"""Files of boosted trees: known by their content, with the release that wrote them."""

import json
from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.flavors.recognise import recognise
from payoff.flavors.xgboost import package, release_of
from tests.flavors.arrivals import prepared

KEY = b"L\0\0\0\0\0\0\0"
UBJ = b"{%b\x07learner{%b\x04name}%b\x07version[#%b\x03i\x03i\x02i\x00}" % (KEY, KEY, KEY, KEY)
LIGHTGBM = b"tree\nversion=v4\nnum_class=1\n"


@pytest.mark.parametrize(
    ("content", "flavor"),
    [
        pytest.param(json.dumps({"learner": {"x": 1}, "version": [3, 2, 0]}).encode(), "xgboost", id="json"),
        pytest.param(json.dumps({"version": [1, 7, 6], "learner": {}}).encode(), "xgboost", id="json, version first"),
        pytest.param(UBJ, "xgboost", id="ubj"),
        pytest.param(LIGHTGBM, "lightgbm", id="lightgbm"),
        pytest.param(LIGHTGBM.replace(b"v4", b"v2"), "lightgbm", id="an older lightgbm"),
        pytest.param(b"CBM1p,\0\0", "catboost", id="catboost"),
    ],
)
def test_a_file_is_known_by_what_is_in_it(tmp_path: Path, content: bytes, flavor: str) -> None:
    (tmp_path / "model.bin").write_bytes(content)
    assert recognise(tmp_path / "model.bin").name == flavor


@pytest.mark.parametrize(
    "content", [b'{"learning_rate": 1}', b'{"version": [1]}', b"tree\noak\n", b"trees\nversion=v4\n"]
)
def test_what_only_begins_alike_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes").write_bytes(content)
    with pytest.raises(BadInput, match="looks like"):
        recognise(tmp_path / "notes")


def test_the_release_that_wrote_an_xgboost_file_is_read_from_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(json.dumps({"learner": {}, "version": [1, 7, 6]}))
    (tmp_path / "b").write_bytes(UBJ)
    (tmp_path / "c").write_text('{"learner": {}}')
    assert [release_of(tmp_path / name) for name in "abc"] == ["1.7.6", "3.2.0", None]


def test_a_release_is_asked_for_without_code_for_graphics_cards_where_there_is_such_a_package() -> None:
    small = "xgboost" if Path("/proc/driver/nvidia/version").exists() else "xgboost-cpu"
    assert [package(release) for release in ("1.7.6", "2.1.0", "2.1.1", "3.2.0")] == [
        "xgboost==1.7.6", "xgboost==2.1.0", f"{small}==2.1.1", f"{small}==3.2.0",
    ]  # fmt: skip


def test_xgboosts_old_binary_files_are_told_how_to_be_saved_anew(tmp_path: Path) -> None:
    (tmp_path / "model.bst").write_bytes(b"binf\0\0\0\0")
    with pytest.raises(BadInput, match=r"old binary format.*save it as JSON: booster\.save_model\('model\.json'\)"):
        prepared(tmp_path / "model.bst")
