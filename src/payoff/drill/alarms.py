"""What others have instead of a plug: a fixed threshold on a chart, and a report that somebody reads in the morning.

Both are held against the same decisions as the drill and are taken at their best: the threshold's alarm stops the model
by itself at once, and whoever reads the report does so every day at nine and acts without a meeting.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 500  # outcomes that the chart averages
FALLS_TO = 0.5  # of what it was before: where the threshold is set
DAY_US = 86_400_000_000
NINE_US = 9 * 3_600_000_000

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stream:
    """The losing decisions in order, arrays of shape (n,): when made, when the outcome was known, and what they made.

    `money` is in units against what the guard compares with.
    """

    made_us: Ints
    known_us: Ints
    money: Floats


@dataclass(frozen=True, slots=True)
class Stop:
    """When somebody noticed, how many losing decisions were made by then, and what they had cost, in units."""

    decisions: int
    seconds: float
    lost: float


def stop(stream: Stream, at_us: int) -> Stop:
    """What had happened by a time."""
    made = stream.made_us <= at_us
    lost = float(-stream.money[made].sum())
    return Stop(int(made.sum()), (at_us - int(stream.made_us[0])) / 1e6, lost)


def threshold(before: Floats, stream: Stream) -> Stop | None:
    """The mean of the last WINDOW outcomes falls to half of what it was (below 0 where nothing was before), if ever."""
    was = float(before.mean()) if len(before) else 0.0
    bar = FALLS_TO * was if was > 0 else 2 * was
    order = np.argsort(stream.known_us, kind="stable")
    heard = np.concatenate([before[-WINDOW:], stream.money[order]])
    if len(heard) < WINDOW:
        return None
    walk = np.concatenate([[0.0], np.cumsum(heard)])
    means = (walk[WINDOW:] - walk[:-WINDOW]) / WINDOW
    first = len(before[-WINDOW:]) - WINDOW + 1  # the window that ends with the first losing outcome
    below = np.flatnonzero(means[max(first, 0) :] < bar)
    if not len(below):
        return None
    place = int(below[0]) + max(first, 0) + WINDOW - 1 - len(before[-WINDOW:])
    return stop(stream, int(stream.known_us[order][place]))


def daily(stream: Stream) -> Stop | None:
    """At nine on the morning after the first day whose known outcomes add up to a loss; None if there is none."""
    days = stream.known_us // DAY_US
    for day in np.unique(days):
        if stream.money[days == day].sum() < 0:
            return stop(stream, int(day + 1) * DAY_US + NINE_US)
    return None
