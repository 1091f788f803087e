"""Which arm answers and why: pure functions of a request and a revision."""

from payoff.routing.plan import split, watchers
from payoff.routing.split import FALLBACK, Split, points

__all__ = ["FALLBACK", "Split", "points", "split", "watchers"]
