"""Which arm answers and why: pure functions of a request and a revision."""

from payoff.routing.explore import OWN, draw, propensity
from payoff.routing.plan import explores, killed_champion, split, watchers
from payoff.routing.split import FALLBACK, Split, points

__all__ = [
    "FALLBACK", "OWN", "Split", "draw", "explores", "killed_champion", "points", "propensity", "split", "watchers",
]  # fmt: skip
