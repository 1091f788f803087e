"""Finds what can run code in a file: pickles, also packed or in archives and arrays; layers and graphs that hold code.

What a file is, its first bytes say. What cannot be read to its end is refused: nobody knows what it does.
"""

from __future__ import annotations

import ast
import builtins
import bz2
import gzip
import io
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from payoff.errors import TooLarge
from payoff.flavors import scan_names
from payoff.flavors.scan_opcodes import Follower, Found, Unreadable

FILES_MAX, ENTRIES_MAX, DEPTH_MAX, PICKLES_MAX = 20_000, 20_000, 4, 10_000
BYTES_MAX = 64 << 30  # read in all, after unpacking: a small archive may unfold to more than a disk holds
_TIMES_MAX, _UNFOLDED_MIN = 1_100, 256 << 20  # deflate packs at most 1,032 times

_SURELY = 8  # so many opcodes no weights happen to be
_PICKLES = (".pkl", ".pickle", ".joblib")
_LZ4, _ZSTD, _7Z = b"\x04\x22\x4d\x18", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf\x27\x1c"
_ZIP, _HDF5, _NPY = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x93NUMPY"
_LAMBDA = re.compile(rb'"class_name"\s*:\s*"(Lambda|OpLambda)"|"__lambda__"')
_DISGUISED = re.compile(rb"\\u00[2-7][0-9a-fA-F]")  # no writer of JSON escapes a plain letter
_OPS = re.compile(rb"\x12[\x05-\x14](ReadFile|WriteFile|MatchingFiles|(?:Eager)?PyFunc(?:Stateless)?)(?![A-Za-z])")
_LAMBDA_WORDS = "a Keras Lambda layer, which is Python code"


class Counted(io.RawIOBase):
    """A stream that is read forwards only, of a bounded length."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        super().__init__()
        self._stream, self._left, self._limit = stream, limit, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            piece = self._stream.read(min(len(buffer), 1 << 20))
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, ValueError) as error:
            raise Unreadable(f"it cannot be unpacked ({type(error).__name__}: {error})") from error
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge(
                f"it unfolds to more than {self._limit:,} bytes, far more than it has itself; it is not opened"
            )
        buffer[: len(piece)] = piece
        return len(piece)


def scan_path(path: Path, found: Found) -> None:
    """Every file of a folder, or the one file, which must be a pickle where its first bytes say nothing else."""
    if not path.is_dir():
        _file(path, path.name, found, True)
        return
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    if len(files) > FILES_MAX:
        raise TooLarge(f"{len(files):,} files; at most {FILES_MAX:,} are looked at")
    for file in files:
        _file(file, str(file.relative_to(path)), found, file.suffix in _PICKLES)


def _file(path: Path, name: str, found: Found, pickled: bool) -> None:
    try:
        with path.open("rb") as file:
            is_zip = zipfile.is_zipfile(file)
            file.seek(0)
            if file.read(4) == _ZIP and not is_zip:
                raise Unreadable("an archive that is cut short")
            file.seek(0)
            limit = max(_UNFOLDED_MIN, path.stat().st_size * _TIMES_MAX)
            _stream(io.BufferedReader(Counted(file, BYTES_MAX), 1 << 16), name, found, pickled and not is_zip, 0, limit)
            if is_zip:
                file.seek(0)
                _zip(file, name, found, 0, limit)
    except Unreadable as error:
        raise Unreadable(f"{name}: {error}") from error
    except (ValueError, LookupError, TypeError, SyntaxError, struct.error) as error:
        raise Unreadable(f"{name}: {type(error).__name__}: {error}") from error


def _stream(stream: io.BufferedReader[Any], name: str, found: Found, pickled: bool, depth: int, limit: int) -> None:
    """Whatever the first bytes say that it is; `limit` is how far it may unfold."""
    head = stream.peek(64)[:64]
    if head.startswith((_LZ4, _ZSTD, _7Z)):
        what = {_LZ4: "lz4", _ZSTD: "zstd", _7Z: "7z"}[
            next(word for word in (_LZ4, _ZSTD, _7Z) if head.startswith(word))
        ]
        raise Unreadable(f"it is compressed with {what}, which is not unpacked here; save it with compress=3 (zlib)")
    if (unpacked := _unpacked(stream, head)) is not None:
        if depth >= DEPTH_MAX:
            raise Unreadable("it is packed too many times over")
        _stream(io.BufferedReader(Counted(unpacked, limit), 1 << 16), name, found, pickled, depth + 1, limit)
    elif head.startswith(_ZIP):
        if depth:
            _zip(io.BytesIO(_all(stream)), name, found, depth, limit)
    elif head.startswith(_NPY):
        _array(stream, found)
    elif head.startswith(_HDF5):
        _words(stream, found, _layers)
    elif name.endswith(".pb") and not pickled:
        _words(stream, found, _operations)
    else:
        _pickles(stream, found, pickled)
    _inner(found, name, depth, limit)


def _unpacked(stream: io.BufferedReader[Any], head: bytes) -> Any:
    """The stream within a compressed one, recognised as joblib does."""
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if head.startswith((b"\xfd7zXZ", b"\x5d\x00")):
        return lzma.LZMAFile(stream)
    if len(head) > 2 and head[0] == 0x78 and (head[0] * 256 + head[1]) % 31 == 0:
        return io.BufferedReader(_Inflated(stream))
    return None


class _Inflated(io.RawIOBase):
    """zlib without a gzip header, as joblib writes it."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream, self._inflate = stream, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._stream.read(1 << 16)
            piece = self._inflate.decompress(packed, len(buffer))
            if piece:
                buffer[: len(piece)] = piece
                return len(piece)
            if not packed:
                raise EOFError("it is cut short")
        return 0


