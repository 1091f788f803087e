"""The walls around a model's process, put up before any code of the model or its framework runs.

Each is put up as far as the machine can; one that cannot be is reported with the reason, and the others still hold.
Nothing here imports NumPy: a thread that a library starts first would stay outside some of the walls.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from . import landlock, seccomp
from .kernel import CAPSET, LINUX, call, prctl

_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_FILE_BYTES_MAX = 16 << 30
_FILES_MAX = 4_096
_OUT_OF_MEMORY_FIRST = "600"

_RUN = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
_READ = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/version", "/proc/uptime",
    "/proc/loadavg", "/proc/sys/kernel", "/proc/sys/vm", "/sys/devices/system", "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage", "/sys/kernel/mm/hugepages",
    *("/etc/" + name for name in (
        "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "timezone", "fonts", "mime.types", "magic",
        "nsswitch.conf", "passwd", "group", "os-release", "alternatives", "locale.alias", "locale.conf", "host.conf",
        "hosts", "gai.conf", "services", "protocols", "resolv.conf", "ssl/certs", "ssl/openssl.cnf", "ssl/cert.pem",
        "pki/tls/certs", "pki/ca-trust/extracted", "pki/tls/openssl.cnf", "ca-certificates", "R", "OpenCL",
    )),
)  # fmt: skip
_RESOLVED = ("/run/systemd/resolve", "/run/resolvconf")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def up(setup: dict[str, Any]) -> dict[str, str]:
    """Put them up: which there are, each with why it does not stand, or "" if it does.

    `setup`: memory_bytes_max, network, scratch (a list of folders that may be written), read (what else may be read),
    forks (a zygote: its children make groups of their own, and have limits of their own).
    """
    network, forks = bool(setup["network"]), bool(setup.get("forks"))
    _first_to_go()
    walls: dict[str, Callable[[], object]] = {
        "memory": lambda: None if forks else _memory(int(setup["memory_bytes_max"])),
        "limits": lambda: None if forks else _limits(),
        "privileges": _no_privileges,
        "files": lambda: landlock.restrict(_rules(setup["scratch"], setup["read"], network), network),
        "signals": _signals,
        "system calls": lambda: seccomp.restrict(network, forks),
    }
    return {name: _try(wall) for name, wall in walls.items()}


def _try(wall: Callable[[], object]) -> str:
    if not LINUX:
        return "only Linux has it"
    try:
        wall()
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _memory(limit: int) -> None:
    """What the process writes to and shares with nobody: the heap, arrays, the stacks of threads."""
    import resource

    _at_most(resource.RLIMIT_DATA, limit)


def _first_to_go() -> None:
    """Where the machine has no memory left, the kernel ends this before payoff; a zygote's children have it from it."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write(_OUT_OF_MEMORY_FIRST)


def _limits() -> None:
    """No memory image on disk, no endless file, and half of the processes and threads that the user may have."""
    import resource

    _at_most(resource.RLIMIT_CORE, 0)
    _at_most(resource.RLIMIT_FSIZE, _FILE_BYTES_MAX)
    _at_most(resource.RLIMIT_NOFILE, _FILES_MAX)
    now, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if now > 0:
        _at_most(resource.RLIMIT_NPROC, now // 2)


def _at_most(what: int, limit: int) -> None:
    import resource

    _, most = resource.getrlimit(what)
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    resource.setrlimit(what, (limit, limit))


def _no_privileges() -> None:
    """No program gives this process more rights than it has, and it has none, even as root."""
    prctl(_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    call(CAPSET, ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _rules(scratch: list[str], read: list[str], network: bool) -> list[tuple[str, int]]:
    """Its environment and the system's libraries, what it was given, and one folder to write to."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    named = [os.environ.get("JAVA_HOME", ""), *os.environ.get("LD_LIBRARY_PATH", "").split(":")]
    libraries = [path for path in named if path]
    # Before `site` is run, a virtual environment is known only by where its interpreter is.
    place = os.path.dirname(os.path.dirname(os.path.abspath(sys.executable)))  # noqa: PTH100, PTH120
    environment = [place] if os.path.exists(os.path.join(place, "pyvenv.cfg")) else []  # noqa: PTH110, PTH118
    run = [*_RUN, *environment, sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix, *libraries]
    reads = [*_READ, "/proc/self", here, *read, *(_RESOLVED if network else ())]
    rules = [(path, landlock.RUN) for path in dict.fromkeys(run)]
    rules += [(path, landlock.READ) for path in dict.fromkeys(reads)]
    rules += [(path, landlock.USE) for path in _DEVICES]
    return [*rules, *((path, landlock.WRITE) for path in scratch)]


def _signals() -> None:
    """Landlock keeps signals inside from its version 6 on."""
    if landlock.version() < 6:
        raise OSError("this kernel's Landlock does not keep signals inside; Linux 6.12 does")


def told() -> None:
    """Put up all walls around this process and print which stand: what `payoff doctor` shows."""
    folder = os.getcwd()  # noqa: PTH109
    setup = {"memory_bytes_max": 1 << 30, "network": False, "scratch": [folder], "read": []}
    sys.stdout.write(json.dumps(up(setup)))
