"""Folders as tar files: what a hostile one holds is refused in words, and nothing is written outside."""

import io
import tarfile
from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.store.folders import unpack


def packed(path: Path, name: str, headers: dict[str, str] | None = None) -> Path:
    """A tar with one file of one byte."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        entry = tarfile.TarInfo(name)
        entry.size, entry.pax_headers = 1, headers or {}
        tar.addfile(entry, io.BytesIO(b"x"))
    return path


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("../outside", {}),
        ("/outside", {}),
        ("n" * 300, {}),
        ("/".join(["n" * 200] * 40), {}),
        ("a\n\x1b[31m", {}),
        ("a", {"path": "a\0b"}),
        ("a", {"GNU.sparse.map": "0,1,zz", "GNU.sparse.size": "5"}),
        ("a", {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9", "GNU.sparse.name": "z"}),
    ],
)
def test_a_name_or_file_that_is_not_plain_is_refused(tmp_path: Path, name: str, headers: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="packed"):
        unpack(packed(tmp_path / "a.tar", name, headers), tmp_path / "room" / "folder")
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "room" / "outside").exists()


def test_a_name_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("a\udcff")
    (tmp_path / "a.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + bytes(1024))
    with pytest.raises(BadInput, match="packed"):
        unpack(tmp_path / "a.tar", tmp_path / "folder")
