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
    latency_us: NDArray[np.int64] | int


def note(writer: Writer, live: Live, part: Part, stamp: Stamp, shadow: bool = False) -> None:
    """Put a part's rows into the journal's buffer, under the way they went and the arm that answered (or watched)."""
    pick, count = part.index, len(part)
    latency_us = stamp.latency_us
    writer.note(
        live.shadow_streams[part.lane] if shadow else live.streams[part.way, part.choice],
        Noted(
            count,
            stamp.high if pick is None else stamp.high[pick],
            stamp.low if pick is None else stamp.low[pick],
            stamp.at_us,
            latency_us if pick is None or isinstance(latency_us, int) else latency_us[pick],
            part.cpu_ns // max(1, count),
            _key(live, part),
            _why(part),
            part.inputs,
            part.outputs,
            part.decision if part.blocked is None else _unblocked(part),
            part.violations,
            part.propensity,
        ),
    )


def _unblocked(part: Part) -> Column | None:
    """The decisions, without those of blocked rows."""
    if part.decision is None or part.blocked is None:
        return part.decision
    valid = np.ones(len(part), bool) if part.decision.valid is None else part.decision.valid
    return Column(part.decision.values, valid & ~part.blocked)


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
