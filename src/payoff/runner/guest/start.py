"""The first file that a model's process runs: `PYTHON -I -S start.py FD PARENT`, with FD the socket to payoff.

payoff is not installed here, and the folder above must not be on the path (its rooms have names of the standard
library), so the package is put together by hand and called `payoff_guest`.

The first that comes through the socket is the length of a JSON text in 4 bytes, and the text: what the walls need to
know. They stand before NumPy is imported. `start.py --walls` puts them up, says which stand, and ends.
"""

import ctypes
import importlib
import importlib.util
import json
import os
import signal
import socket
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with(parent: int) -> None:
    """The kernel ends this process when the one that started it ends; where it does not, the end of the socket does."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def package() -> None:
    """Make the folder of this file the package `payoff_guest`."""
    folder = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not needed yet
    spec = importlib.util.spec_from_file_location(
        "payoff_guest",
        os.path.join(folder, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[folder],
    )
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - the file is there
    sys.modules["payoff_guest"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def setup_of(sock: socket.socket) -> Any:
    """What comes first: how to set this process up."""
    size = int.from_bytes(_exactly(sock, 4), "little")
    return json.loads(_exactly(sock, size))


def _exactly(sock: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = sock.recv(size - len(got))
        if not piece:
            os._exit(0)
        got += piece
    return got


def main() -> None:
    """Serve one model until the socket ends, or fork for many."""
    package()
    walls = importlib.import_module("payoff_guest.walls")
    if sys.argv[1:] == ["--walls"]:
        walls.told()
        return
    fd, parent = map(int, sys.argv[1:3])
    die_with(parent)
    sock = socket.socket(fileno=fd)
    if sys.argv[3:] == ["--zygote"]:
        breed(sock)
    else:
        serve(sock)


def serve(sock: socket.socket) -> None:
    """The walls, then the packages of the environment, then the model."""
    stand = importlib.import_module("payoff_guest.walls").up(setup_of(sock))
    settle()
    importlib.import_module("payoff_guest.serve").main(sock, stand)


def breed(sock: socket.socket) -> None:
    """A zygote; its sockets keep messages apart."""
    setup = json.loads(sock.recv(1 << 20))
    importlib.import_module("payoff_guest.walls").up(setup)
    settle()
    zygote = importlib.import_module("payoff_guest.zygote")
    zygote.preload(["payoff_guest.serve", *setup["preload"]])
    zygote.Zygote(sock, serve).live(setup["idle_s"])


def settle() -> None:
    """Find the environment's packages; some run code when they are found (.pth files), so not before the walls."""
    if "site" not in sys.modules:
        importlib.import_module("site").main()


if __name__ == "__main__":
    main()
