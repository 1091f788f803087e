"""Arithmetic that keeps its error rate while it is being watched."""

from payoff.stats.betting import STAKES, Bets, Fold, evidence, fold, losses
from payoff.stats.caps import Seen, caps
from payoff.stats.intervals import Interval, Sums, interval

__all__ = ["STAKES", "Bets", "Fold", "Interval", "Seen", "Sums", "caps", "evidence", "fold", "interval", "losses"]
