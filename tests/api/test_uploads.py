"""An upload is taken piece by piece, within limits, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from payoff.api import uploads
from payoff.errors import BadInput, PayoffError, TooLarge

BOUNDARY = "b0undary"
KIND = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, content: bytes, filename: str | None = None) -> bytes:
    file = f'; filename="{filename}"' if filename is not None else ""
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def receive(body: bytes, folder: Path, kind: str = KIND, size: int = 7) -> uploads.Form:
    return asyncio.run(uploads.receive(pieces(body, size), kind, folder))


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_texts_and_files_come_whole_however_the_body_is_cut(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * 20
    form = receive(whole(part("name", "Bänk".encode()), part("artifact", data, "m.onnx")), tmp_path, size=size)
    assert form.texts == {"name": "Bänk"}
    path, filename = form.files["artifact"]
    assert (path.read_bytes(), filename) == (data, "m.onnx")


def test_a_callers_file_name_never_becomes_a_path(tmp_path: Path) -> None:
    form = receive(whole(part("artifact", b"x", "../../etc/passwd")), tmp_path)
    assert form.files["artifact"][0].parent == tmp_path


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    assert receive(whole(part("artifact", b"", "m.onnx")), tmp_path).files["artifact"][0].read_bytes() == b""


@pytest.mark.parametrize(("body", "kind", "words"), [
    pytest.param(whole(part("artifact", b"x" * 99, "m"))[:60], KIND, "not whole", id="cut off"),
    pytest.param(b"{}", "application/json", "send multipart/form-data", id="another content type"),
    pytest.param(b"{}", "multipart/form-data", "send multipart/form-data", id="no boundary"),
    pytest.param(whole(*[part(f"f{i}", b"") for i in range(99)]), KIND, "more than 32 parts", id="too many parts"),
    pytest.param(whole(part("a", b"", "x"), part("a", b"", "y")), KIND, "twice", id="a name twice"),
    pytest.param(b"", KIND, "not whole", id="nothing"),
])  # fmt: skip
def test_a_body_that_is_no_form_is_refused(tmp_path: Path, body: bytes, kind: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        receive(body, tmp_path, kind)


@pytest.mark.parametrize(("name", "limit"), [("TEXT_BYTES_MAX", "form field"), ("UPLOAD_BYTES_MAX", "upload")])
def test_more_bytes_than_the_limit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: str
) -> None:
    monkeypatch.setattr(uploads, name, 100)
    with pytest.raises(TooLarge, match=f"{limit} is larger"):
        receive(whole(part("name", b"x" * 101)), tmp_path)


@pytest.mark.parametrize("fails", [False, True])
def test_the_room_is_gone_afterwards_whatever_happened(tmp_path: Path, fails: bool) -> None:
    try:
        with uploads.room_for_one(tmp_path) as folder:
            receive(whole(part("artifact", b"x", "m")) if not fails else b"--", folder)
    except PayoffError:
        pass
    assert not list((tmp_path / "run" / "uploads").iterdir())
