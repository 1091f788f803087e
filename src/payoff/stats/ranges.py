"""An interval for a mean when nobody stated any bounds: its range is learned, from earlier amounts only.

Rows are taken in blocks of BLOCK, and the mean of a block is bet on as one amount (stats/bounded, stats/blocks):
neighbours may depend on each other, and means of blocks are less skewed. In the manner of the learned cap
(stats/caps), the range of the next block reaches up from the mean of all blocks so far by the larger of

- FACTOR times the way from there to the highest block so far, and
- RATIO times the mean way down so far, divided by (1 + blocks above the mean / PATIENCE) squared: as long as few high
  blocks have been seen, one many times higher may still come; the more have been seen, the less likely;

and down likewise. The first BURN_IN blocks, and all until two blocks differ, only teach: there is no interval.

What is guaranteed: the range never looks ahead, so the interval covers the mean of the clipped blocks at every look,
but for a chance of at most `error`, if every block has the same mean given the past. What is only measured: how often
it misses the mean of the raw amounts. `benchmarks/verdicts.py` has the table: within 0.1 % at a nominal 1 % and within
1.5 % at a nominal 5 %, over 3,000 rows, for normal, lognormal (sigma 1 and 2, gains and losses), Student t (2.1),
Pareto (1.5), contaminated, two-point (1 in 30 to 1 in 300) and autocorrelated amounts (0.5, and good and bad times of
10 or 50 rows). The price: beside the asymptotic interval, which misses up to 9 of 10 of those means, it is seven times
as wide at 300 rows, three times at 1,000 and less than twice at 3,000.

What no rule can do: an amount rarer and larger than anything seen so far leaves no trace before it comes. Where usual
small amounts are mixed with one in 100 that is 80 times larger, it misses in 2 % at a nominal 1 %, in 4 % at 5 %; good
and bad times much longer than a block are taken for the mean while they last. For such a stream state the bounds.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from payoff.stats.blocks import Open, blocks
from payoff.stats.bounded import Bernstein, bernstein, refuse_unknown
from payoff.stats.intervals import Interval

BLOCK = 10
FACTOR = 2.0
RATIO = 30.0
PATIENCE = 10.0
BURN_IN = 10  # blocks

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Range:
    """What earlier blocks showed, and the one that is not full yet.

    It only grows; two of them do not merge: the order matters. `ups` and `downs` count blocks above and below the mean
    of those before them, `up_sum` and `down_sum` how far they were from it.
    """

    open: Open = field(default_factory=Open)
    n: int = 0
    total: float = 0.0
    ups: int = 0
    downs: int = 0
    up_sum: float = 0.0
    down_sum: float = 0.0
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class Learned:
    """A stream without stated bounds: its range and its sums. The sums of disjoint streams of one mean add up."""

    range: Range = field(default_factory=Range)
    sums: Bernstein = field(default_factory=Bernstein)

    def interval(self, error: float = 0.05) -> Interval | None:
        """Where the mean lies, at any look; None while no range is known."""
        return self.sums.interval(error)


def learn(state: Learned, x: Floats) -> Learned:
    """The state after rows `x`, shape (n,), in order and in any unit; see `ranges`."""
    seen, means, low, high = ranges(state.range, x)
    return Learned(seen, bernstein(state.sums, means, low, high))


def ranges(seen: Range, x: Floats) -> tuple[Range, Floats, Floats, Floats]:
    """What has been seen after `x`, shape (n,); the means of the blocks that it filled, and the range of each.

    The three have shape (blocks,); low is -inf and high inf where the range is not known. BadInput for amounts that are
    not finite numbers.
    """
    refuse_unknown(x)
    open, means = blocks(seen.open, x, BLOCK)
    if not len(means):
        return replace(seen, open=open), means, means, means
    walked = _walk(seen, means)
    low, high = _reach(walked)
    n, total, ups, downs, *others = walked[:, -1].tolist()
    return Range(open, int(n), total, int(ups), int(downs), *others), means, low[:-1], high[:-1]


def _walk(seen: Range, means: Floats) -> Floats:
    """The fields of `seen` from n to high, before all blocks and after each: shape (8, blocks + 1)."""
    n = np.arange(seen.n, seen.n + len(means) + 1)
    total = seen.total + np.append(0.0, np.cumsum(means))
    way = means - np.where(n > 0, total / np.maximum(n, 1), means[0])[:-1]
    steps = np.stack([way > 0, way < 0, np.maximum(way, 0), np.maximum(-way, 0)]).astype(np.float64)
    start = np.array([[seen.ups], [seen.downs], [seen.up_sum], [seen.down_sum]])
    sums = start + np.cumsum(np.pad(steps, ((0, 0), (1, 0))), axis=1)
    low = np.minimum.accumulate(np.append(seen.low if seen.n else means[0], means))
    high = np.maximum.accumulate(np.append(seen.high if seen.n else means[0], means))
    return np.vstack([n, total, sums, low, high])


def _reach(walked: Floats) -> tuple[Floats, Floats]:
    """Both ends of the range for the next block, after each of them."""
    n, total, ups, downs, up_sum, down_sum, low, high = walked
    centre = total / np.maximum(n, 1)
    up = np.maximum(FACTOR * (high - centre), RATIO * down_sum / np.maximum(downs, 1) / (1 + ups / PATIENCE) ** 2)
    down = np.maximum(FACTOR * (centre - low), RATIO * up_sum / np.maximum(ups, 1) / (1 + downs / PATIENCE) ** 2)
    known = (n >= BURN_IN) & (high > low)
    return np.where(known, centre - down, -np.inf), np.where(known, centre + up, np.inf)
