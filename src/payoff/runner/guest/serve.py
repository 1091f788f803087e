"""The loop in a model's own process: load it, then answer what payoff asks, one thing after the other.

What a kind's `load(path, options)` returns has

    describe() -> dict                       # inputs, named, kind, takes, notes, estimator
    ask(columns) -> dict                     # name -> (values, valid or None); columns come in the same form
    to_onnx(target, fields, rows) -> list    # optional: writes an ONNX file, tells in words how

and raises ValueError, in plain words, for a model or rows it cannot take.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import socket
import sys
import traceback
from typing import Any

from . import frames
from .answers import tidy

_TOLD_MAX = 2_000


def main(sock: socket.socket, walls: dict[str, str]) -> None:
    """Serve the socket until payoff lets go of it; `walls` is told with the first reply."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=sock.close)  # payoff must hear of the end of this process, not of a child's
    Guest(sock, walls).serve()


class Guest:
    """One model and the socket it is asked through."""

    def __init__(self, sock: socket.socket, walls: dict[str, str]) -> None:
        self._sock = sock
        self._walls = walls
        self._incoming = frames.Incoming()
        self._model: Any = None

    def serve(self) -> None:
        """Until asked to stop, or until the other side is gone."""
        while True:
            try:
                frame = frames.receive(self._sock, self._incoming)
                if frame.verb == frames.STOP:
                    return
                reply = self._reply(frame)
                del frame
                frames.send(self._sock, reply)
                del reply
            except (EOFError, ConnectionError):
                return

    def _reply(self, frame: frames.Frame) -> list[frames.Piece]:
        try:
            if frame.verb == frames.ASK:
                return self._ask(frame)
            words = frames.read_json(frame.head)
            if frame.verb == frames.LOAD:
                return self._load(words)
            if frame.verb == frames.DESCRIBE:
                return frames.say(frames.DONE, self._model.describe())
            return self._to_onnx(words, frame)
        except BaseException as error:  # also a model that calls sys.exit(): it costs that call
            return failed(error)

    def _ask(self, frame: frames.Frame) -> list[frames.Piece]:
        return frames.pack(frames.DONE, tidy(self._model.ask(frames.unpack(frame)), frame.rows))

    def _load(self, words: dict[str, Any]) -> list[frames.Piece]:
        before = set(sys.modules)
        kind = kind_of(words["kind"], words["file"])
        self._model = kind.load(words["path"], words["options"])
        imported = [name for name in sys.modules if name not in before][:_TOLD_MAX]
        gc.collect()
        gc.freeze()  # what a model is made of stays: no need to look through it at every collection
        return frames.say(frames.DONE, {"walls": self._walls, "imported": imported})

    def _to_onnx(self, words: dict[str, Any], frame: frames.Frame) -> list[frames.Piece]:
        if not hasattr(self._model, "to_onnx"):
            return frames.say(frames.FAILED, {"type": "ValueError", "message": "this kind of model has no way to ONNX"})
        rows = frames.unpack(frame, frames.read_layout(words["columns"]))
        return frames.say(frames.DONE, list(self._model.to_onnx(words["target"], words["fields"], rows)))


def kind_of(name: str, file: str) -> Any:
    """The module of a kind: ours by name, a stranger's from its file."""
    if not file:
        return importlib.import_module(f"payoff_guest.kinds.{name}")
    full = f"payoff_guest.kinds.{name}"
    spec = importlib.util.spec_from_file_location(full, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    sys.modules[full] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def failed(error: BaseException) -> list[frames.Piece]:
    """The error as a reply; where in the code it was raised goes to the log."""
    if not isinstance(error, ValueError):
        traceback.print_exception(type(error), error, error.__traceback__)
    return frames.say(frames.FAILED, {"type": type(error).__name__, "message": str(error)[:4_000]})
