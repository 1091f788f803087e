"""Arithmetic that keeps its error rate while it is being watched."""

from payoff.stats.beliefs import Earnings, Rate, allocation
from payoff.stats.betting import STAKES, Bets, Fold, evidence, fold, losses
from payoff.stats.caps import Seen, caps
from payoff.stats.covariate import Pair, adjust
from payoff.stats.intervals import Interval, Sums, interval
from payoff.stats.offpolicy import Bounds, Estimate, Recorded, estimate, reward_model, uplift
from payoff.stats.power import Power, power
from payoff.stats.threshold import Curve, Suggestion, curve, suggest

__all__ = [
    "STAKES",
    "Bets",
    "Bounds",
    "Curve",
    "Earnings",
    "Estimate",
    "Fold",
    "Interval",
    "Pair",
    "Power",
    "Rate",
    "Recorded",
    "Seen",
    "Suggestion",
    "Sums",
    "adjust",
    "allocation",
    "caps",
    "curve",
    "estimate",
    "evidence",
    "fold",
    "interval",
    "losses",
    "power",
    "reward_model",
    "suggest",
    "uplift",
]
