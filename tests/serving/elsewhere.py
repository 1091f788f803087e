"""A flavor for tests whose models compute "elsewhere": a call of one takes its time and the event loop goes on.

The artefact is JSON and says how the model behaves. `y` is `x` times the factor.
"""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from payoff.errors import ModelFailed
from payoff.flavors import Loaded, Surroundings
from payoff.records import Column, Columns, Served, length
from tests.shared import until


class Behaviour(msgspec.Struct):
    """What a model does when it is loaded and asked."""

    factor: float = 2.0
    call_s: float = 0.002
    batches_max: int = 1
    poison: float | None = None  # a batch with this x ends it
    crashes_max: int = 3  # in a row, then it is out
    short: bool = False  # it answers a row too few
    here: bool = False  # it computes on the event loop after all
    cpu_ns: int = 1_000_000  # that a call says it took
    gate: str | None = None  # a file that must be there before a call ends
    load_gate: str | None = None  # and one before it is loaded
    refuses: str | None = None  # a file: while it is there, the model cannot be loaded


class Model:
    """One that is loaded. Tests look at what happened to it."""

    def __init__(self, how: Behaviour) -> None:
        self.how = how
        self.batches: list[int] = []
        self.busy = self.busiest = self.crashes = 0
        self.closed = False
        self.spent_ns = 0

    async def ask(self, columns: Columns) -> dict[str, Column]:
        assert not self.closed, "asked after it was closed"
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            await asyncio.sleep(self.how.call_s)
            while self.how.gate is not None and not Path(self.how.gate).exists():
                await asyncio.sleep(0.001)
            self.batches.append(length(columns))
            return self.run(columns)
        finally:
            self.busy -= 1

    def run(self, columns: Columns) -> dict[str, Column]:
        x = columns["x"].values
        if self.how.poison is not None and (x == self.how.poison).any():
            self.crashes += 1
            raise ModelFailed("its process ended")
        self.crashes = 0
        self.spent_ns += self.how.cpu_ns
        return {"y": Column((x * np.float32(self.how.factor))[: len(x) - self.how.short])}

    def close(self) -> None:
        assert not self.busy, "closed while it was asked"
        self.closed = True

    def is_out(self) -> str:
        return "it crashed three times in a row" if self.crashes >= self.how.crashes_max else ""


MADE: dict[str, list[Model]] = {}  # by digest: every time it was loaded


class Elsewhere:
    """The flavor."""

    name = "elsewhere"
    takes = ""

    def load(self, served: Served, around: Surroundings) -> Loaded:
        how = msgspec.json.decode(around.artefact(served).read_bytes(), type=Behaviour)
        if (gate := how.load_gate) is not None:
            until(Path(gate).exists, "the gate of a load is open")
        if how.refuses is not None and Path(how.refuses).exists():
            raise ModelFailed("there is no room for it")
        model = Model(how)
        MADE.setdefault(served.digest, []).append(model)
        ask = None if how.here else model.ask
        return Loaded(model.run, ask, model.close, how.batches_max, model.is_out, lambda: model.spent_ns)


FLAVOR: Any = Elsewhere()
