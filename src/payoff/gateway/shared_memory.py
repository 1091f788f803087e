"""Tensors in shared memory: regions that callers on this machine register, and the bytes in them.

A region is a part of a POSIX shared memory object, under a name. Which regions there are stands in files, for the next
connection of a caller may be another worker's. Bytes are read and written with pread(2) and pwrite(2), not by mapping:
an object that its owner shrinks would end a worker that had mapped it, and an input that changes while it is answered
would not be what the journal says it was.
"""

import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from payoff.codecs.checks import shorten
from payoff.codecs.places import Place
from payoff.errors import BadInput, Conflict, NotFound, TooLarge
from payoff.store.files import folder, replace, told

REGIONS_MAX = 256
_NAME_MAX = 200
_FILE_BYTES_MAX = 4_096
_OBJECTS = "/dev/shm/"  # noqa: S108 - where Linux shows them: shm_overview(7)


@dataclass(frozen=True, slots=True)
class Region:
    """`byte_size` bytes of the shared memory object `key`, from `offset` on."""

    name: str
    key: str
    offset: int
    byte_size: int


_region = lru_cache(REGIONS_MAX)(msgspec.json.Decoder(Region).decode)


class Regions:
    """The regions of a home, and tensors of up to `bytes_max` bytes in them.

    `allowed` is False at a door that others than this machine can reach: there, everything is refused.
    """

    def __init__(self, home: Path, *, allowed: bool, bytes_max: int) -> None:
        self._folder = home / "run" / "regions"
        self.allowed = allowed
        self._bytes_max = bytes_max

    def register(self, region: Region) -> None:
        """From now on the region's name stands for it. BadInput where there is no such memory, Conflict where the name
        stands for another region, TooLarge where there are too many."""
        self._check_allowed()
        path = self._path(region.name)
        size = self._size(region.key)
        if region.offset < 0 or region.byte_size < 1 or region.offset + region.byte_size > size:
            raise BadInput(
                f"bytes {region.offset} to {region.offset + region.byte_size} are not in {region.key!r}, which has "
                f"{size:,} bytes; expected an offset from 0 and a byte_size from 1 within them"
            )
        before = self._find(path)
        if before is not None and before != region and self._is_there(before.key):
            raise Conflict(f"region {region.name!r} is part of {before.key!r} already; unregister it first")
        if before is None and len(self._names()) >= REGIONS_MAX:
            raise TooLarge(f"{REGIONS_MAX} regions are registered, which is the limit; unregister some")
        with told(f"registering region {region.name!r}"):
            folder(self._folder)
            replace(Path(path), msgspec.json.encode(region))

    def unregister(self, name: str | None) -> None:
        """The name stands for nothing any more; None for all of them. What is not there is fine."""
        self._check_allowed()
        for one in self._names() if name is None else [name]:
            Path(self._path(one)).unlink(missing_ok=True)

    def registered(self, name: str | None) -> list[Region]:
        """One region, or all of them; NotFound if there is no such one."""
        self._check_allowed()
        if name is not None:
            return [self._get(name)]
        return [found for one in self._names() if (found := self._find(self._path(one))) is not None]

    def read(self, place: Place) -> bytes:
        """The bytes at a place, as they are now."""
        region = self._within(place)
        fd = _open(region.key, os.O_RDONLY)
        try:
            data = os.pread(fd, place.byte_size, region.offset + place.offset)
        finally:
            os.close(fd)
        if len(data) != place.byte_size:
            raise BadInput(f"region {region.name!r}: {region.key!r} has become smaller; it ends before the tensor does")
        return data

    def write(self, place: Place, data: bytes) -> None:
        """Put an answer there; BadInput if there is no room for it."""
        region = self._within(place)
        if len(data) > place.byte_size:
            raise BadInput(
                f"the answer has {len(data):,} bytes; region {region.name!r} was given {place.byte_size:,} for it"
            )
        fd = _open(region.key, os.O_RDWR)
        try:
            start = region.offset + place.offset
            if os.fstat(fd).st_size < start + len(data):  # writing behind the end would make the object larger
                raise BadInput(f"region {region.name!r}: {region.key!r} has become smaller; the answer has no room")
            with told(f"writing an answer into region {region.name!r}"):
                _put(fd, data, start)
        finally:
            os.close(fd)

    def _within(self, place: Place) -> Region:
        self._check_allowed()
        if place.byte_size > self._bytes_max:
            raise TooLarge(
                f"a tensor of {place.byte_size:,} bytes in shared memory; the limit is {self._bytes_max:,}: send fewer "
                "rows at a time, or start payoff with a larger --body-max"
            )
        region = self._get(place.region)
        if place.offset + place.byte_size > region.byte_size:
            raise BadInput(
                f"bytes {place.offset} to {place.offset + place.byte_size} are not in region {region.name!r}; "
                f"it has {region.byte_size:,} bytes"
            )
        return region

    def _check_allowed(self) -> None:
        if not self.allowed:
            raise BadInput(
                "shared memory is for callers on this machine, and this door is open to others; send the data in the "
                "body, or start payoff with --http 127.0.0.1:8000"
            )

    def _get(self, name: str) -> Region:
        found = self._find(self._path(name))
        if found is None:
            names = ", ".join(self._names()[:10]) or "none"
            raise NotFound(f"no region {shorten(name)} is registered; there are: {names}")
        return found

    def _find(self, path: str) -> Region | None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return _region(os.read(fd, _FILE_BYTES_MAX))
        except msgspec.MsgspecError:
            return None
        finally:
            os.close(fd)

    def _names(self) -> list[str]:
        paths = map(str, self._folder.glob("*.json"))
        return sorted(found.name for path in paths if (found := self._find(path)) is not None)

    def _path(self, name: str) -> str:
        if not name or len(name) > _NAME_MAX:
            raise BadInput(f"a region is called {shorten(name)}; expected a name of 1 to {_NAME_MAX} characters")
        return f"{self._folder}/{hashlib.sha256(name.encode()).hexdigest()}.json"

    def _size(self, key: str) -> int:
        fd = _open(key, os.O_RDWR)
        try:
            return os.fstat(fd).st_size
        finally:
            os.close(fd)

    def _is_there(self, key: str) -> bool:
        return os.path.lexists(_OBJECTS + key.removeprefix("/"))


def _open(key: str, how: int) -> int:
    """The object as an open file. Its name is one of POSIX: a slash or none, then no more slashes."""
    name = key.removeprefix("/")
    if not name or "/" in name or "\0" in name or name in (".", "..") or len(name.encode()) > 255:
        raise BadInput(f"key {shorten(key)} is no name of shared memory; expected one like '/inputs', as for shm_open")
    try:
        fd = os.open(_OBJECTS + name, how | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise BadInput(f"shared memory {shorten(key)} cannot be used: {_reason(error)}") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise BadInput(f"{shorten(key)} is no shared memory object")
    return fd


def _put(fd: int, data: bytes, start: int) -> None:
    """All of the data: one pwrite(2) may take only a part."""
    done = 0
    while done < len(data):
        done += os.pwrite(fd, memoryview(data)[done:], start + done)


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "there is none of that name on this machine; make it before it is registered"
    if error.errno == errno.EACCES:
        return "it belongs to another user; run payoff and the caller as the same one"
    return error.strerror or str(error)
