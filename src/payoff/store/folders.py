"""Folders as blobs: packed into a tar that depends on names and contents alone, unpacked where they are needed."""

import errno
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from payoff.errors import BadInput, TooLarge
from payoff.store.files import folder, told

FILES_MAX = 100_000


def pack(source: Path, target: Path) -> None:
    """Write the folder as a tar: the same files give the same bytes, whoever packs them and when.

    BadInput: a link that leads out of the folder, or something that is neither file nor folder; links within become
    the files they lead to. TooLarge: more than FILES_MAX files.
    """
    with told(f"packing {source.name}"), tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for number, (name, path) in enumerate(_files(source)):
            if number >= FILES_MAX:
                raise TooLarge(f"{source.name} has more than {FILES_MAX:,} files; deploy the model's own folder only")
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = path.stat().st_size, 0o644
            with path.open("rb") as file:
                tar.addfile(entry, file)


def unpack(source: Path, target: Path, bytes_max: int | None = None) -> None:
    """The plain files of a tar, under `target`; BadInput for one that holds anything else, or leads out of it."""
    total = 0
    try:
        with tarfile.open(source, "r:") as tar:
            for number, entry in enumerate(tar):
                total += entry.size
                if number >= FILES_MAX:
                    raise TooLarge(f"the packed folder holds more than {FILES_MAX:,} files; send the model's own only")
                if bytes_max is not None and total > bytes_max:
                    raise TooLarge(f"the packed folder unpacks to more than {bytes_max:,} bytes")
                if not entry.isdir():  # the folders of files are made with them
                    _take(tar, entry, target)
    except (tarfile.TarError, ValueError, RecursionError) as error:  # ValueError: marks of a sparse file that are none
        raise BadInput(f"this is no folder packed with `tar -cf`, without compression: {error}") from error
    except (FileExistsError, NotADirectoryError) as error:
        raise BadInput(f"the packed folder holds {Path(error.filename).name!r} twice; pack it anew") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise BadInput("the packed folder holds a name that is too long for a disk; shorten it") from error


class Unpacked:
    """Folders unpacked once and kept by the digest of their blob: HOME/unpacked/DIGEST."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str, packed: Path) -> Path:
        """The folder with the content of `packed`; unpacked now if it was not before. Safe between processes."""
        made = self.root / digest
        if not made.is_dir():
            with told(f"unpacking {digest[:12]}"):
                room = Path(tempfile.mkdtemp(dir=folder(self.root), prefix="."))
                try:
                    unpack(packed, room)
                    with suppress(FileExistsError, OSError):
                        room.rename(made)  # another process may have been faster
                finally:
                    shutil.rmtree(room, ignore_errors=True)
        return made


def _files(source: Path) -> Iterator[tuple[str, Path]]:
    """Every file, by name in order. Caches of Python and version control stay out."""
    root = source.resolve()
    for where, folders, files in os.walk(source):
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", ".git", ".ipynb_checkpoints"))
        for path in sorted(Path(where) / name for name in [*files, *folders]):
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise BadInput(f"{path.relative_to(source)} is a link out of {source.name}; copy the file in")
            if path.is_symlink() and path.is_dir():
                raise BadInput(f"{path.relative_to(source)} is a link to a folder; copy the folder in")
            if path.is_dir():
                continue
            if not stat.S_ISREG(path.stat().st_mode):
                raise BadInput(f"{path.relative_to(source)} is neither a file nor a folder; leave it out")
            yield path.relative_to(source).as_posix(), path


def _take(tar: tarfile.TarFile, entry: tarfile.TarInfo, target: Path) -> None:
    parts = Path(entry.name).parts
    plain = entry.isreg() and not entry.issparse() and entry.name.isprintable()
    if not plain or not parts or Path(entry.name).is_absolute() or ".." in parts:
        raise BadInput(f"the packed folder holds {entry.name[:80]!r}, which is no plain file inside it; pack it anew")
    path = target.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = tar.extractfile(entry)
    assert content is not None  # noqa: S101 - it is a plain file
    with content, path.open("xb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
