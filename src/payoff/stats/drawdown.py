"""How often does a healthy model trip a drawdown limit, and which limit trips once in so many decisions?

Taylor (1975), "A stopped Brownian motion formula", Annals of Probability 3: the mean time until a walk has fallen by d
from its peak is (e^(gd) - gd - 1) / (g mean), g = 2 mean / sd^2; for decisions, which come one by one, d is taken larger by
1.166 sd (Siegmund 1985: 2 x 0.583). And the run length of the tabular CUSUM (Brook and Evans 1972).
"""

OVERSHOOT_SD = 1.166


def decisions_to_trip(mean: float, sd: float, limit: float) -> float:
    """Decisions, on average, until money is `limit` below its peak; all in one unit. Infinite if beyond a float.

    For a model that earns `mean` per decision with a spread of `sd` > 0; a mean of 0 or below is legal.
    """
    raise NotImplementedError


def limit_for(mean: float, sd: float, decisions: float) -> float:
    """The drawdown limit that such a model trips once in `decisions` on average: the inverse of `decisions_to_trip`."""
    raise NotImplementedError


def run_length(shift: float, bar: float, slack: float = 0.5, two_sided: bool = True, cells: int = 200) -> float:
    """Rows, on average, until the CUSUM of standard normal rows moved by `shift` sd passes `bar`; all in sd.

    S = max(0, S + x - slack), an alarm above `bar`; two-sided watches both signs. A Markov chain of `cells` states.
    """
    raise NotImplementedError
