"""Comparing versions by what they earn, with verdicts that may be read after every outcome."""

from payoff.experiment.verdict import BEATS, LOSES, Case, Question, Rows, facts, judge
from payoff.experiment.words import chance, explain, in_short

__all__ = ["BEATS", "LOSES", "Case", "Question", "Rows", "chance", "explain", "facts", "in_short", "judge"]
