"""PyTorch files by what is in them. The zip archives are made by hand: no torch is needed to recognise one."""

import zipfile
from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.flavors.recognise import recognise
from tests.flavors.arrivals import prepared

SCRIPT = {"m/data.pkl": b"\x80\x02.", "m/constants.pkl": b"\x80\x02).", "m/code/__torch__.py": b"", "m/version": b"3\n"}
PROGRAM = {"m/models/model.json": b'{"torch_version": "2.13.0+cpu"}', "m/archive_format": b"pt2", "m/version": b"2"}
OLDER_PROGRAM = {"serialized_exported_program.json": b"{}", "version": b"7.3"}
WEIGHTS = {"m/data.pkl": b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01.", "m/version": b"3", "m/data/0": b"1234"}
MODULE = {"m/data.pkl": b"\x80\x02ctorch.nn.modules.linear\nLinear\nq\x00)\x81q\x01.", "m/version": b"3"}
COMPILED = {"m/data/aotinductor/model/a.so": b"\x7fELF", "m/archive_format": b"pt2"}


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("members", [SCRIPT, PROGRAM, OLDER_PROGRAM, WEIGHTS, MODULE, COMPILED])
def test_a_file_of_pytorch_is_recognised_whatever_it_is_called(members: dict[str, bytes], tmp_path: Path) -> None:
    assert recognise(archive(tmp_path / "thing.bin", members)).name == "torch"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        pytest.param(WEIGHTS, "weights only", id="a state dict"),
        pytest.param(MODULE, "a pickled module", id="a pickled module"),
    ],
)
def test_a_checkpoint_is_refused_with_the_way_out(members: dict[str, bytes], words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=rf"{words}.*torch\.export\.save.*model\.py"):
        prepared(archive(tmp_path / "model.pt", members))


def test_a_checkpoint_from_before_zip_archives_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00.")
    with pytest.raises(BadInput, match=r"weights only.*torch\.export\.save"):
        prepared(path)


def test_what_was_compiled_for_one_machine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="compiled for one machine"):
        prepared(archive(tmp_path / "model.pt2", COMPILED))


def test_another_zip_archive_is_none_of_pytorch(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a zip archive"):
        recognise(archive(tmp_path / "model.pt", {"readme.txt": b"hello"}))
