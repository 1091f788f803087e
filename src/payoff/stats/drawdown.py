"""How often does a healthy model trip a drawdown limit, and which limit trips once in so many decisions?

Taylor (1975), "A stopped Brownian motion formula", Annals of Probability 3: the mean time until a walk has fallen by d
from its peak is (e^(gd) - gd - 1) / (g mean), g = 2 mean / sd^2; for decisions, which come one by one, d is taken
larger by 1.166 sd (Siegmund 1985: 2 x 0.583). And the run length of the tabular CUSUM (Brook and Evans 1972).
"""

from math import expm1, inf, isfinite

import numpy as np

from payoff.errors import BadInput
from payoff.stats.chances import normal

OVERSHOOT_SD = 1.166
_SERIES = 1e-4  # below it, e^u - u - 1 loses its digits


def decisions_to_trip(mean: float, sd: float, limit: float) -> float:
    """Decisions, on average, until money is `limit` below its peak; all in one unit. Infinite if beyond a float.

    For a model that earns `mean` per decision with a spread of `sd` > 0; a mean of 0 or below is legal. BadInput for
    another spread, or a limit below 0.
    """
    if not (sd > 0 and limit >= 0 and isfinite(mean + sd + limit)):
        raise BadInput(f"a mean of {mean}, a spread of {sd}, a limit of {limit}; say numbers, the spread above 0")
    reach = (limit + OVERSHOOT_SD * sd) / sd
    growth = 2 * mean / sd * reach
    if growth > 700:
        return inf
    if abs(growth) < _SERIES:
        return reach**2 * (1 + growth / 3)
    return 2 * reach**2 * (expm1(growth) - growth) / growth**2


def limit_for(mean: float, sd: float, decisions: float) -> float:
    """The drawdown limit that such a model trips once in `decisions` on average: the inverse of `decisions_to_trip`.

    0 if even that is tripped less often. BadInput unless `decisions` is a number above 0.
    """
    if not (decisions > 0 and isfinite(decisions)):
        raise BadInput(f"once in {decisions} decisions; say a number above 0")
    if decisions_to_trip(mean, sd, 0.0) >= decisions:
        return 0.0
    low, high = 0.0, sd
    while decisions_to_trip(mean, sd, high) < decisions:
        low, high = high, 2 * high
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if decisions_to_trip(mean, sd, middle) < decisions else (low, middle)
    return high


def run_length(shift: float, bar: float, slack: float = 0.5, two_sided: bool = True, cells: int = 200) -> float:
    """Rows, on average, until the CUSUM of standard normal rows moved by `shift` sd passes `bar`; all in sd.

    S = max(0, S + x - slack), an alarm above `bar`; two-sided watches both signs. A Markov chain of `cells` states,
    whose chances depend only on how far apart they are. BadInput unless `bar` is above 0.
    """
    if not bar > 0:
        raise BadInput(f"a bar of {bar}; say one above 0")
    if two_sided:
        up, down = (run_length(sign * shift, bar, slack, False, cells) for sign in (1, -1))
        return 1 / (1 / up + 1 / down)
    width = bar / (cells - 0.5)
    below = normal((np.arange(-cells, cells, dtype=np.float64) + 0.5) * width + slack - shift)
    places = np.arange(cells)
    chances = np.diff(below)[places[None, :] - places[:, None] + cells - 1]
    chances[:, 0] = below[cells - places]
    return float(np.linalg.solve(np.eye(cells) - chances, np.ones(cells))[0])
