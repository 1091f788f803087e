"""From answered rows to the journal."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from payoff.journal.frame import Noted
from payoff.journal.writer import Writer
from payoff.records import Column
from payoff.serving.live import Live
from payoff.serving.part import Part


@dataclass(slots=True)
class Stamp:
    """Identity and time of every row of a batch."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    at_us: int
    latency_us: NDArray[np.int64]


def note(writer: Writer, live: Live, part: Part, stamp: Stamp, shadow: bool = False) -> None:
    """Put a part's rows into the journal's buffer, under the way they went and the arm that answered (or watched)."""
    pick = slice(None) if part.index is None else part.index
    count = len(part)
    stream = live.shadow_streams[part.lane] if shadow else live.streams[part.way, part.choice]
    decision = part.decision
    if decision is not None and part.blocked is not None and part.blocked.any():
        valid = np.ones(count, bool) if decision.valid is None else decision.valid
        decision = Column(decision.values, valid & ~part.blocked)
    writer.note(
        stream,
        Noted(
            n=count,
            id_hi=stamp.high[pick],
            id_lo=stamp.low[pick],
            at_us=np.full(count, stamp.at_us, np.int64),
            key=_key(live, part),
            why=_why(part),
            inputs=part.inputs,
            outputs=part.outputs,
            decision=decision,
            violations=part.violations,
            latency_us=stamp.latency_us[pick],
            cpu_ns=np.full(count, part.cpu_ns // max(1, count), np.int64),
            propensity=part.propensity,
        ),
    )


def _why(part: Part) -> list[str] | str:
    if part.blocked is None or not part.blocked.any():
        return part.why
    return ["blocked by a rule" if blocked else part.why for blocked in part.blocked]


def _key(live: Live, part: Part) -> Column | None:
    name = live.revision.policy.route_by
    if name is None:
        return None
    column = part.inputs[name]
    if column.values.dtype == object:
        return column
    return Column(np.array([str(value) for value in column.values.tolist()], object), column.valid)
