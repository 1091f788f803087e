"""Blobs: kept once, kept whole or not at all."""

import hashlib
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payoff.errors import BadInput, NotFound, TooLarge, Unavailable
from payoff.store.blobs import Blobs


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "artifacts")


def kept(root: Path) -> list[str]:
    """Every file below, whatever it is called."""
    return sorted(path.name for path in root.rglob("*") if path.is_file())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Broken(io.BytesIO):
    """A caller who hangs up after a while."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() >= 3 << 20:
            raise ConnectionResetError("the caller hung up")
        return super().read(size)


def test_the_name_is_the_sha256_whichever_way_the_bytes_come(blobs: Blobs, tmp_path: Path) -> None:
    data = b"a model" * 400_000
    (tmp_path / "model.bin").write_bytes(data)
    assert {blobs.put(data), blobs.put(tmp_path / "model.bin"), blobs.put(io.BytesIO(data))} == {sha256(data)}
    assert blobs.read(sha256(data)) == data
    assert kept(tmp_path / "artifacts") == [sha256(data)]


@given(pieces=st.lists(st.binary(max_size=200), max_size=8))
def test_pieces_make_the_same_blob_as_the_whole(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    blobs = Blobs(tmp_path_factory.mktemp("artifacts"))
    with blobs.incoming() as incoming:
        for piece in pieces:
            incoming.write(piece)
        digest = incoming.keep()
    assert blobs.read(digest) == b"".join(pieces)
    assert digest == sha256(b"".join(pieces))


def test_blobs_are_for_their_owner_only(blobs: Blobs, tmp_path: Path) -> None:
    place = blobs.path(blobs.put(b"secret"))
    assert place.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "artifacts").stat().st_mode & 0o777 == 0o700
    assert place.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("way", ["bytes", "path", "stream"])
def test_what_is_too_large_is_refused_with_the_limit_and_leaves_nothing(blobs: Blobs, tmp_path: Path, way: str) -> None:
    (tmp_path / "big").write_bytes(bytes(3_000_000))
    ways: dict[str, bytes | Path | io.BytesIO] = {
        "bytes": bytes(3_000_000),
        "path": tmp_path / "big",
        "stream": io.BytesIO(bytes(3_000_000)),
    }
    with pytest.raises(TooLarge, match="larger than 2999999 bytes"):
        blobs.put(ways[way], limit_bytes=2_999_999)
    assert kept(tmp_path / "artifacts") == []
    assert blobs.put(bytes(3_000_000), limit_bytes=3_000_000)


def test_an_upload_that_breaks_off_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError):
        blobs.put(Broken(bytes(5 << 20)))
    assert kept(tmp_path / "artifacts") == []


def test_an_upload_that_is_not_kept_leaves_nothing(blobs: Blobs, tmp_path: Path) -> None:
    with blobs.incoming() as incoming:
        incoming.write(b"half a mod")
    assert kept(tmp_path / "artifacts") == []


def test_what_is_no_file_is_refused_by_what_it_is(blobs: Blobs, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is a directory"):
        blobs.put(tmp_path)
    with pytest.raises(BadInput, match="pipe"):
        blobs.put(tmp_path / "pipe")
    with pytest.raises(NotFound, match=r"no file .*nowhere"):
        blobs.put(tmp_path / "nowhere")


@pytest.mark.parametrize("digest", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_a_digest_becomes_a_path(blobs: Blobs, digest: str) -> None:
    for use in (blobs.path, blobs.has, blobs.read, blobs.verify):
        with pytest.raises(BadInput, match="64 hex digits"):
            use(digest)


def test_a_blob_that_is_not_here_is_named(blobs: Blobs) -> None:
    assert not blobs.has("a" * 64)
    with pytest.raises(NotFound, match=r"a{64}.*deploy"):
        blobs.read("a" * 64)


def test_a_damaged_blob_is_found_out_and_healed_by_putting_it_again(blobs: Blobs) -> None:
    digest = blobs.put(b"good")
    blobs.verify(digest)
    blobs.path(digest).write_bytes(b"evil")
    with pytest.raises(Unavailable, match=f"{digest} is damaged"):
        blobs.verify(digest)
    blobs.put(b"good")
    blobs.verify(digest)


def test_many_putting_the_same_bytes_at_once_make_one_blob(blobs: Blobs, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    with ThreadPoolExecutor(8) as threads:
        digests = set(threads.map(blobs.put, [data] * 40))
    assert digests == {sha256(data)}
    assert kept(tmp_path / "artifacts") == [sha256(data)]
    assert blobs.read(sha256(data)) == data


UPLOAD = """
import sys
from pathlib import Path
from payoff.store.blobs import Blobs
with Blobs(Path(sys.argv[1])).incoming() as incoming:
    incoming.write(b"half a mod")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_sweep_removes_what_a_killed_upload_left_and_never_a_running_one(blobs: Blobs, tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    command = [sys.executable, "-c", UPLOAD, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"writing\n"
        assert blobs.sweep(older_than_s=0) == 0
        child.kill()
    assert len(kept(root)) == 1
    assert blobs.sweep(older_than_s=3600) == 0
    assert blobs.sweep(older_than_s=0) == 1
    assert kept(root) == []


FULL = """
import resource, sys
from pathlib import Path
from payoff.errors import Unavailable
from payoff.store.blobs import Blobs
blobs = Blobs(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, 2_500_000))
try:
    blobs.put(bytes(4_000_000))
except Unavailable as error:
    print(error)
print(blobs.put(b"small"))
"""


def test_a_disk_that_takes_no_more_leaves_nothing_and_is_told(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    done = subprocess.run([sys.executable, "-c", FULL, str(root)], capture_output=True, text=True, check=True)
    told, digest = done.stdout.splitlines()
    assert "failed: File too large; nothing was kept" in told
    assert digest == sha256(b"small")
    assert kept(root) == [digest]


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_bytes(b"")
    with pytest.raises(Unavailable, match="a file stands where a folder should be"):
        Blobs(tmp_path / "artifacts").put(b"x")
