"""A kind for tests: it does what the text in its rows says, as a model would that is broken or ill-meant."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

KEPT: list[Any] = []


def do(what: str, rest: str) -> str:
    """One deed; what it has to tell."""
    if what == "hang":
        time.sleep(1_000)
    if what == "slow":
        time.sleep(float(rest))
    if what == "await":
        while not Path(rest).exists():
            time.sleep(0.01)
    if what == "exit":
        print("goodbye", flush=True)  # noqa: T201
        os._exit(int(rest))
    if what == "sys.exit":
        sys.exit(int(rest))
    if what == "segfault":
        ctypes.string_at(0)
    if what == "raise":
        raise KeyError(rest)
    if what == "refuse":
        raise ValueError(rest)
    if what == "print":
        for _ in range(int(rest)):
            print("x" * 99)  # noqa: T201
        os.write(1, b"from below\n")
    if what == "expose":
        os.chmod(rest, 0o777)  # noqa: PTH101
        os.utime(rest, (1, 1))
    if what == "starve":
        os.setpriority(os.PRIO_PROCESS, int(rest), 19)
        os.setpriority(os.PRIO_USER, 0, 19)
        os.sched_setscheduler(int(rest), os.SCHED_IDLE, os.sched_param(0))
        os.sched_setaffinity(int(rest), {min(os.sched_getaffinity(0))})
    if what == "want":
        KEPT.append(np.ones(int(rest) // 8))
    if what == "leak":
        KEPT.append(os.urandom(1 << 20) * (int(rest) >> 20))
    if what == "share":
        import mmap

        shared = mmap.mmap(-1, int(rest))
        while shared.tell() < int(rest):
            shared.write(b"x" * (1 << 20))
        KEPT.append(shared)
    if what == "hoard":
        do("share", rest)
        time.sleep(1_000)
    if what == "brood":
        for _ in range(3):
            if os.fork() == 0:
                do("want", rest)
                time.sleep(1_000)
        time.sleep(1_000)
    if what == "fork":
        pid = os.fork()
        if pid == 0:
            time.sleep(1_000)
        return str(pid)
    if what == "daemon":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"], start_new_session=True)
        return str(child.pid)
    if what == "spawn":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        return str(child.pid)
    if what == "read":
        return Path(rest).read_text(errors="replace")[:1_000]
    if what == "list":
        return " ".join(path.name for path in Path(rest).iterdir())
    if what == "write":
        Path(rest).write_text("it was here")
    if what == "remove":
        Path(rest).unlink()
    if what == "connect":
        with socket.create_connection(("127.0.0.1", int(rest)), timeout=60) as made:
            return made.recv(100).decode()
    if what == "unix":
        socket.socket(socket.AF_UNIX).connect(rest)
    if what == "kill":
        os.kill(int(rest), 0)
    if what == "ptrace":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.ptrace(16, int(rest), None, None):
            raise OSError(ctypes.get_errno(), "ptrace")
    if what == "unshare":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x10000000):
            raise OSError(ctypes.get_errno(), "unshare")
    if what == "environ":
        return " ".join(f"{name}={value}" for name, value in os.environ.items())
    if what == "limits":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (1 << 60, 1 << 60))
    if what == "pid":
        return str(os.getpid())
    if what == "fds":
        return " ".join(path.name for path in Path("/proc/self/fd").iterdir())
    return "done"


class Wild:
    """Answers one text per row."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options

    def describe(self) -> dict[str, Any]:
        """Nothing is known before the sample."""
        return {"inputs": None, "named": True, "kind": "", "takes": None, "notes": [], "estimator": "Wild"}

    def ask(self, columns: dict[str, Any]) -> Any:
        """What happened, row by row."""
        values = columns["do"][0]
        what = str(values[0]).partition(" ")
        if what[0] == "answer":
            return eval(what[2], {"np": np})
        if what[0] == "say":  # past the loop, straight into the socket
            sock = next(fd for fd in range(3, 4_096) if _is_socket(fd))
            os.write(sock, bytes.fromhex(what[2]))
            time.sleep(1_000)
        told = [do(*str(value).partition(" ")[::2]) for value in values]
        return {"told": (np.array(told, object), None)}


def _is_socket(fd: int) -> bool:
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink()).startswith("socket:")
    except OSError:
        return False


def load(path: str, options: dict[str, Any]) -> Wild:
    """Loads as the options say."""
    if "load" in options:
        do(*options["load"].partition(" ")[::2])
    return Wild(options)
