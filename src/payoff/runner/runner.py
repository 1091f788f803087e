"""One model in a process of its own: started, described, asked, ended."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from payoff.errors import ModelFailed
from payoff.records.columns import Column, Columns, length
from payoff.records.model import Bounds
from payoff.records.signature import Field
from payoff.runner import kinds
from payoff.runner.guest import frames
from payoff.runner.process import Direct, Process, cpu_ns, end_in_words, held_bytes, rss_bytes
from payoff.runner.variables import setup, variables
from payoff.runner.watch import WATCH
from payoff.runner.wire import Hear, Wire
from payoff.runner.zygote import Zygote, Zygotes

Heard = TypeVar("Heard")


class WantedMemory(ModelFailed):
    """The model was refused memory past its limit; its process lives."""


class Ended(ModelFailed):
    """The process of the model is gone, and with it every question that it had not answered."""


class Runner:
    """A model's process, loaded and ready. Not for several threads at once."""

    def __init__(self, process: Process, wire: Wire, bounds: Bounds) -> None:
        self._process = process
        self.wire = wire
        self._bounds = bounds
        self._cpu_ns = 0
        self._ending = threading.Lock()
        self.ended = ""  # why, once it has
        self._condemned = ""  # why somebody else ends it
        self.walls: dict[str, str] = {}  # which there are, each with why it does not stand, or "" if it does
        WATCH.add(self)

    @classmethod
    def start(
        cls,
        python: Path,
        kind: str,
        artefact: Path,
        options: Mapping[str, Any],
        bounds: Bounds,
        scratch: Path,
        *,
        kinds_path: Path | None = None,
        zygotes: Zygotes | None = None,
    ) -> Runner:
        """A process with the model in it; ModelFailed says why there is none.

        `scratch` is the one folder that it may write to; `kinds_path` a folder with further kinds; `zygotes` start it
        faster where they can.
        """
        file = kinds.find(kind, kinds_path)
        scratch.mkdir(parents=True, exist_ok=True)
        read = [artefact] if kinds.is_own(file) else [artefact, file.parent]
        zygote = None if zygotes is None else zygotes.find(python, kinds.preload(file), bounds, read, scratch)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _process(python, zygote, bounds, scratch, theirs)
            except OSError as error:
                ours.close()
                raise ModelFailed(f"the model's process could not be started: {python}: {error.strerror}") from error
        runner = cls(process, Wire(ours, bounds.memory_bytes_max), bounds)
        imported = runner._load(setup(bounds, scratch, read), kind, file, artefact, options)
        if zygote is not None:
            zygote.learn(imported)
        return runner

    def _load(self, setup: bytes, kind: str, file: Path, artefact: Path, options: Mapping[str, Any]) -> list[str]:
        own = kinds.is_own(file)
        words = {"kind": kind, "file": "" if own else str(file), "path": str(artefact), "options": dict(options)}
        try:
            asked = [setup, *frames.say(frames.LOAD, words)]
            trouble = "the model could not be loaded"
            said = self._exchange(asked, self._bounds.load_s_max, lambda frame: self._words(frame, trouble))
        except BaseException:
            self.close()
            raise
        said = said if isinstance(said, dict) else {}
        walls, imported = said.get("walls"), said.get("imported")
        self.walls = walls if isinstance(walls, dict) else {}
        return [name for name in imported if isinstance(name, str)] if isinstance(imported, list) else []

    def describe(self) -> dict[str, Any]:
        """What the model takes and is, as its kind tells it."""
        described = self._say(frames.DESCRIBE, {}, self._bounds.load_s_max, "the model could not be described")
        if not isinstance(described, dict):
            raise ModelFailed(f"the model's kind described it with {described!r:.100}; a dict was expected")
        return described

    def ask(self, columns: Columns) -> dict[str, Column]:
        """The model's answer to these rows. ModelFailed; if it is Ended, this runner answers no more."""
        rows = length(columns)
        question = self.question(columns)
        return self._exchange(question, self._bounds.call_s_max, lambda frame: self.answer(frame, rows))

    def to_onnx(self, target: Path, fields: Sequence[Field], rows: Columns) -> list[str]:
        """Have the model written as ONNX to `target`, a file in the scratch folder; says in words how it was done."""
        described = [
            {"name": field.name, "type": field.type.value, "shape": list(field.shape), "nullable": field.nullable}
            for field in fields
        ]
        words = {"target": str(target), "fields": described}
        said = self._say(frames.TO_ONNX, words, self._bounds.load_s_max, "the model could not be converted", rows)
        return [str(word) for word in said] if isinstance(said, list) else [str(said)]

    def close(self) -> None:
        """End the process and all it started."""
        self._end(lambda status: "it was closed")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def rss_bytes(self) -> int:
        """Memory that the process has in use now."""
        return 0 if self.ended else rss_bytes(self.pid)

    @property
    def held_bytes(self) -> int:
        """What of its limit the process has taken, in use or not."""
        return 0 if self.ended else held_bytes(self.pid)

    @property
    def cpu_ns(self) -> int:
        """Computing time that the process has used so far."""
        if not self.ended:
            self._cpu_ns = max(self._cpu_ns, cpu_ns(self.pid))
        return self._cpu_ns

    # -- for an event loop, which must not wait

    def begin(self, question: Sequence[frames.Piece], hear: Hear) -> None:
        """Ask without waiting; `hear` gets the reply, for `answer`, or what went wrong, for `lost`."""
        self.wire.begin(question, self._bounds.call_s_max, hear)

    @staticmethod
    def question(columns: Columns) -> list[frames.Piece]:
        """Columns as a frame."""
        return frames.pack(frames.ASK, {name: (column.values, column.valid) for name, column in columns.items()})

    def answer(self, frame: frames.Frame, rows: int) -> dict[str, Column]:
        """A reply as columns; the process is not believed that they fit. frames.Garbled: it cannot be read."""
        if frame.verb != frames.DONE:
            raise self._failure(frame, "the model failed")
        try:
            columns = {name: Column(*pair) for name, pair in frames.unpack(frame).items()}
        except (ValueError, TypeError) as error:
            raise frames.Garbled(str(error)) from error
        if not columns or frame.rows != rows:
            got = f"answered {frame.rows:,}" if columns else "answered no column"
            raise ModelFailed(f"the model was asked {rows:,} rows and {got}")
        _whole(columns)
        return columns

    def lost(self, error: Exception, seconds: float | None = None) -> Ended:
        """End the process after an exchange that failed; why, in words. Waits until all of it is gone."""
        if self._condemned:
            return Ended(self._end(lambda status: self._condemned))
        if isinstance(error, TimeoutError):
            seconds = self._bounds.call_s_max if seconds is None else seconds
            limit = "--call-timeout" if seconds == self._bounds.call_s_max else "--load-timeout"
            return Ended(
                self._end(lambda status: f"it was not done after {seconds:g} s, the most it may take ({limit})")
            )
        if isinstance(error, frames.Garbled):
            return Ended(self._end(lambda status: f"what it answered cannot be read ({error})"))
        return Ended(self._end(lambda status: end_in_words(status, self._process.log)))

    @property
    def memory_bytes_max(self) -> int:
        """What the process and its children may hold."""
        return self._bounds.memory_bytes_max

    def condemn(self, why: str) -> None:
        """End the process from another thread; whoever waits for its answer hears why."""
        self._condemned = why
        if not self.gone:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)

    @property
    def gone(self) -> bool:
        """Whether the process has ended by itself."""
        return bool(self.ended) or self.wire.gone or self._process.status() is not None

    # -- one exchange

    def _say(self, verb: int, words: Any, seconds: float, trouble: str, rows: Columns | None = None) -> Any:
        columns = None if rows is None else {name: (column.values, column.valid) for name, column in rows.items()}
        return self._exchange(frames.say(verb, words, columns), seconds, lambda frame: self._words(frame, trouble))

    def _words(self, frame: frames.Frame, trouble: str) -> Any:
        if frame.verb != frames.DONE:
            raise self._failure(frame, trouble)
        return frames.read_json(frame.head)

    def _exchange(self, pieces: Sequence[frames.Piece], seconds: float, read: Callable[[frames.Frame], Heard]) -> Heard:
        if self.ended:
            raise Ended(f"the model's process has ended: {self.ended}")
        try:
            return read(self.wire.ask(pieces, seconds))
        except (TimeoutError, EOFError, frames.Garbled) as error:
            raise self.lost(error, seconds) from error
        except ModelFailed:
            raise
        except BaseException:  # interrupted half-way: the next reply would be this one's
            self.close()
            raise

    def _failure(self, frame: frames.Frame, trouble: str) -> ModelFailed:
        words = frames.read_json(frame.head)
        if not isinstance(words, dict) or not {"type", "message"} <= words.keys():
            raise frames.Garbled("an error without words")
        kind, message = (str(words[one]).encode("utf-8", "replace").decode() for one in ("type", "message"))
        if kind == "MemoryError":
            limit = self._bounds.memory_bytes_max / 2**30
            return WantedMemory(f"{trouble}: it wanted more memory than it may use ({limit:.3g} GiB)")
        return ModelFailed(f"{trouble}: {message}" if kind == "ValueError" else f"{trouble}: {kind}: {message}")

    def _end(self, why: Callable[[int], str]) -> str:
        with self._ending:
            if not self.ended:
                self._cpu_ns = self.cpu_ns
                self.ended = why(self._process.end())
                self.wire.close()
        return f"the model's process ended: {self.ended}"


def _whole(columns: Columns) -> None:
    """ModelFailed for text that cannot be written down: no journal and no JSON holds half a character."""
    for name, column in columns.items():
        try:
            name.encode()
            if column.values.dtype == object:
                "".join(column.values.ravel().tolist()).encode()
        except UnicodeEncodeError as error:
            raise ModelFailed(f"the model answered half a character (a lone surrogate) in {name!r}") from error


def _process(python: Path, zygote: Zygote | None, bounds: Bounds, scratch: Path, theirs: socket.socket) -> Process:
    """From the zygote if there is one that works."""
    given = variables(scratch, bounds.threads, bounds.network)
    if zygote is not None:
        with suppress(OSError):
            return zygote.fork(scratch, given, theirs, bounds.load_s_max)  # ModelFailed if it hangs
    return Direct(python, scratch, given, theirs)
