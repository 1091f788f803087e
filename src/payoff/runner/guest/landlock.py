"""Landlock: which files a process may read, run and write; everything else is shut, for it and all it starts.

landlock(7) and linux/landlock.h; the kernel is asked for its version, and what it does not know yet is left out.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from .kernel import call

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MAKE_FIFO, _MAKE_SYM = 1 << 10, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15  # since 2, 3, 5
_NET_TCP = 0b11  # bind and connect, since 4
_SCOPES = 0b11  # abstract Unix sockets and signals, since 6

READ = _READ_FILE | _READ_DIR
RUN = READ | _EXECUTE
WRITE = (
    READ
    | _WRITE_FILE
    | _TRUNCATE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_FIFO
    | _MAKE_SYM
    | _REFER
)
USE = _READ_FILE | _WRITE_FILE | _TRUNCATE  # a device such as /dev/null
_FOR_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Which Landlock the kernel has; OSError where it has none."""
    return call(_CREATE, 0, 0, _VERSION)


def restrict(rules: Iterable[tuple[str, int]], network: bool) -> int:
    """Shut everything but `rules` (path -> rights), for this thread and what it starts; the kernel's version."""
    known = version()
    handled = (1 << 13) - 1
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        if known >= since:
            handled |= right
    net = 0 if network or known < 4 else _NET_TCP
    ruleset = _Ruleset(handled, net, _SCOPES if known >= 6 else 0)
    size = 8 if known < 4 else 16 if known < 6 else 24
    fd = call(_CREATE, ctypes.byref(ruleset), size, 0)
    try:
        for path, rights in rules:
            _allow(fd, path, rights & handled)
        call(_RESTRICT, fd, 0)
    finally:
        os.close(fd)
    return known


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no right
    try:
        is_folder = os.path.isdir(path)  # noqa: PTH112
        beneath = _Beneath(rights if is_folder else rights & _FOR_FILES, place)
        call(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(place)
