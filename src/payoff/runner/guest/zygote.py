"""A process that has imported a framework and forks for each model of it, so that a model is there in milliseconds.

It never opens a model. It stands between walls of its own: no network, no rights, nothing to read but the environment
and the folders of models, nothing to write but the folders of runners. Every child puts up its own, narrower ones
before it opens its model. One message asks for a child: its variables and folder as JSON, with three files: the
socket the child is asked through, the pipe it prints into, and its leash. The leash tells the child's number first and
its exit status last; when payoff lets go of the leash, the child and all its own are ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import Any, Callable

SPAWN_BYTES_MAX = 64 << 10
# What may be imported here because a model of this environment needed it. These survive a fork.
LEARNED = (
    "catboost", "category_encoders", "cloudpickle", "dateutil", "imblearn", "joblib", "lightgbm", "numpy", "pandas",
    "patsy", "pytz", "scipy", "sklearn", "skops", "statsmodels", "threadpoolctl", "xgboost",
)  # fmt: skip


def preload(names: list[str]) -> None:
    """Import what is there of these; what is not costs nothing."""
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            sys.stderr.write(f"{name} is not imported beforehand: {error}\n")
    gc.collect()
    gc.freeze()  # so that no collection in a child touches, and copies, what it shares


class Zygote:
    """The loop: children are asked for, let go, and end."""

    def __init__(self, control: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        self._control = control
        self._serve = serve  # in the child
        self._children: dict[int, socket.socket] = {}
        self._bell, self._ringer = os.pipe()
        os.set_blocking(self._ringer, False)
        os.set_blocking(self._bell, False)
        signal.set_wakeup_fd(self._ringer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def live(self, idle_s: float) -> None:
        """Until payoff lets go, or there was no child for so long."""
        while True:
            ready = self._wait(idle_s)
            if not ready and not self._children:
                return
            with suppress(BlockingIOError):
                os.read(self._bell, 4_096)
            self._let_go(ready)
            self._bury()
            if self._control.fileno() in ready and not self._hear():
                return

    def _wait(self, idle_s: float) -> set[int]:
        poll = select.poll()
        for fd in (self._bell, self._control.fileno(), *[leash.fileno() for leash in self._children.values()]):
            poll.register(fd, select.POLLIN)
        return {fd for fd, _ in poll.poll(idle_s * 1_000)}

    def _hear(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self._control, SPAWN_BYTES_MAX, 3)
        if not message:
            return False
        words = json.loads(message)
        if "learn" in words:
            preload([name for name in words["learn"] if name.partition(".")[0] in LEARNED])
        else:
            self._fork(words, *fds)
        return True

    def _fork(self, words: dict[str, Any], asked: int, log: int, leash_fd: int) -> None:
        me = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be(me, words, asked, log, leash_fd)
        os.close(asked)
        os.close(log)
        leash = socket.socket(fileno=leash_fd)
        self._children[pid] = leash
        with suppress(OSError):
            leash.sendall(pid.to_bytes(8, "little"))

    def _be(self, parent: int, words: dict[str, Any], asked: int, log: int, leash: int) -> None:
        """The child: out of the zygote's files and group, into its own variables and folder."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            die_with = sys.modules["__main__"].die_with
            die_with(parent)
            os.dup2(log, 1)
            os.dup2(log, 2)
            others = [self._bell, self._ringer, self._control.detach(), log, leash]
            for fd in others + [other.detach() for other in self._children.values()]:
                os.close(fd)
            os.environ.clear()
            os.environ.update(words["variables"])
            os.chdir(words["folder"])
            _reseed()
            self._serve(socket.socket(fileno=asked))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def _let_go(self, ready: set[int]) -> None:
        for pid, leash in self._children.items():
            if leash.fileno() in ready:
                _kill(pid)

    def _bury(self) -> None:
        """The group first: its number is safe only until the leader is buried."""
        for pid in list(self._children):
            ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                continue
            _kill(pid)
            os.waitpid(pid, 0)
            status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
            leash = self._children.pop(pid)
            with suppress(OSError):
                leash.sendall(status.to_bytes(8, "little", signed=True))
            leash.close()


def _kill(pid: int) -> None:
    """It and its group, which it makes itself and may not have made yet."""
    for end in (os.kill, os.killpg):
        with suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)


def _reseed() -> None:
    """Two children must not draw the same numbers."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
