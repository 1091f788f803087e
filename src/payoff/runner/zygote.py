"""Processes that have a framework imported and fork for each model: what makes a cold model answer within a second.

One per environment, set of modules and number of threads; started when a model first needs it, ended when it had no
model for a while, or with payoff's process. A model that cannot be served this way gets a process of its own.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from payoff.errors import ModelFailed
from payoff.records.model import Bounds
from payoff.runner.nursery import nursery
from payoff.runner.process import Direct, Forked
from payoff.runner.variables import variables

IDLE_S = 600.0
_LEARN_BYTES_MAX = 32 << 10


class Zygote:
    """One of them, seen from here."""

    def __init__(
        self, python: Path, preload: Sequence[str], threads: int, read: Sequence[Path], write: Sequence[Path]
    ) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._folder = tempfile.TemporaryDirectory(dir=write[0], prefix="zygote-")
        place = Path(self._folder.name)
        with theirs:
            self._process = Direct(python, place, variables(place, threads, False), theirs, "--zygote")
        setup = {
            "network": False,
            "forks": True,
            "scratch": [str(path.resolve()) for path in (place, *write)],
            "read": ["/proc", *[str(path.resolve()) for path in read]],  # a child narrows it down to itself
            "preload": list(preload),
            "idle_s": IDLE_S,
        }
        self._control.sendall(json.dumps(setup).encode())
        self._known: set[str] = set()

    @property
    def lives(self) -> bool:
        """Whether it can fork."""
        return self._process.status() is None

    def fork(self, scratch: Path, given: Mapping[str, str], theirs: socket.socket, wait_s: float) -> Forked:
        """A process that waits for its setup; OSError if there will be none."""
        log, writes = nursery().listen()
        ours, leash = socket.socketpair()
        message = json.dumps({"variables": dict(given), "folder": str(scratch)}).encode()
        try:
            with leash:
                socket.send_fds(self._control, [message], [theirs.fileno(), writes, leash.fileno()])
            ours.settimeout(wait_s)
            told = ours.recv(8)
            if not told:
                raise OSError("the process that forks is gone")
            return Forked(int.from_bytes(told, "little"), ours, log)
        except TimeoutError as error:  # it may still fork, and read what is meant for another
            ours.close()
            nursery().forget(log)
            raise ModelFailed(f"the model's process could not be started within {wait_s:g} s") from error
        except BaseException:
            ours.close()
            nursery().forget(log)
            raise
        finally:
            os.close(writes)

    def learn(self, modules: Sequence[str]) -> None:
        """A model needed these; the next finds them imported."""
        new = [name for name in modules if name not in self._known]
        message = json.dumps({"learn": new}).encode()
        if new and len(message) <= _LEARN_BYTES_MAX:
            self._known.update(new)
            with suppress(OSError):
                self._control.send(message, socket.MSG_DONTWAIT)

    def close(self) -> None:
        """End it, and with it every process that it forked."""
        self._control.close()
        self._process.end()
        self._folder.cleanup()


class Zygotes:
    """All of one worker. `read`: where models lie; `write`: where scratch folders are made. A model elsewhere starts
    the long way, as one does that may use the network.
    """

    def __init__(self, read: Sequence[Path], write: Sequence[Path]) -> None:
        self._read = [path.resolve() for path in read]
        self._write = [path.resolve() for path in write]
        self._lock = threading.Lock()
        self._there: dict[tuple[Path, tuple[str, ...], int], Zygote] = {}

    def find(
        self, python: Path, preload: tuple[str, ...] | None, bounds: Bounds, read: Sequence[Path], scratch: Path
    ) -> Zygote | None:
        """One for a model that reads and writes there, or None if it must start the long way."""
        fits = _beneath(read, self._read) and _beneath([scratch], self._write)
        if preload is None or bounds.network or not fits or not hasattr(socket, "send_fds"):
            return None
        key = python, preload, bounds.threads
        with self._lock:
            zygote = self._there.get(key)
            if zygote is not None and not zygote.lives:
                zygote.close()
                zygote = None
            if zygote is None:
                try:
                    zygote = Zygote(python, preload, bounds.threads, self._read, self._write)
                except OSError as error:
                    raise ModelFailed(
                        f"the model's process could not be started: {python}: {error.strerror}"
                    ) from error
                self._there[key] = zygote
            return zygote

    def close(self) -> None:
        """End them all."""
        with self._lock:
            there, self._there = self._there, {}
        for zygote in there.values():
            zygote.close()


def _beneath(paths: Sequence[Path], roots: Sequence[Path]) -> bool:
    return all(any(path.resolve().is_relative_to(root) for root in roots) for path in paths)
