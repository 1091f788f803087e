"""Arithmetic that keeps its error rate while it is being watched."""

from payoff.stats.beliefs import Earnings, Rate, allocation
from payoff.stats.betting import STAKES, Bets, Fold, evidence, fold, losses
from payoff.stats.blocks import Open, blocks
from payoff.stats.bounded import Bernstein, bernstein, hedged, looks
from payoff.stats.caps import Seen, caps
from payoff.stats.covariate import Pair, adjust
from payoff.stats.detector import Detected, Detector, detect
from payoff.stats.drawdown import decisions_to_trip, limit_for, run_length
from payoff.stats.intervals import Interval, Sums, interval
from payoff.stats.offpolicy import Bounds, Estimate, Recorded, estimate, reward_model, uplift
from payoff.stats.power import Power, power
from payoff.stats.ranges import Learned, Range, learn, ranges
from payoff.stats.ratio import SampleRatio, sample_ratio
from payoff.stats.sequential import (
    AlwaysValid,
    Effect,
    always_valid,
    boundaries,
    contrast,
    difference,
    noninferior,
    per_unit,
    relative,
    welch,
)
from payoff.stats.threshold import Curve, Suggestion, curve, suggest

__all__ = [
    "STAKES",
    "AlwaysValid",
    "Bernstein",
    "Bets",
    "Bounds",
    "Curve",
    "Detected",
    "Detector",
    "Earnings",
    "Effect",
    "Estimate",
    "Fold",
    "Interval",
    "Learned",
    "Open",
    "Pair",
    "Power",
    "Range",
    "Rate",
    "Recorded",
    "SampleRatio",
    "Seen",
    "Suggestion",
    "Sums",
    "adjust",
    "allocation",
    "always_valid",
    "bernstein",
    "blocks",
    "boundaries",
    "caps",
    "contrast",
    "curve",
    "decisions_to_trip",
    "detect",
    "difference",
    "estimate",
    "evidence",
    "fold",
    "hedged",
    "interval",
    "learn",
    "limit_for",
    "looks",
    "losses",
    "noninferior",
    "per_unit",
    "power",
    "ranges",
    "relative",
    "reward_model",
    "run_length",
    "sample_ratio",
    "suggest",
    "uplift",
    "welch",
]
