"""Exported functions of JAX by the program in them."""

import struct
from pathlib import Path

import pytest

from payoff.errors import BadInput
from payoff.flavors.recognise import recognise


def flatbuffer(content: bytes) -> bytes:
    """A root table whose second field is a vector with this content."""
    fields = struct.pack("<HHHH", 8, 12, 0, 8)  # its own size, the table's, then where each field lies
    root = struct.pack("<iII", 8, 0, 4)  # back to the fields, then the distance to the vector
    return struct.pack("<I", 12) + fields + root + struct.pack("<I", len(content)) + content


def test_an_exported_function_is_recognised_by_its_program(tmp_path: Path) -> None:
    (tmp_path / "thing.bin").write_bytes(flatbuffer(b"ML\xefR\rStableHLO_v1.13.0" + b"\0" * 32))
    assert recognise(tmp_path / "thing.bin").name == "jax"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(flatbuffer(b"something else" + b"\0" * 32), id="another vector"),
        pytest.param(b"\xff" * 64, id="offsets that lead nowhere"),
        pytest.param(b"\x0c\0\0\0" + b"\x80" * 64, id="a table that points before the file"),
    ],
)
def test_other_flatbuffers_are_none_of_jax(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "thing.bin").write_bytes(content)
    with pytest.raises(BadInput, match="looks like"):
        recognise(tmp_path / "thing.bin")
