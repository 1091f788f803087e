"""System calls by number, for those that the C library does not offer by name."""

import ctypes
import os
import platform
import sys
from typing import Any

ARCH = platform.machine()
LINUX = sys.platform.startswith("linux")

# Numbers as in asm/unistd_64.h and asm-generic/unistd.h.
CAPSET, SECCOMP = {"x86_64": (126, 317), "aarch64": (91, 277)}.get(ARCH, (-1, -1))


def call(number: int, *args: Any) -> int:
    """The system call; OSError as the kernel says it."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    plain = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result: int = libc.syscall(ctypes.c_long(number), *plain)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, value: int) -> None:
    """prctl(2) with one value."""
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