def _pickles(stream: io.BufferedReader[Any], found: Found, pickled: bool) -> None:
    """One pickle after the other, as far as there are any; what is not one holds no code that a pickle could run."""
    for number in range(PICKLES_MAX):
        if not stream.peek(1):
            return
        seen = Found()
        follower = Follower(stream, seen)
        try:
            follower.follow()
        except Unreadable as error:
            is_one = (pickled and number == 0) or (follower.marked and follower.count >= _SURELY)
            if is_one or scan_names.refused(seen.names):
                _add(found, seen)
                if not (found.dangerous or scan_names.refused(found.names)):
                    raise Unreadable(f"a pickle in it cannot be followed to its end ({error})") from error
            return
        _add(found, seen)
    raise Unreadable(f"more than {PICKLES_MAX:,} pickles in a row")


def _add(found: Found, seen: Found) -> None:
    found.names |= seen.names
    found.code |= seen.code
    found.imports |= seen.imports
    found.versions.update(seen.versions)
    found.inner += seen.inner
    for what in seen.dangerous:
        found.warn(what)


def _inner(found: Found, name: str, depth: int, limit: int) -> None:
    """Files that a pickle holds as bytes and that would be opened with it."""
    while found.inner:
        held = found.inner.pop()
        if depth >= DEPTH_MAX:
            raise Unreadable("files within files, too many times over")
        if held.startswith(_ZIP):
            _zip(io.BytesIO(held), name, found, depth + 1, limit)
        else:
            _stream(io.BufferedReader(Counted(io.BytesIO(held), limit)), name, found, True, depth + 1, limit)


def _array(stream: io.BufferedReader[Any], found: Found) -> None:
    """A .npy file: one of objects is a pickle behind its header."""
    major = stream.read(8)[6]
    length = struct.unpack("<H" if major == 1 else "<I", stream.read(2 if major == 1 else 4))[0]
    header = ast.literal_eval(stream.read(min(length, 1 << 20)).decode("latin1").strip())
    if _has_objects(header["descr"]):
        _pickles(stream, found, True)


def _has_objects(descr: Any) -> bool:
    """A type as .npy files write it: "<f8", or a list of names with types, or a type with a shape."""
    if isinstance(descr, list):
        return any(_has_objects(field[1]) for field in descr)
    return _has_objects(descr[0]) if isinstance(descr, tuple) else "O" in descr


def _zip(file: IO[bytes], name: str, found: Found, depth: int, limit: int) -> None:
    """Every entry of an archive: PyTorch, Keras, skops, NumPy."""
    if depth >= DEPTH_MAX:
        raise Unreadable("archives within archives, too many times over")
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            if len(entries) > ENTRIES_MAX:
                raise TooLarge(f"{name} has {len(entries):,} entries; at most {ENTRIES_MAX:,} are looked at")
            if sum(entry.file_size for entry in entries) > limit:
                raise TooLarge(
                    f"{name} unfolds to more than {limit:,} bytes, far more than it has itself; it is not opened"
                )
            keras = {"config.json", "metadata.json"} <= {entry.filename for entry in entries}
            for entry in entries:
                with archive.open(entry) as opened:
                    _entry(opened, entry.filename, found, depth + 1, limit, keras)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"the archive cannot be read ({type(error).__name__}: {error})") from error


def _entry(opened: IO[bytes], name: str, found: Found, depth: int, limit: int, keras: bool) -> None:
    if name.endswith("/") or name.endswith(".py"):
        return  # TorchScript's code is none of Python
    stream = io.BufferedReader(Counted(opened, limit), 1 << 16)
    if keras and name.endswith(".json"):
        _keras(_all(stream), found)
        return
    _stream(stream, name, found, name.endswith(_PICKLES), depth, limit)


def _keras(text: bytes, found: Found) -> None:
    """The description of a Keras model: its parts are looked up by module and name when it is opened."""
    try:
        config = json.loads(text)
    except ValueError as error:
        raise Unreadable(f"the description of the Keras model is no JSON ({error})") from error
    for part in _parts(config):
        name, module = part.get("class_name"), part.get("module")
        if name in ("Lambda", "OpLambda", "__lambda__") or "__lambda__" in part:
            found.warn(_LAMBDA_WORDS)
        if name == "function" and (module != "builtins" or part.get("config") in vars(builtins)):
            name = part.get("config")  # a function by its name; those of Keras are said to be in builtins
        if (
            isinstance(module, str)
            and isinstance(name, str)
            and name != "function"
            and scan_names.is_name(module, name)
        ):
            found.names.add((module, name))


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    waiting = [config]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _layers(text: bytes, found: Found) -> None:
    """HDF5, read as bytes: the description of a Keras model stands there in plain."""
    if _LAMBDA.search(text):
        found.warn(_LAMBDA_WORDS)
    if _DISGUISED.search(text) and b'"class_name"' in text:
        found.warn("a description of layers in which plain letters are disguised")


def _operations(text: bytes, found: Found) -> None:
    """A SavedModel, read as bytes. Python code that its Keras layers may note is not run by TensorFlow's own loader."""
    for operation in _OPS.findall(text):
        found.warn(f"the TensorFlow operation {operation.decode()}")


def _words(stream: IO[bytes], found: Found, look: Callable[[bytes, Found], None]) -> None:
    last = b""
    while piece := stream.read(1 << 20):
        look(last + piece, found)
        last = piece[-4096:]


def _all(stream: IO[bytes], limit: int = 1 << 30) -> bytes:
    content = stream.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(f"an entry of more than {limit:,} bytes; it is not opened")
    return content
