"""Artefacts as files named by their sha256: the same bytes are kept once, and half an upload is never kept."""

import fcntl
import hashlib
import io
import os
import re
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from payoff.errors import BadInput, NotFound, TooLarge, Unavailable
from payoff.store.files import folder, sync_folder, told, write

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20


class Blobs:
    """The blobs under `root` (HOME/artifacts): `ab/abcdef...`, for their owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / ".incoming"

    def put(self, source: bytes | Path | BinaryIO, *, limit_bytes: int | None = None) -> str:
        """Keep these bytes and answer their sha256, when they would survive a loss of power.

        Raises TooLarge over the limit, Unavailable if the disk refuses, BadInput or NotFound for a path that is no
        file; then nothing is kept. Bytes that are there already are written again: that heals a damaged blob.
        """
        if isinstance(source, Path):
            with _open(source, limit_bytes) as file:
                return self._take(file, limit_bytes)
        return self._take(io.BytesIO(source) if isinstance(source, bytes) else source, limit_bytes)

    def incoming(self, limit_bytes: int | None = None) -> "Incoming":
        """For bytes that come piece by piece: `with blobs.incoming() as new: new.write(...); digest = new.keep()`."""
        return Incoming(self.root, self._incoming, limit_bytes)

    def has(self, digest: str) -> bool:
        """Is this blob here?"""
        return self._place(digest).is_file()

    def path(self, digest: str) -> Path:
        """Where the blob lies, for reading only; NotFound if it is not here."""
        place = self._place(digest)
        if place.is_file():
            return place
        raise NotFound(f"no artefact with digest {digest} in {self.root}; deploy the file it came from again")

    def read(self, digest: str) -> bytes:
        """The bytes; NotFound if they are not here."""
        with told(f"reading artefact {digest}"):
            return self.path(digest).read_bytes()

    def verify(self, digest: str) -> None:
        """Read the blob and raise Unavailable if it is no longer what its name says."""
        with told(f"reading artefact {digest}"), self.path(digest).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != digest:
            raise Unavailable(
                f"artefact {digest} is damaged on disk: its bytes now have digest {found}; deploy the file again"
            )

    def sweep(self, older_than_s: float = 60.0) -> int:
        """Remove what uploads left that were cut off by a crash; answers how many.

        A running upload holds a lock on its file and is never removed, however old. The age only covers the moment
        between making the file and locking it.
        """
        latest_s = time.time() - older_than_s
        return sum(_remove_leftover(path, latest_s) for path in self._incoming.glob("upload-*"))

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise BadInput(f"{digest[:80]!r} is no digest; expected the 64 hex digits of a sha256")
        return self.root / digest[:2] / digest

    def _take(self, file: BinaryIO, limit_bytes: int | None) -> str:
        with self.incoming(limit_bytes) as incoming:
            while chunk := file.read(_CHUNK_BYTES):
                incoming.write(chunk)
            return incoming.keep()


class Incoming:
    """One blob on its way in. What is not kept when the `with` ends, for whatever reason, is gone."""

    def __init__(self, root: Path, incoming: Path, limit_bytes: int | None) -> None:
        self.root = root
        self._limit_bytes = limit_bytes
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0
        with told("starting an upload"):
            self._fd, name = tempfile.mkstemp(prefix="upload-", dir=folder(incoming))
            self._path = Path(name)
            fcntl.flock(self._fd, fcntl.LOCK_EX)

    def write(self, data: bytes) -> None:
        """The next piece; TooLarge over the limit, Unavailable if the disk refuses."""
        self.size_bytes += len(data)
        if self._limit_bytes is not None and self.size_bytes > self._limit_bytes:
            raise too_large("the upload", self._limit_bytes)
        self._sha256.update(data)
        with told(f"writing byte {self.size_bytes} of an artefact"):
            write(self._fd, data)

    def keep(self) -> str:
        """All is there: sync it, put it in its place in one step, and answer its sha256."""
        digest = self._sha256.hexdigest()
        with told(f"keeping an artefact of {self.size_bytes} bytes"):
            os.fsync(self._fd)
            place = folder(self.root / digest[:2]) / digest
            self._path.replace(place)
            sync_folder(place.parent)
            sync_folder(self.root)
        return digest

    def __enter__(self) -> "Incoming":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._fd)


def too_large(what: str, limit_bytes: int) -> TooLarge:
    """One wording for every place that meets the limit."""
    return TooLarge(f"{what} is larger than {limit_bytes} bytes, the limit for one artefact; make it smaller")


def _open(path: Path, limit_bytes: int | None) -> BinaryIO:
    """The file, or why it is none; a device or a pipe would never end."""
    if path.is_dir():
        raise BadInput(f"{path} is a directory; expected one file")
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    if not path.is_file():
        raise BadInput(f"{path} is a device, pipe or socket; expected a file")
    if limit_bytes is not None and path.stat().st_size > limit_bytes:
        raise too_large(str(path), limit_bytes)
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"{path} cannot be opened: {error.strerror}; give this account the right to read it") from error


def _remove_leftover(path: Path, latest_s: float) -> bool:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if os.fstat(fd).st_mtime > latest_s:
            return False
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
