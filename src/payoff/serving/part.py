"""Rows on their way: a piece of a batch that goes one way, and a part that was answered there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.records import Column, length, take
from payoff.routing import FALLBACK
from payoff.serving.cache import Found
from payoff.serving.fit import constant
from payoff.serving.live import Live

Rows = dict[str, Column]


@dataclass(slots=True)
class Piece:
    """Rows of a batch that go one way of the split. `index` as in Part."""

    way: int
    lane: int
    why: str
    index: NDArray[np.intp] | None
    inputs: Rows
    known: Rows | None = None  # what a model answered to equal rows a moment ago: nobody is asked again
    missed: Found | None = None  # what a cache knew of these rows and others; what is answered to these, it keeps

    def pick(self, rows: NDArray[np.intp]) -> "Piece":
        """Some of its rows."""
        index = rows if self.index is None else self.index[rows]
        return Piece(self.way, self.lane, self.why, index, take(self.inputs, rows))


@dataclass(slots=True)
class Part:
    """Rows that one lane answered. `index` gives their places in the batch; None: all of it, in order."""

    lane: int
    index: NDArray[np.intp] | None
    inputs: Rows
    outputs: Rows
    decision: Column | None
    why: str
    violations: list[list[str]] | None  # per row, the rules it broke; None: nobody broke any
    blocked: NDArray[np.bool_] | None = None
    cpu_ns: int = 0  # of the whole part
    way: int = 0  # the piece of the split its rows fell in; means nothing for those that only watch
    choice: str = ""  # how they came to this lane, as the journal has it
    propensity: NDArray[np.float64] | None = None  # per row, the chance of its decision; None: it was certain
    cached: bool = False  # whether its outputs were known, and no model was asked

    def __len__(self) -> int:
        return length(self.inputs)

    def pick(self, rows: NDArray[np.intp]) -> "Part":
        """Some of the rows, with what they cost left to be booked."""
        return Part(
            lane=self.lane,
            index=rows if self.index is None else self.index[rows],
            inputs=take(self.inputs, rows),
            outputs=take(self.outputs, rows),
            decision=None if self.decision is None else self.decision.take(rows),
            why=self.why,
            violations=None if self.violations is None else [self.violations[row] for row in rows],
            blocked=None if self.blocked is None else self.blocked[rows],
            way=self.way,
            choice=self.choice,
            propensity=None if self.propensity is None else self.propensity[rows],
            cached=self.cached,
        )


def fall_back(live: Live, rows: Piece | Part, why: str, choice: str) -> Part:
    """The endpoint's constants, in place of a model."""
    count = length(rows.inputs)
    outputs = {
        field.name: constant(live.fallback_outputs.get(field.name), field.type, count, field.shape)
        for field in live.outputs
    }
    decision = constant(live.fallback_decision, live.decision_type, count) if live.decision_type else None
    return Part(FALLBACK, rows.index, rows.inputs, outputs, decision, why, None, way=rows.way, choice=choice)
